"""What MassGen's orchestrator yields, and the status of its agents, as frozen values. Pure.

A chunk of MassGen is an object with some thirty optional fields
(``massgen.backend.base.StreamChunk``). Only the fields that are used here are read. They are read
from MassGen's objects, or from the mappings that a recording has in their place.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from massgen_compat._run.message import Json, ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One chunk.

    ``source`` is the id of an agent, or of the orchestrator, or ``None``. ``data`` is the content
    where that is a mapping and no text.
    """

    type: str
    source: str | None = None
    text: str = ""
    reasoning: str = ""
    error: str = ""
    calls: tuple[ToolCall, ...] = ()
    data: Json = field(default_factory=dict[str, Any], hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The status of one agent.

    ``answers`` counts its answers so far, ``vote`` is the agent that it voted for and its reason.
    ``killed``: MassGen has given up on it. ``round`` counts from 1.
    """

    agent: str
    answer: str | None = None
    answers: int = 0
    vote: tuple[str, str] | None = None
    killed: bool = False
    round: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """The status of all agents, in the team's order; ``selected`` is the agent that presents."""

    places: tuple[Place, ...]
    selected: str | None = None

    def of(self, agent: str) -> Place:
        """The status of one agent; it has to be one of the team's."""
        return next(place for place in self.places if place.agent == agent)

    def ranked(self) -> tuple[tuple[str, int], ...]:
        """The agents that have an answer, each with the number of its votes.

        The agent with most votes comes first; equal ones keep the team's order.
        """
        votes = [place.vote[0] for place in self.places if place.vote is not None]
        counted = [(p.agent, votes.count(p.agent)) for p in self.places if p.answer is not None]
        return tuple(sorted(counted, key=lambda row: -row[1]))


def read_chunk(raw: object) -> Chunk:
    """Read a chunk: MassGen's object, or the mapping that a recording has of it."""
    content = _field(raw, "content")
    thought = _field(raw, "reasoning_delta") or _field(raw, "reasoning_summary_delta")
    calls = cast("Sequence[object]", _field(raw, "tool_calls") or ())
    kind = _field(raw, "type")
    source = _field(raw, "source")
    return Chunk(
        type=str(getattr(kind, "value", kind)),
        source=source if isinstance(source, str) else None,
        text=content if isinstance(content, str) else "",
        reasoning=thought if isinstance(thought, str) else "",
        error=str(_field(raw, "error") or ""),
        calls=tuple(_calls(calls)),
        data=_object(content),
    )


def _object(value: object) -> Json:
    """The mapping, or an empty one."""
    return cast("Json", value) if isinstance(value, Mapping) else {}


def _field(raw: object, name: str) -> object:
    if isinstance(raw, Mapping):
        return cast("Mapping[str, object]", raw).get(name)
    return getattr(raw, name, None)


def _calls(raw: Sequence[object]) -> Iterator[ToolCall]:
    """The tool calls, in any of the three shapes that MassGen's backends give them.

    These are the shape of Chat Completions, that of Responses, and that of Chat Completions with
    an object in the place of the JSON text of the arguments.
    """
    for each in raw:
        call = _object(each)
        function = _object(call.get("function")) or call
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        yield ToolCall(
            id=str(call.get("call_id") or call.get("id") or ""),
            name=str(function.get("name") or ""),
            arguments=text,
        )


def read_status(states: Mapping[str, Any], order: Sequence[str], selected: object) -> AgentStatus:
    """Read the states that MassGen keeps of its agents, by id, in the order of ``order``.

    They are objects of the class ``AgentState``, or the mappings that a recording has of them.
    ``selected`` is the id of the agent that presents, if MassGen has selected one.
    """
    return AgentStatus(
        places=tuple(_place(agent, states[agent]) for agent in order if agent in states),
        selected=selected if isinstance(selected, str) else None,
    )


def _place(agent: str, state: object) -> Place:
    answer = _field(state, "answer")
    votes = _field(state, "votes")
    voted = bool(_field(state, "has_voted"))
    vote = _object(votes if voted else None)
    target = vote.get("agent_id")
    restarts = _field(state, "restart_count")
    count = _field(state, "answer_count")
    given = answer if isinstance(answer, str) and answer else None
    return Place(
        agent=agent,
        answer=given,
        answers=(count if isinstance(count, int) else 0) or int(given is not None),
        vote=(str(target), str(vote.get("reason") or "")) if target else None,
        killed=bool(_field(state, "is_killed")),
        round=max(1, restarts) if isinstance(restarts, int) else 1,
    )
