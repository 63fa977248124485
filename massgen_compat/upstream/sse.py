"""The body of a reply: bytes in, JSON payloads out, however the bytes were cut. Pure.

Server-sent events per the WHATWG (LF, CRLF and CR end a line, a BOM may come first, several data
lines are one payload, what no blank line ends is no event). Names, ids and comments are passed
over: OpenAI's payloads say themselves what they are.
"""

from collections.abc import Iterator
from typing import Final

from massgen_compat.errors import UpstreamMalformed

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""Bytes of one event or of a JSON body; ``response.completed`` repeats the whole reply in one."""

_BOM: Final = b"\xef\xbb\xbf"


class Payloads:
    """The payloads of one body: those of its events, or the body itself where it is one object.

    Some servers answer a request for a stream with the whole reply, and not all of them say so in
    the content type; but no line of an event stream begins with a brace.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._events = Splitter(max_event_bytes=max_event_bytes)
        self._head = bytearray()
        self._kind: bytes | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The payloads that the next bytes complete.

        Raises ``UpstreamMalformed`` for an event, or a body, beyond the limit.
        """
        if self._kind is not None and self._kind != b"{":
            return self._events.feed(chunk)
        self._head += chunk
        if len(self._head) > self._limit:
            raise _too_large(self._limit)
        if self._kind is None and (begun := self._head.lstrip(_BOM + b" \t\r\n")):
            self._kind = bytes(begun[:1])
            if self._kind != b"{":
                return self._events.feed(bytes(self._head))
        return iter(())

    def close(self) -> Iterator[bytes]:
        """The body, if it was one JSON object. What is left of an event was cut, and is dropped."""
        if self._kind == b"{":
            yield bytes(self._head).removeprefix(_BOM)


class Splitter:
    """The payloads of an event stream."""

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._first = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The payloads that the next bytes complete, as ``Payloads.feed``."""
        if self._after_cr and chunk:  # the second half of a CRLF
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        for line in self._lines(chunk):
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
                self._size += len(line)
                if self._size > self._limit:
                    raise _too_large(self._limit)
            elif not line and self._data:
                payload = b"\n".join(self._data)
                self._data.clear()
                self._size = 0
                if payload:
                    yield payload
        if self._size + len(self._line) > self._limit:
            raise _too_large(self._limit)

    def _lines(self, chunk: bytes) -> list[bytes]:
        """The lines that the next bytes end, without their ends."""
        if b"\n" not in chunk and b"\r" not in chunk:
            self._line += chunk
            return []
        text = bytes(self._line) + chunk
        self._line.clear()
        self._after_cr = text.endswith(b"\r")
        lines = text.splitlines()
        if not text.endswith((b"\n", b"\r")):
            self._line += lines.pop()
        if self._first:
            self._first = False
            lines[0] = lines[0].removeprefix(_BOM)
        return lines


def _too_large(limit: int) -> UpstreamMalformed:
    return UpstreamMalformed(f"the provider sent an event of more than {limit} bytes")
