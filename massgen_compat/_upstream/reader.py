"""The bytes of a reply are read as the events of a turn, on either wire. Pure.

``Splitter`` finds the payloads in an event stream, ``Payloads`` also reads a reply that is not
streamed, and ``ReplyReader`` gives each payload to the parser of its wire.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol, cast

from jiter import from_json

from massgen_compat._run.message import Json
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Reply, TurnEvent, TurnPiece
from massgen_compat._upstream import chat, responses
from massgen_compat.errors import UpstreamMalformed

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""The most bytes of one event, or of a JSON body. ``response.completed`` has the whole reply."""

_BOM: Final = b"\xef\xbb\xbf"


class Payloads:
    """Finds the payloads of one body: those of its events, or the body itself if it is an object.

    Some servers answer a request for a stream with the whole reply, and not all of them say so in
    the content type. But no line of an event stream begins with a brace.
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
        """The body, if it is one JSON object. The rest of an event that was cut is dropped."""
        if self._kind == b"{":
            yield bytes(self._head).removeprefix(_BOM)


class Splitter:
    """Finds the payloads of an event stream; other fields of its events are ignored."""

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._first = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The payloads that the next bytes complete.

        Raises ``UpstreamMalformed`` for an event beyond the limit.
        """
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


_DONE: Final = b"[DONE]"


class ReplyParser(Protocol):
    """Reads the payloads of one reply, on one wire."""

    @property
    def complete(self) -> bool:
        """Whether all of the reply has come, so that a break does no harm any more."""
        ...

    @property
    def done(self) -> bool:
        """Whether nothing that matters can follow."""
        ...

    def feed(self, event: Json) -> Iterable[TurnPiece]:
        """The pieces of one payload. Raises the error that the provider reports in it."""
        ...

    def finish(self) -> Reply:
        """The reply. Raises ``UpstreamMalformed`` if it was cut."""
        ...


def parser_of(api: Api) -> ReplyParser:
    """A parser for the next reply on that wire."""
    return responses.ResponsesReplyParser() if api == "responses" else chat.ChatReplyParser()


class ReplyReader:
    """Reads the body of one reply.

    The events do not depend on how the bytes were cut. Both methods raise ``UpstreamMalformed`` for
    what is no stream of JSON objects, and what the parsers raise for errors of the provider.
    """

    def __init__(self, api: Api, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._payloads = Payloads(max_event_bytes=max_event_bytes)
        self._parser = parser_of(api)
        self._replied = False

    @property
    def replied(self) -> bool:
        """Whether the ``Reply`` was given. Bytes after it are ignored."""
        return self._replied

    @property
    def complete(self) -> bool:
        """Whether all of the reply has come, also if the connection breaks now."""
        return self._parser.complete

    def feed(self, chunk: bytes) -> Iterator[TurnEvent]:
        """The events that the next bytes complete; the ``Reply`` is the last of all."""
        return self._read(self._payloads.feed(chunk))

    def close(self) -> Iterator[TurnEvent]:
        """The events that the end of the body completes: at least the ``Reply``, or an error."""
        yield from self._read(self._payloads.close())
        if not self._replied:
            yield self._reply()

    def _read(self, payloads: Iterator[bytes]) -> Iterator[TurnEvent]:
        parser = self._parser
        for payload in payloads:
            if self._replied:
                return
            if payload.strip() == _DONE:
                yield self._reply()
                return
            yield from parser.feed(_object(payload))
            if parser.done:
                yield self._reply()

    def _reply(self) -> Reply:
        reply = self._parser.finish()
        self._replied = True
        return reply


def _object(payload: bytes) -> dict[str, Any]:
    try:
        value: object = from_json(payload)
    except ValueError as error:
        raise UpstreamMalformed("the provider sent something that is not JSON") from error
    if not isinstance(value, dict):
        raise UpstreamMalformed("the provider sent JSON that is not an object")
    return cast("dict[str, Any]", value)
