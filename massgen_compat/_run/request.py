"""What a team is asked: one request to one team. Frozen values, no I/O."""

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
    """What a request takes away from a team to make its run cheaper. ``None`` leaves it as it is.

    ``agents`` are the ids of those that take part; ``reuse``: the winning answer is the message.
    The numbers count where they are lower than the team's.
    """

    agents: tuple[str, ...] | None = None
    max_new_answers_per_agent: int | None = None
    reuse: bool = False
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    deadline_seconds: float | None = None

    def limits_only(self) -> "Narrowing":
        """The lower limits, and the team as it is."""
        return replace(self, agents=None, max_new_answers_per_agent=None, reuse=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One request to one team.

    ``agent_params`` go to every agent's model, ``presenter_params`` only to the turn that writes
    the final message; both use Chat Completions names and are allow-listed by the parser. ``tools``
    are the client's: agents know them, the presenter may call them, nothing here executes them.
    ``decision`` is the winning draft of the run that the messages go on with, where the client sent
    it back: the presenter is reminded of it. ``format`` is the one that the final message has to
    have; ``choices`` is the number of final messages. ``narrowing`` makes the team smaller.
    ``cache_key`` is the client's own key for prompt caches; each agent's key is made of it.
    ``hops`` counts the teams that the request came through: those that this team is an agent of.
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
        """Whether what is made of it for an agent takes more than a few milliseconds."""
        return has_many_parts(self.messages, self.tools)
