"""A provider that fails on command, over real sockets, in a thread of its own.

What a script can say is said by ``ScriptedServer``; what it cannot (a refused connection, a reset,
bytes that are no events) is done here, on the socket.
"""

import asyncio
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from massgen_compat._run.message import Json
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Phase
from massgen_compat.testing import ScriptedServer
from massgen_compat.testing.request import read_request
from massgen_compat.testing.turn_context import read_turn_context

SECRET = "sk-proj-ThisIsTheKeyOfTheProvider0123456789"
PATIENCE = 10


@dataclass(frozen=True)
class Wire:
    """What a model does on the socket, in one phase or in all.

    ``reset``: the connection is reset before the first byte. ``silent``: nothing is ever sent.
    ``chatters``: comments are sent, and nothing else. ``tail``: what follows where the script cuts
    the reply; then the body ends as it should. ``whole``: the body of a reply that is not streamed.
    ``leaves``: after this request nobody is there any more, and connections are refused.
    """

    reset: bool = False
    silent: bool = False
    chatters: bool = False
    tail: bytes | None = None
    whole: bytes | None = None
    leaves: bool = False
    phase: Phase | None = None


NORMAL = Wire()


class Provider:
    """Serves scripts by the names of models, and counts requests and open ones by them."""

    def __init__(self, scripts: Mapping[str, Json], wires: Mapping[str, Wire]) -> None:
        self.calls: Counter[str] = Counter()
        self.connections = 0
        self._wires = wires
        self._open: Counter[str] = Counter()
        self._app = ScriptedServer(scripts)
        self._changed = threading.Condition()

    def is_idle(self, models: Callable[[str], bool]) -> bool:
        """Whether all requests for these models come to their end; waits, but not for ever."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(n for model, n in self._open.items() if models(model)), PATIENCE
            )

    def is_left(self) -> bool:
        """Whether all connections are closed at last."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.connections, PATIENCE)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self._note(connections=1)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.close()
            self._note(connections=-1)

    def closing(self, server: asyncio.Server) -> Callable[..., Any]:
        """As ``serve``, of a provider who may leave: one request a connection."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._note(connections=1)
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError):
                    await self._answer(reader, writer, server)
            finally:
                writer.close()
                self._note(connections=-1)

        return serve

    async def _answer(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        leaving: asyncio.Server | None = None,
    ) -> bool:
        """Answer one request; whether there may be another one."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ", 2)[1]
        length = next(
            int(line.split(":")[1])
            for line in head.splitlines()
            if line.lower().startswith("content-length")
        )
        raw = await reader.readexactly(length)
        model: str = json.loads(raw)["model"]
        api: Api = "responses" if path.endswith("/responses") else "chat"
        self.calls[model] += 1
        self._note(model, 1)
        try:
            request = read_request(api, raw)
            phase = read_turn_context(request.messages, request.tools).phase
            wire = self._wires.get(model, NORMAL)
            wire = wire if wire.phase in {None, phase} else NORMAL
            if wire.leaves and leaving is not None:
                leaving.close()
            if wire.reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                writer.transport.abort()
                return False
            if wire.silent:
                await reader.read(1)
                return False
            if wire.chatters:
                return await _chatter(reader, writer)
            reply = _Reply(reader, writer, raw, keep=leaving is None)
            if wire.whole is not None and not request.body.get("stream"):
                await reply.send({"type": "http.response.start", "status": 200, "headers": []})
                await reply.end(wire.whole)
                return leaving is None
            await self._app(_scope(path), reply.receive, reply.send)
            if not reply.ended and wire.tail is not None:
                await reply.end(wire.tail)
            return reply.ended and leaving is None
        finally:
            self._note(model, -1)

    def _note(self, model: str = "", count: int = 0, *, connections: int = 0) -> None:
        with self._changed:
            self._open[model] += count
            self.connections += connections
            self._changed.notify_all()


async def _chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Send a comment, which says nothing, again and again, until the caller leaves."""
    writer.write(b"HTTP/1.1 200 Said\r\ncontent-type: text/event-stream\r\n\r\n")
    gone = asyncio.ensure_future(reader.read(1))
    while not gone.done():
        writer.write(b": still working\n\n")
        await asyncio.wait([gone], timeout=0.02)
    return False


def _scope(path: str) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": path, "headers": []}


class _Reply:
    """One response in chunked encoding, from what an ASGI app sends."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        body: bytes,
        *,
        keep: bool,
    ) -> None:
        self.ended = False
        self._reader = reader
        self._writer = writer
        self._body: bytes | None = body
        self._keep = keep

    async def receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._reader.read(1)
        return {"type": "http.disconnect"}

    async def send(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            headers = [(n, v) for n, v in event["headers"] if n != b"content-length"]
            headers.append((b"transfer-encoding", b"chunked"))
            if not self._keep:
                headers.append((b"connection", b"close"))
            lines = b"".join(b"%s: %s\r\n" % header for header in headers)
            self._writer.write(b"HTTP/1.1 %d Said\r\n%s\r\n" % (event["status"], lines))
        else:
            self._write(event["body"])
            if not event["more_body"]:
                await self.end(b"")
        await self._writer.drain()

    async def end(self, tail: bytes) -> None:
        self._write(tail)
        self._writer.write(b"0\r\n\r\n")
        self.ended = True
        await self._writer.drain()

    def _write(self, data: bytes) -> None:
        if data:
            self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))


@dataclass(frozen=True)
class Addresses:
    """Where the provider is: everybody's door, doors that close for good, and one that is shut."""

    open: str
    leaving: tuple[str, ...]
    shut: str


@contextmanager
def providing(provider: Provider, *, leaving: int = 0) -> Generator[Addresses]:
    """Run a provider for the time of a ``with``."""
    addresses: list[Addresses] = []
    ready, done = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        doors = [await asyncio.start_server(provider.serve, "127.0.0.1", 0)]
        for _ in range(leaving):
            holder: list[asyncio.Server] = []

            async def answer(
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                holder: list[asyncio.Server] = holder,
            ) -> None:
                await provider.closing(holder[0])(reader, writer)

            holder.append(await asyncio.start_server(answer, "127.0.0.1", 0))
            doors.append(holder[0])
        urls = [_url(door.sockets[0]) for door in doors]
        addresses.append(Addresses(urls[0], tuple(urls[1:]), _url(shut)))
        ready.set()
        await done.wait()
        for door in doors:
            door.close()

    with socket.socket() as shut:
        shut.bind(("127.0.0.1", 0))  # and never listens, so that nobody else does
        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
        thread.start()
        assert ready.wait(PATIENCE)
        try:
            yield addresses[0]
        finally:
            loop.call_soon_threadsafe(done.set)
            thread.join(PATIENCE)
            loop.close()


def _url(listener: Any) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
