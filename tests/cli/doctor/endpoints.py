"""Endpoints to examine: a team behind the real app, and what stands in front of it."""

import gzip
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from massgen_compat import Agent, MassGen, Team
from massgen_compat._run.message import ToolCall
from massgen_compat._run.turn import CallPiece, Phase, Reply, TurnEvent, TurnRequest
from massgen_compat.asgi import create_app
from massgen_compat.cli.doctor.completions import TOOL
from tests.fakes import COST, Hold, Model, agreeable, never_hold, say

KEY = "a-key-of-the-doctors-tests"
PATIENCE = 20

NUMBERS = [f"number {number}\n" for number in range(1, 31)]


def clever(request: TurnRequest) -> Sequence[TurnEvent]:
    """Counts, and calls the doctor's tool unless it has its result."""
    if request.phase is not Phase.PRESENT:
        return agreeable(request)
    offered = any(tool.name == TOOL for tool in request.tools)
    if not offered or any(message.role == "tool" for message in request.messages):
        return say(*NUMBERS)
    call = ToolCall(id="call_1", name=TOOL, arguments='{"city": "Paris"}')
    head = CallPiece(0, "", id=call.id, name=call.name)
    reply = Reply(tool_calls=(call,), finish_reason="tool_calls", usage=COST)
    return [head, CallPiece(0, call.arguments), reply]


def team(
    *, name: str = "team", keys: Sequence[str] = (), hold: Hold = never_hold, **app: Any
) -> Starlette:
    """The real app with a team of two that can do all that the doctor asks for."""
    models = {agent: Model(clever, hold) for agent in "ab"}
    agents = [Agent(agent, model="m") for agent in models]
    massgen = MassGen(Team(name, agents), connect=lambda agent: models[agent.id])
    return create_app(massgen, api_keys=keys, **app)


Change: TypeAlias = Callable[[Scope, int, dict[str, str], bytes], tuple[int, bytes]]
"""Takes a request's scope, and its reply's status, headers (which it may change) and bytes, the
bytes of a stream piece by piece; returns the status and bytes to send instead."""


class Altered:
    """An app whose replies are changed on their way."""

    def __init__(self, app: ASGIApp, change: Change) -> None:
        self._app = app
        self._change = change

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def altered(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            status, headers = 0, dict[str, str]()
            if start is not None:
                status = start["status"]
                headers = {k.decode(): v.decode() for k, v in start["headers"]}
            status, body = self._change(scope, status, headers, message.get("body", b""))
            if start is not None:
                if "content-length" in headers:
                    headers["content-length"] = str(len(body))
                pairs = [(k.encode(), v.encode()) for k, v in headers.items()]
                await send({**start, "status": status, "headers": pairs})
                start = None
            await send({**message, "body": body})

        await self._app(scope, receive, altered)


def in_body(old: bytes, new: bytes) -> Change:
    """Replaces bytes, wherever they are."""

    def change(_scope: Scope, status: int, _h: dict[str, str], body: bytes) -> tuple[int, bytes]:
        return status, body.replace(old, new)

    return change


def answering(
    status: int, body: bytes, media_type: str, *, headers: Mapping[str, str] | None = None
) -> ASGIApp:
    """An app that has one answer to everything."""
    pairs = {"content-type": media_type, **(headers or {})}.items()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        head = [(name.encode(), value.encode()) for name, value in pairs]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    return app


class Recorder:
    """An app that notes what it is asked, and passes it on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.chats: list[dict[str, Any]] = []
        self.keys: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        pieces: list[bytes] = []
        headers = dict(scope["headers"])
        self.keys.add(headers.get(b"authorization", b"").decode())

        async def noting() -> Message:
            message = await receive()
            pieces.append(message.get("body", b""))
            return message

        await self._app(scope, noting, send)
        with suppress(ValueError):  # no chat request
            self.chats.append(json.loads(b"".join(pieces)))


class Answering:
    """An app that answers some chats otherwise: those for which ``when`` holds."""

    def __init__(
        self, app: ASGIApp, when: Callable[[dict[str, Any]], bool], other: ASGIApp
    ) -> None:
        self._app = app
        self._when = when
        self._other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/chat/completions"):
            await self._app(scope, receive, send)
            return
        messages = [message async for message in _messages(receive)]
        replayed = iter(messages)

        async def replaying() -> Message:
            message = next(replayed, None)
            return await receive() if message is None else message

        body = b"".join(message.get("body", b"") for message in messages)
        chat: dict[str, Any] = json.loads(body) if body.endswith(b"}") else {}
        await (self._other if self._when(chat) else self._app)(scope, replaying, send)


async def _messages(receive: Receive) -> AsyncIterator[Message]:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        yield message


class Buffering:
    """A reverse proxy that holds every reply until its end, and may compress it."""

    def __init__(self, upstream: str, *, compress: bool = False) -> None:
        self._upstream = urlsplit(upstream)
        self._compress = compress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b"".join([message.get("body", b"") async for message in _messages(receive)])
        status, headers, reply = await anyio.to_thread.run_sync(self._ask, scope, body)
        if self._compress and (b"x-accel-buffering", b"no") in headers:
            reply = gzip.compress(reply)
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": reply})

    def _ask(self, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        upstream = HTTPConnection(self._upstream.hostname or "", self._upstream.port, PATIENCE)
        headers = {
            name.decode(): value.decode()
            for name, value in scope["headers"]
            if name in {b"authorization", b"content-type"}
        }
        upstream.request(scope["method"], scope["path"], body or None, headers)
        response = upstream.getresponse()
        reply = response.read()
        upstream.close()
        kept = [
            (name.lower().encode(), value.encode())
            for name, value in response.getheaders()
            if name.lower() not in {"transfer-encoding", "connection", "date", "server"}
        ]
        return response.status, kept, reply


class Clock:
    """The doctor's clock: it stands still but for ``tick``, and tells when it was read."""

    def __init__(self) -> None:
        self._now = 0.0
        self._reads = 0
        self._changed = threading.Condition()

    def __call__(self) -> float:
        with self._changed:
            self._reads += 1
            self._changed.notify_all()
            return self._now

    def tick(self, seconds: float) -> int:
        """Let time pass; returns how often the clock was read until now."""
        with self._changed:
            self._now += seconds
            return self._reads

    def wait_for_more_reads(self, than: int) -> None:
        """Wait until the clock was read more often than this."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._reads > than, PATIENCE)
