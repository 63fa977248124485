"""Delivers one play over ASGI: at its pace, with its failures. The only place that waits."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import anyio
from pydantic_core import to_json

from massgen_compat._run.message import Json
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Phase
from massgen_compat.testing.play import Play
from massgen_compat.testing.script import Cut, Refuse, Stall
from massgen_compat.testing.wire import Frame, ScriptedWire, refusal_body, until

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """A request as the server saw it; header names are in lower case.

    ``phase``, ``round`` and ``attempt`` are what the script went by.
    """

    path: str
    api: Api
    model: str
    body: Json = field(repr=False, hash=False)
    headers: Mapping[str, str] = field(repr=False, hash=False)
    phase: Phase
    round: int | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """Sends one play at its pace."""

    play: Play
    wire: ScriptedWire
    served: ServedRequest
    before_token: Callable[[ServedRequest, int], Awaitable[None]] | None
    send: Send

    @property
    def waits(self) -> bool:
        """Whether there is anything to wait for: otherwise nobody has to watch the client."""
        pace = self.play.delay_seconds or self.play.token_delay_seconds
        return bool(pace or self.before_token or isinstance(self.play.failure, Stall))

    async def run(self) -> None:
        """Send everything; returns early where the script cuts the connection."""
        failure = self.play.failure
        streamed = self.served.body.get("stream") is True
        if isinstance(failure, Refuse) and (failure.after_tokens is None or not streamed):
            await self._pause(self.play.delay_seconds)
            body = refusal_body(failure)
            await send_json(self.send, failure.status, body, retry_after=failure.retry_after)
        elif streamed:
            await self._stream()
        else:
            await self._whole()

    async def _stream(self) -> None:
        await self.send(_start(200, _SSE))
        if opening := self.wire.opening():
            await self._send_part(opening)
        await self._pause(self.play.delay_seconds)
        index = 0
        for frame in until(self.wire.frames(), self.play.failure):
            index += await self._wait_for(frame, index)
            await self._send_part(frame.data)
        match self.play.failure:
            case None:
                await self._send_part(self.wire.closing(), last=True)
            case Refuse() as refused:
                await self._send_part(self.wire.failed(refused), last=True)
            case Cut():
                pass
            case Stall():
                await anyio.sleep_forever()

    async def _whole(self) -> None:
        await self._pause(self.play.delay_seconds)
        if self.waits:
            index = 0
            for frame in until(self.wire.frames(), self.play.failure):
                index += await self._wait_for(frame, index)
        if isinstance(self.play.failure, Stall):
            await anyio.sleep_forever()
        body = self.wire.whole()
        await self.send(_start(200, _sized(len(body))))
        cut = isinstance(self.play.failure, Cut)
        await self._send_part(body[: len(body) // 2] if cut else body, last=not cut)

    async def _wait_for(self, frame: Frame, index: int) -> bool:
        """Wait until the frame is due; tells whether it holds a token."""
        if frame.token:
            await self._pause(self.play.token_delay_seconds)
            if self.before_token is not None:
                await self.before_token(self.served, index)
        return frame.token

    async def _pause(self, seconds: float) -> None:
        if seconds:
            await anyio.sleep(seconds)

    async def _send_part(self, data: bytes, *, last: bool = False) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": not last})


_Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
_SCRIPTED: Final[_Headers] = (
    (b"x-massgen-scripted", b"true"),
    (b"openai-version", b"2020-10-01"),
    (b"openai-processing-ms", b"0"),
)
_SSE: Final[_Headers] = ((b"content-type", b"text/event-stream; charset=utf-8"), *_SCRIPTED)
_JSON: Final[_Headers] = ((b"content-type", b"application/json"), *_SCRIPTED)


def _start(status: int, headers: _Headers) -> Event:
    """The list is new every time: ASGI middleware adds headers to it in place."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def _sized(length: int) -> _Headers:
    return (*_JSON, (b"content-length", str(length).encode()))


async def send_json(
    send: Send, status: int, body: Mapping[str, Any], *, retry_after: float | None = None
) -> None:
    """Send a whole JSON response; ``retry_after`` is in seconds."""
    data = to_json(body)
    headers = _sized(len(data))
    if retry_after is not None:
        headers += ((b"retry-after", f"{retry_after:g}".encode()),)
    await send(_start(status, headers))
    await send({"type": "http.response.body", "body": data, "more_body": False})
