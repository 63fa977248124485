"""The vocabulary of a turn: one model call, its request, its events, its reply.

``ModelClient`` is the seam between the engine and whatever answers: a provider's API
(``upstream``) or a script (``scripted``). No I/O here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias

from massgen_compat._run.message import Json, Message, Tool, ToolCall, ToolChoice
from massgen_compat._run.result import FinishReason, Usage
from massgen_compat._run.team import Timeouts

HOP_HEADER: Final = "x-massgen-hop"
"""How many teams a request has come through, for a team whose agents are teams."""


class Phase(StrEnum):
    """What a turn is for."""

    DRAFT = "draft"
    EVALUATE = "evaluate"
    PRESENT = "present"

    def heading(self, number: int) -> str:
        """The line that opens the instructions of a round, e.g. ``## Round 2: evaluate``."""
        return f"## Round {number}: {self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """One model call as the engine wants it; a ``ModelClient`` puts it on its wire.

    ``messages`` is the whole conversation of the turn. ``params`` are the parameters that this
    request adds, in Chat Completions names; the agent's own (its YAML) belong to the
    ``ModelClient`` and win over them. ``headers`` are extra HTTP headers for the call.
    ``cache_key`` is the same in all turns that begin alike, for providers that take one.
    ``timeouts`` are the team's, if it is one's; who asks keeps them, but for ``connect_seconds``.
    ``whole``: nobody waits for pieces of the reply, so it may be asked for in one.
    """

    agent: str
    round: int
    phase: Phase
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    params: Json = field(default_factory=dict[str, Any], hash=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    cache_key: str | None = None
    timeouts: Timeouts | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A piece of the reply's text, as it was written.

    ``logprobs`` are those of its tokens, as Chat Completions writes them, where they were asked for
    and the provider has them.
    """

    text: str
    logprobs: tuple[Json, ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True)
class ReasoningPiece:
    """A piece of the model's visible reasoning or of its reasoning summary."""

    text: str


@dataclass(frozen=True, slots=True)
class RefusalPiece:
    """A piece of a refusal."""

    text: str


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A fragment of a function call: ``id`` and ``name`` stand in its first fragment only."""

    index: int
    arguments: str
    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class HostedToolUsed:
    """The provider ran a tool of its own, e.g. ``web_search_call``."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A finished turn.

    ``items`` are the provider's output items or message, verbatim, to be replayed on a follow-up
    within the run. ``usage`` is ``None`` where the provider reported none. ``model`` and ``effort``
    are what the provider says it used; ``effort_asked`` is the reasoning effort of the request and
    ``dropped`` are the parameters that it was sent without, though they were asked for.
    """

    text: str = ""
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    usage: Usage | None = None
    model: str | None = None
    effort: str | None = None
    effort_asked: str | None = None
    dropped: tuple[str, ...] = ()
    items: tuple[Json, ...] = field(default=(), hash=False)


TurnPiece: TypeAlias = TextPiece | ReasoningPiece | RefusalPiece | CallPiece | HostedToolUsed
"""What a model says on the way to its reply."""

TurnEvent: TypeAlias = TurnPiece | Reply
"""What a turn consists of: pieces in order, then exactly one ``Reply`` as the last event."""

Hear: TypeAlias = Callable[[Sequence[TurnPiece]], Awaitable[None]]
"""Whoever is told the pieces of a reply: in order, one or more at once, as they came."""


class ModelClient(Protocol):
    """Answers turns. Implementations: the OpenAI SDK's (``upstream``) and a script's."""

    async def ask(self, request: TurnRequest, hear: Hear, /) -> Reply:
        """Make one model call, whose pieces ``hear`` is told as they come; cancelling aborts it.

        The model is read no further while ``hear`` goes on; what that raises ends the call. Raises
        ``UpstreamError`` (without ``agent``) or ``ContextLengthExceeded``, after the pieces that
        came before; nothing of the SDK's or of the transport's leaks.
        """
        ...
