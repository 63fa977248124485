"""The head of a request is bounded: its size, its headers, and the time that it takes.

httptools, uvicorn's parser, has no bound for any of them, and uvicorn has no timeout for a head. An
app sees a request only when its head is complete, and never sees the trailers of a body in chunks,
so this has to be done where bytes arrive. For a server of your own:
``uvicorn.run(app, http=BoundedHead)``.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from massgen_compat.protocol.errors import ErrorReply, head_too_large, not_http, too_slow

MAX_HEAD_BYTES: Final = 64 * 1024
"""The request line and all headers, or what stands between two pieces of a body: extensions of
chunks, trailers. Browsers and proxies send a few kilobytes."""

MAX_HEADERS: Final = 128

HEAD_SECONDS: Final = 20.0
"""From a connection's first byte of a request, or from its opening, to the end of the head. Also
what is left for a body after its response, which most often refuses it."""


_TOO_LARGE: Final = head_too_large(MAX_HEAD_BYTES, MAX_HEADERS)


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol, with 431 for a head that is too large and 408 for one that is late.

    A connection that sends nothing at all, or goes on with a body that was answered already, is
    closed without a word.
    """

    head_seconds = HEAD_SECONDS

    _size = 0
    _begun = False
    _within = True
    _counts = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn
        """Expect a request."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what is no body, whatever the parser has made of it yet."""
        if self.transport.is_closing():  # refused; what still arrives is not looked at
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
        """Take a header, unless it is one too many."""
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
        """Take a piece of a body that belongs to a request."""
        self._progress()
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The next bytes are a head again."""
        self._arrived()
        self._within = True
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """A body that nobody reads any more has to end soon."""
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
            self.transport.close()  # a response is being written, and no other fits into it
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

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text, without a shape
        """Refuse what is no HTTP in the shape of all errors."""
        self._refuse(not_http())
