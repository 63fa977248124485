"""The vocabulary of a turn: one model call, its request, the pieces of its reply, its reply.

``ModelClient`` is the interface between an engine and what answers: a provider's API, or a script
(``ScriptedModel``). No I/O here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias

from massgen_compat._run.message import Json, Message, Tool, ToolCall, ToolChoice
from massgen_compat._run.result import FinishReason, Usage
from massgen_compat._run.team import Timeouts

HOP_HEADER: Final = "x-massgen-hop"
"""The header that counts the teams which a request has come through: an agent can be a team."""


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
    """One model call as the engine wants it; a ``ModelClient`` writes it for its wire.

    ``messages`` is the whole conversation of the turn. ``params`` are the parameters that this
    request adds, with the names of Chat Completions. The agent's own parameters, those of its
    config, belong to the ``ModelClient`` and win over them. ``headers`` are extra HTTP headers for
    the call. ``cache_key`` is for providers that take one; it is the same in all turns that begin
    with the same text. ``timeouts`` are the team's, where a team makes the call. The engine itself
    enforces them, except ``connect_seconds``. ``whole``: nobody waits for pieces of the reply, so
    that the ``ModelClient`` may ask for it in one piece.
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

    ``logprobs`` are the log probabilities of its tokens in the form of Chat Completions, where they
    were asked for and the provider has them.
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
    """A fragment of a tool call; only the first fragment of a call has ``id`` and ``name``."""

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
    """The reply of a finished turn.

    ``items`` are the provider's output items or message, verbatim; a later call of the same run
    sends them back. ``usage`` is ``None`` where the provider reported none. ``model`` and
    ``effort`` are what the provider says it used. ``effort_asked`` is the reasoning effort of the
    request. ``dropped`` are parameters that were asked for, and that the request was sent without.
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
"""A piece of a reply, while the model writes it."""

TurnEvent: TypeAlias = TurnPiece | Reply
"""An event of a turn: first come pieces, in their order, and last exactly one ``Reply``."""

Hear: TypeAlias = Callable[[Sequence[TurnPiece]], Awaitable[None]]
"""A function that receives the pieces of a reply: in order, and one or more in a call."""


class ModelClient(Protocol):
    """Answers turns: by OpenAI's SDK, by a script (``ScriptedModel``), or by code of your own."""

    async def ask(self, request: TurnRequest, hear: Hear, /) -> Reply:
        """Make one model call and return its reply; ``hear`` gets the pieces as they come.

        The model is read no further while ``hear`` is awaited. An error that ``hear`` raises ends
        the call, and cancelling aborts it. Raises ``UpstreamError`` (without ``agent``) or
        ``ContextLengthExceeded``, also after some pieces; an error of the SDK or of the transport
        never comes out.
        """
        ...
