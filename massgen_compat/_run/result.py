"""What comes out of a run, and what it cost. Frozen values, no I/O."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from massgen_compat._run.message import ToolCall

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one or more model calls; ``reasoning`` and ``cached`` are parts, not additions."""

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

    ``usage`` sums the calls that reported; ``unreported_calls`` counts those that did not, because
    the provider sends none or the call was cancelled. A missing number is never counted as 0.
    ``cost_usd`` is the price of what ``usage`` sums, ``None`` where the model's price is unknown.
    """

    agent: str
    model: str
    calls: int
    unreported_calls: int
    usage: Usage | None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An agent's current answer, under the anonymous label that its peers see."""

    agent: str
    label: str
    content: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A counted vote."""

    voter: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMessage:
    """A message that a run ended with."""

    content: str | None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended: the final messages, one for each choice, and how the team came to them.

    ``usage`` is the run's total, or ``None`` where a finished call reported none. ``visible_usage``
    is that of the calls which wrote the final messages. ``limited_by`` names the limit that ended
    the coordination early. ``cost_usd`` is the price of ``usage``, ``None`` where that is, or the
    price of an agent's model is, unknown.
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
        """The text of the final message; ``None`` where it is calls or a refusal."""
        return self.message.content
