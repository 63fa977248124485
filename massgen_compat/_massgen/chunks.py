"""What MassGen's orchestrator yields, and how its agents stand, as frozen values. No I/O.

A chunk of MassGen is one class with thirty optional fields (``massgen.backend.base.StreamChunk``)
or its successor; only what is used here is read, from the object or from a recording of it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from massgen_compat._run.message import Json, ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One chunk: its ``type``, whose it is (``source``: an agent's id, the orchestrator's or none),
    its text, its tool calls, and what a reasoning model thought."""

    type: str
    source: str | None = None
    text: str = ""
    reasoning: str = ""
    error: str = ""
    calls: tuple[ToolCall, ...] = ()
    data: Json = field(default_factory=dict[str, Any], hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How an agent stands: its answer and the number of answers so far, its vote, its round."""

    agent: str
    answer: str | None = None
    answers: int = 0
    vote: tuple[str, str] | None = None
    killed: bool = False
    round: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """How all agents stand, in the team's order, and who was selected to present."""

    places: tuple[Place, ...]
    selected: str | None = None

    def of(self, agent: str) -> Place:
        """The place of one agent."""
        return next(place for place in self.places if place.agent == agent)

    def ranked(self) -> tuple[tuple[str, int], ...]:
        """The agents that have an answer, with their votes: most votes first, ties in order."""
        votes = [place.vote[0] for place in self.places if place.vote is not None]
        counted = [(p.agent, votes.count(p.agent)) for p in self.places if p.answer is not None]
        return tuple(sorted(counted, key=lambda row: -row[1]))


def read_chunk(raw: object) -> Chunk:
    """Read a chunk of MassGen, or the mapping that a recording has of it."""
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
    """Calls in the three shapes that MassGen's backends give them.

    Of Chat Completions, of Responses, and that of Chat Completions with arguments as an object.
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
    """Read MassGen's own states of the agents (``AgentState`` objects, or mappings)."""
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
