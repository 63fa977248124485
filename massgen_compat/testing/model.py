"""``ScriptedModel``: a ``ModelClient`` that plays a script in the process. No model is involved."""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

import anyio

from massgen_compat._run.message import Json
from massgen_compat._run.turn import (
    CallPiece,
    Hear,
    HostedToolUsed,
    ReasoningPiece,
    RefusalPiece,
    Reply,
    TextPiece,
    TurnPiece,
    TurnRequest,
)
from massgen_compat.errors import (
    ContextLengthExceeded,
    MassGenError,
    UpstreamAuthentication,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from massgen_compat.testing.play import Play, argument_tokens, certain, play, text_tokens
from massgen_compat.testing.script import Cut, Refuse, Stall, parse_script
from massgen_compat.testing.turn_context import read_turn_context


class ScriptedModel:
    """Plays a script turn by turn, offline and without any model.

    The model keeps no state: what it says depends on the script and on the ``TurnRequest`` alone,
    so that any number of agents and runs can share one. ``script`` is a mapping in the language of
    ``massgen_compat.testing.script``; without it the model drafts, votes for agent1 and presents
    the winning answer. ``model`` is the name that the replies report. ``before_token`` is awaited
    before each token, with the request and the token's index (from 0), so that a test can hold a
    reply in the middle. Raises ``ConfigError`` for a script that cannot be read.
    """

    def __init__(
        self,
        script: Json | None = None,
        *,
        model: str | None = None,
        before_token: Callable[[TurnRequest, int], Awaitable[None]] | None = None,
    ) -> None:
        self._script = parse_script(script)
        self._model = model
        self._before_token = before_token

    async def ask(self, request: TurnRequest, hear: Hear, /) -> Reply:
        """Play one turn, as ``ModelClient.ask`` describes.

        A failure of the script raises the error that the same failure of a provider raises. A
        stalled reply waits until the caller cancels it.
        """
        planned = self._play(request)
        await anyio.sleep(planned.delay_seconds)
        if isinstance(planned.failure, Refuse) and planned.failure.after_tokens is None:
            raise _error(planned.failure)
        await self._say(planned, request, hear)
        match planned.failure:
            case Refuse() as refused:
                raise _error(refused)
            case Cut():
                raise UpstreamMalformed("the scripted connection broke, as the script says")
            case Stall():
                await anyio.sleep_forever()
            case None:
                pass
        return self._reply(planned, request)

    def _play(self, request: TurnRequest) -> Play:
        context = read_turn_context(
            request.messages, request.tools, phase=request.phase, number=request.round
        )
        place = (
            f"{request.agent} {context.phase} {context.round} {context.attempt} {context.question}"
        )
        seed = hashlib.blake2b(place.encode(errors="replace"), digest_size=12).hexdigest()
        return play(self._script, context, seed=seed, sent=request.params)

    async def _say(self, planned: Play, request: TurnRequest, hear: Hear) -> None:
        """Tell the pieces token by token, up to the one after which the script fails."""
        limit = None if planned.failure is None else planned.failure.after_tokens
        tokens = 0
        for piece in _pieces(planned, request.params):
            if tokens == limit:
                return
            if _is_token(piece):
                await anyio.sleep(planned.token_delay_seconds)
                if self._before_token is not None:
                    await self._before_token(request, tokens)
                tokens += 1
            await hear((piece,))

    def _reply(self, planned: Play, request: TurnRequest) -> Reply:
        effort: object = request.params.get("reasoning_effort")
        return Reply(
            text=planned.text,
            refusal=planned.refusal,
            tool_calls=planned.calls,
            finish_reason=planned.finish_reason,
            usage=planned.usage,
            model=self._model,
            effort=effort if isinstance(effort, str) else None,
        )


def _pieces(planned: Play, params: Json) -> Iterator[TurnPiece]:
    yield from map(ReasoningPiece, text_tokens(planned.reasoning or ""))
    for tool in planned.hosted:
        yield HostedToolUsed(f"{tool}_call")
    top = int(params.get("top_logprobs") or 0)
    for token in text_tokens(planned.text):
        yield TextPiece(token, (certain(token, top),) if params.get("logprobs") else ())
    yield from map(RefusalPiece, text_tokens(planned.refusal or ""))
    for index, call in enumerate(planned.calls):
        yield CallPiece(index, "", id=call.id, name=call.name)
        for fragment in argument_tokens(call.arguments):
            yield CallPiece(index, fragment)


def _is_token(piece: TurnPiece) -> bool:
    if isinstance(piece, CallPiece):
        return piece.id is None
    return not isinstance(piece, HostedToolUsed)


def _error(refused: Refuse) -> MassGenError:
    if refused.code == "context_length_exceeded":
        return ContextLengthExceeded(refused.message)
    other = UpstreamRejected if refused.status < 500 else UpstreamError
    kind = _ERRORS.get(refused.status, other)
    return kind(refused.message, status=refused.status, retry_after=refused.retry_after)


_ERRORS: Final[Mapping[int, type[UpstreamError]]] = {
    401: UpstreamAuthentication,
    403: UpstreamAuthentication,
    408: UpstreamTimeout,
    429: UpstreamRateLimited,
    504: UpstreamTimeout,
}
