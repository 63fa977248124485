"""The result of a run, and what the run cost. Frozen values, no I/O."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from massgen_compat._run.message import ToolCall

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The tokens of one or more model calls.

    ``cached_tokens`` are a part of ``prompt_tokens``, and ``reasoning_tokens`` of
    ``completion_tokens``.
    """

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentUsage:
    """What one agent spent in a run.

    ``usage`` is the sum over the calls whose usage was reported. ``unreported_calls`` counts the
    others, where the provider reports none or the call was cancelled. A missing number is never
    counted as 0. ``cost_usd`` is the price of ``usage`` in US dollars, ``None`` where the model's
    price is unknown.
    """

    agent: str
    model: str
    calls: int
    unreported_calls: int
    usage: Usage | None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An agent's current answer. ``label`` is the anonymous name that the other agents see.

    ``number`` counts the answers of the agent, from 1.
    """

    agent: str
    label: str
    content: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A vote that counted, for the agent ``target``."""

    voter: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMessage:
    """A final message of a run: a text, a refusal, or calls of the client's tools."""

    content: str | None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended: the final messages, one for each choice, and how the team came to them.

    ``presenter`` is the agent that wrote the messages; ``None`` where the winning answer is the
    message. ``usage`` is the total of the run, or ``None`` where a finished call reported none.
    ``visible_usage`` is the usage of the calls that wrote the final messages. ``limited_by`` names
    the limit that ended the coordination early, if one did. ``cost_usd`` is the price of ``usage``
    in US dollars; ``None`` where the usage or the price of an agent's model is unknown.
    """

    run_id: str
    team: str
    messages: tuple[FinalMessage, ...]
    winner: str
    presenter: str | None
    answers: tuple[Answer, ...]
    votes: tuple[Vote, ...]
    agents: tuple[AgentUsage, ...]
    usage: Usage | None
    visible_usage: Usage | None
    limited_by: str | None
    cost_usd: float | None = None

    @property
    def message(self) -> FinalMessage:
        """The final message, the first one where several were asked for."""
        return self.messages[0]

    @property
    def content(self) -> str | None:
        """The text of the final message; ``None`` if it consists of calls or a refusal."""
        return self.message.content
