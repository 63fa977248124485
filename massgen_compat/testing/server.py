"""``ScriptedServer``: scripts behind OpenAI's wire format, as a raw ASGI app.

No model is involved, and every response says so in a header (``x-massgen-scripted``). The server is
for the demo, for tests, for benchmarks and for recording cassettes. It checks no keys and bounds no
bodies, so it belongs on loopback only. Of the scripts' HTTP side, only this module waits.
"""

import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import anyio
from pydantic_core import to_json

from massgen_compat._run.message import Json
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Phase
from massgen_compat.errors import InvalidRequest
from massgen_compat.testing.chat_wire import ChatWire
from massgen_compat.testing.play import Play, play
from massgen_compat.testing.request import WireRequest, read_request
from massgen_compat.testing.responses_wire import ResponsesWire
from massgen_compat.testing.script import Cut, Refuse, Script, Stall, parse_script
from massgen_compat.testing.turn_context import TurnContext, read_turn_context
from massgen_compat.testing.wire import (
    Frame,
    ScriptedWire,
    error_body,
    model_list,
    refusal_body,
    until,
)

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """A request as the server saw it; header names are in lower case.

    By ``phase``, ``round`` and ``attempt`` the server chose the step of the script.
    """

    path: str
    api: Api
    model: str
    body: Json = field(repr=False, hash=False)
    headers: Mapping[str, str] = field(repr=False, hash=False)
    phase: Phase
    round: int | None
    attempt: int


class ScriptedServer:
    """An ASGI app that serves Responses, Chat Completions and the model list from scripts.

    ``scripts`` maps model names to scripts. ``default`` is the script of every other name; without
    it these get OpenAI's error for an unknown model. ``before_token`` is awaited before each token,
    with the request and the token's index (from 0), so that a test can hold a reply in the middle.
    ``requests`` keeps the last ``keep_requests`` requests. Raises ``ConfigError`` for a script that
    cannot be read.
    """

    def __init__(
        self,
        scripts: Mapping[str, Json | None],
        *,
        default: Json | None = None,
        before_token: Callable[[ServedRequest, int], Awaitable[None]] | None = None,
        keep_requests: int = 1000,
    ) -> None:
        self._scripts = {
            name: parse_script(script, key=f"scripts[{name!r}]") for name, script in scripts.items()
        }
        self._default = None if default is None else parse_script(default, key="default")
        self._before_token = before_token
        self._requests: deque[ServedRequest] = deque(maxlen=keep_requests)
        self._open = 0
        self._aborted = 0

    @property
    def requests(self) -> tuple[ServedRequest, ...]:
        """The requests for replies so far, oldest first; unreadable ones are left out."""
        return tuple(self._requests)

    @property
    def open_streams(self) -> int:
        """How many requests are being answered now, streamed or not."""
        return self._open

    @property
    def aborted(self) -> int:
        """How often a client went away before its reply was complete."""
        return self._aborted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection. Raises ``ValueError`` for a websocket."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError("the scripted server speaks HTTP only")
        self._open += 1
        try:
            await self._http(scope, receive, send)
        finally:
            self._open -= 1

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"].removeprefix("/v1")
        if method == "POST" and path in _APIS:
            await self._reply(_APIS[path], scope, receive, send)
        elif method == "GET" and path == "/models":
            await send_json(send, 200, model_list(list(self._scripts)))
        else:
            shown = f"Invalid URL ({method} {scope['path']})"
            await send_json(send, 404, error_body(shown, status=404))

    async def _reply(self, api: Api, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await _read_body(receive)
        if raw is None:
            self._aborted += 1
            return
        try:
            request = read_request(api, raw)
        except InvalidRequest as error:
            body = error_body(error.message, status=400, param=error.param, code=error.code)
            await send_json(send, 400, body)
            return
        context = read_turn_context(request.messages, request.tools)
        served = _served(scope, request, context)
        self._requests.append(served)
        script = self._scripts.get(request.model, self._default)
        if script is None:
            await send_json(send, *_unknown_model(request))
            return
        delivery = self._delivery(script, context, request, served, raw, send)
        if not delivery.waits:
            await delivery.run()
        elif not await _run_while_connected(delivery.run, receive):
            self._aborted += 1

    def _delivery(
        self,
        script: Script,
        context: TurnContext,
        request: WireRequest,
        served: ServedRequest,
        raw: bytes,
        send: Send,
    ) -> "_Delivery":
        seed = hashlib.blake2b(raw, digest_size=12).hexdigest()
        planned = play(script, context, seed=seed, sent=request.body)
        wire = _WIRES[request.api](planned, request, seed=seed)
        return _Delivery(planned, wire, served, self._before_token, send)


_APIS: Final[Mapping[str, Api]] = {"/responses": "responses", "/chat/completions": "chat"}
_WIRES: Final[Mapping[Api, Callable[..., ScriptedWire]]] = {
    "chat": ChatWire,
    "responses": ResponsesWire,
}


def _served(scope: Scope, request: WireRequest, context: TurnContext) -> ServedRequest:
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    return ServedRequest(
        path=scope["path"],
        api=request.api,
        model=request.model,
        body=request.body,
        headers=headers,
        phase=context.phase,
        round=context.round,
        attempt=context.attempt,
    )


def _unknown_model(request: WireRequest) -> tuple[int, dict[str, Any]]:
    """The status and the body for an unknown model.

    The two APIs answer differently. Both replies are as recorded for ``gpt-5.2-proo``.
    """
    name = request.model[:128]
    if request.api == "responses":
        message = f"The requested model '{name}' does not exist."
        return 400, error_body(message, status=400, param="model", code="model_not_found")
    message = f"The model `{name}` does not exist or you do not have access to it."
    return 404, error_body(message, status=404, code="model_not_found")


# Delivery


@dataclass(frozen=True, slots=True)
class _Delivery:
    """Sends one play over ASGI at its pace, and fails where the script says so."""

    play: Play
    wire: ScriptedWire
    served: ServedRequest
    before_token: Callable[[ServedRequest, int], Awaitable[None]] | None
    send: Send

    @property
    def waits(self) -> bool:
        """Whether it waits anywhere. If not, nobody has to watch whether the client goes away."""
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
        """Wait until the frame is due; returns whether it holds a token."""
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
    """The event that begins a response.

    The list of headers is new every time, since ASGI middleware adds headers to it in place.
    """
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


# ASGI


async def _lifespan(receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or ``None`` if the client went away."""
    parts: list[bytes] = []
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        parts.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(parts)


async def _run_while_connected(run: Callable[[], Awaitable[None]], receive: Receive) -> bool:
    """Run until it is done or the client goes away; returns whether it was done."""
    done = False

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await run()
        done = True
        tasks.cancel_scope.cancel()
    return done
