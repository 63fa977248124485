"""A request to a team, and how it may make the team smaller. Frozen values, no I/O."""

from dataclasses import dataclass, field, replace
from typing import Any

from massgen_compat._run.message import (
    Json,
    Message,
    OutputFormat,
    Tool,
    ToolChoice,
    has_many_parts,
)
from massgen_compat._run.team import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What a request changes about a team to make its run cheaper; ``None`` changes nothing.

    ``agents`` are the ids of the agents that take part. ``reuse``: the winning answer is the
    message, and no presenter writes one. A number counts where it is lower than the team's own;
    ``max_cost`` is in US dollars.
    """

    agents: tuple[str, ...] | None = None
    max_new_answers_per_agent: int | None = None
    reuse: bool = False
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    deadline_seconds: float | None = None

    def limits_only(self) -> "Narrowing":
        """The same lower limits, for the team as it is."""
        return replace(self, agents=None, max_new_answers_per_agent=None, reuse=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One request to one team.

    ``team`` is the team's name. ``agent_params`` go to every agent's model, ``presenter_params``
    only to the turn that writes the final message. Both have the names of Chat Completions, and
    the parser lets only known ones pass. ``tools`` are the client's: agents know them, the
    presenter may call them, and nothing here executes them. ``trace`` is how much of the
    deliberation the client wants to see; ``None`` leaves it to the team.

    ``decision`` is for messages that go on with an earlier run: the winning draft of that run, if
    the client sent it back. The presenter is reminded of it. ``format`` is the format that the
    final message has to have, and ``choices`` is the number of final messages. ``narrowing`` makes
    the team smaller. ``cache_key`` is the client's own key for prompt caches, from which each
    agent's key is made. ``hops`` counts the teams that the request came through, where teams are
    agents of other teams.
    """

    team: str
    messages: tuple[Message, ...]
    agent_params: Json = field(default_factory=dict[str, Any], hash=False)
    presenter_params: Json = field(default_factory=dict[str, Any], hash=False)
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    trace: Trace | None = None
    decision: str | None = None
    format: OutputFormat | None = None
    choices: int = 1
    narrowing: Narrowing = Narrowing()
    cache_key: str | None = None
    hops: int = 0

    @property
    def has_many_parts(self) -> bool:
        """Whether it takes more than a few milliseconds to make an agent's messages of it."""
        return has_many_parts(self.messages, self.tools)
