"""uvicorn as this library runs it; only this module imports it.

``BoundedHead`` is uvicorn's protocol with bounds on the head of a request: its request line and its
headers. ``serve_until_stopped`` runs a server that drains when it is told to stop, and ``serving``
runs one for the time of a ``with``.
"""

import asyncio
import gc
import json
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from types import FrameType
from typing import Any, Final, Protocol

import anyio
import uvicorn
from uvicorn.config import LOGGING_CONFIG
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from massgen_compat.protocol.errors import ErrorReply, head_too_large, not_http, too_slow

# Bounds on the head of a request

MAX_HEAD_BYTES: Final = 64 * 1024
"""For the request line and all headers, and for the bytes between two pieces of a body, such as
trailers and the extensions of chunks. Browsers and proxies send a few kilobytes."""

MAX_HEADERS: Final = 128

HEAD_SECONDS: Final = 20.0
"""How long a head may take, from the opening of the connection or from the first byte of a later
request. A body may go on for as long after its response, which most often refuses it."""


_TOO_LARGE: Final = head_too_large(MAX_HEAD_BYTES, MAX_HEADERS)


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol, with 431 for a head that is too large and 408 for one that is late.

    httptools, uvicorn's parser, has no bound for a head, and uvicorn has no timeout for one. An app
    sees a request only when its head is complete, and never sees the trailers of a body in chunks.
    The bounds therefore stand here, where bytes arrive. A connection that sends nothing at all, or
    that goes on with a body which was answered already, is closed without a response.

    For a server of your own: ``uvicorn.run(app, http=BoundedHead)``.
    """

    head_seconds = HEAD_SECONDS

    _size = 0  # the bytes since the last complete head or piece of a body
    _begun = False  # whether a request of this connection has reached the app
    _within = True  # whether the next bytes belong to a head
    _counts = True  # whether the bytes at hand have completed no head and no piece of a body
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn
        """Expect the head of a request."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes, and count them if they complete neither a head nor a piece of a body."""
        if self.transport.is_closing():  # it was refused: nothing more is read
            return
        self._counts = True
        super().data_received(data)
        if self._counts and not self.transport.is_closing():
            self._count(len(data))

    def on_message_begin(self) -> None:
        """Begin with the head of a request."""
        super().on_message_begin()
        self._size = 0
        if self._timer is None:
            self._expect()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Refuse the request if it is one too many."""
        if self.transport.is_closing():
            return
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._refuse(_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Let the request begin, unless its head was refused."""
        self._arrived()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        if not self.transport.is_closing():
            self._begun = True
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, unless the connection was refused."""
        self._progress()
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect a head again."""
        self._arrived()
        self._within = True
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Give the rest of a body a limited time: nobody reads it any more."""
        super().on_response_complete()
        if self.cycle.response_complete and not self._within and self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._late)

    def _expect(self) -> None:
        self._within = True
        self._timer = self.loop.call_later(self.head_seconds, self._late)

    def _arrived(self) -> None:
        self._within = False
        self._progress()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _progress(self) -> None:
        self._counts, self._size = False, 0

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)

    def _late(self) -> None:
        self._timer = None
        if self._size and self._within:
            self._refuse(too_slow("head"))
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, reply: ErrorReply) -> None:
        if self.transport.is_closing():
            return
        self._arrived()
        if self._begun and not self.cycle.response_complete:
            self.transport.close()  # a response is being written: there is no room for another
            return
        body = json.dumps(reply.body).encode()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            **reply.headers,
        }
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text
        """Refuse what is not HTTP, in the shape of all errors."""
        self._refuse(not_http())


# Servers

GOODBYE_SECONDS = 1
"""How long the clients of ended runs have to receive the error, before connections are closed."""

COLLECT_AFTER = (20_000, 10, 5)
"""Thresholds of the garbage collector, which runs less often than by default (700, 10, 10).

With a hundred open runs it took a seventh of the CPU, and found next to nothing. It still collects
everything after a million objects, since runs that fail or are cancelled leave cycles behind."""


class Drained(Protocol):
    """Runs that can be told that the server stops."""

    draining: bool

    def drain(self) -> None:
        """Refuse new runs; open runs go on."""
        ...

    def end(self) -> None:
        """End the open runs."""
        ...


def serve_until_stopped(
    app: Any,
    runs: Drained,
    *,
    host: str,
    port: int,
    drain_seconds: float,
    greet: Callable[[int], None],
) -> None:
    """Serve ``app`` until SIGTERM or Ctrl-C. ``greet`` is called with the port when it listens.

    Then ``runs`` drain for at most ``drain_seconds``, while the server still answers. A second
    Ctrl-C ends them at once; a third one does not wait until clients have received the error.
    Raises ``KeyboardInterrupt`` after Ctrl-C.
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            gc.collect()
            gc.freeze()  # without it a full collection, with all imported modules, takes 80 ms
            gc.set_threshold(*COLLECT_AFTER)
            greet(self.servers[0].sockets[0].getsockname()[1])

        interrupts = 0

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
            """Note the signal; uvicorn's own method raises it again in the middle of the loop."""
            runs.draining = True
            if sig == signal.SIGINT:  # after a SIGTERM it counts as the second Ctrl-C
                self.interrupts = max(self.interrupts, int(self.should_exit)) + 1
            self.should_exit = True

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Keep listening while runs go on, so that ``/ready`` can tell about the drain."""
            runs.drain()
            await self._idle(drain_seconds, interrupts=2)
            runs.end()
            await self._idle(GOODBYE_SECONDS, interrupts=3)
            await super().shutdown(sockets)

        async def _idle(self, seconds: float, *, interrupts: int) -> None:
            with anyio.move_on_after(seconds):
                while self.server_state.tasks and self.interrupts < interrupts:  # noqa: ASYNC110
                    await anyio.sleep(0.05)  # uvicorn has no event for it

    config = uvicorn.Config(
        _Quiet(app),
        http=BoundedHead,
        ws="none",  # also where a library for websockets is installed
        host=host,
        port=port,
        log_level="info",
        log_config=_log_config(),
        server_header=False,
        timeout_graceful_shutdown=1,  # seconds, after the drain
    )
    server = Server(config)
    server.run()
    if server.interrupts:
        raise KeyboardInterrupt


class _Quiet:
    """The app, without a traceback in the log for requests that uvicorn cancels at its end."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with suppress(anyio.get_cancelled_exc_class()):
            await self._app(scope, receive, send)


def _log_config() -> dict[str, Any]:
    """uvicorn's own configuration, and this library's lines beside uvicorn's."""
    own = {"massgen_compat": {"handlers": ["default"], "level": "INFO"}}
    return {**LOGGING_CONFIG, "loggers": {**LOGGING_CONFIG["loggers"], **own}}


@contextmanager
def serving(app: Any, http: type[BoundedHead] = BoundedHead) -> Generator[str]:
    """Serve an app on a free loopback port for the time of a ``with``; yields its URL.

    Raises ``RuntimeError`` if the app does not start.
    """
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            try:
                await super().startup(sockets)
            finally:
                ready.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=http, ws="none", log_level="warning")
        server = Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        ready.wait()
        if not server.started:
            raise RuntimeError("the app did not start; the log says why")
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
