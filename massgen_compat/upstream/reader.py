"""A reply as bytes in, turn events out: what both wires have in common. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol, cast

from jiter import from_json

from massgen_compat.errors import UpstreamMalformed
from massgen_compat.message import Json
from massgen_compat.run import Api
from massgen_compat.turn import Reply, TurnEvent, TurnPiece
from massgen_compat.upstream import chat, responses
from massgen_compat.upstream.sse import MAX_EVENT_BYTES, Payloads

_DONE: Final = b"[DONE]"


class Parser(Protocol):
    """Reads the payloads of one wire."""

    @property
    def complete(self) -> bool:
        """Whether the reply is there, so that a break does no harm any more."""
        ...

    @property
    def done(self) -> bool:
        """Whether nothing that matters can follow."""
        ...

    def feed(self, event: Json) -> Iterable[TurnPiece]:
        """The pieces of one payload."""
        ...

    def finish(self) -> Reply:
        """The reply; raises ``UpstreamMalformed`` where it was cut."""
        ...


class ReplyReader:
    """Reads the body of one reply.

    The events do not depend on how the bytes were cut. Raises ``UpstreamMalformed`` for what is no
    stream of JSON objects, and what the parsers raise for errors that the provider reports.
    """

    def __init__(self, api: Api, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._payloads = Payloads(max_event_bytes=max_event_bytes)
        self._parser: Parser = responses.Parser() if api == "responses" else chat.Parser()
        self._replied = False

    @property
    def replied(self) -> bool:
        """Whether the ``Reply`` was given; bytes after it are of no interest."""
        return self._replied

    @property
    def complete(self) -> bool:
        """Whether the reply is there even if the connection breaks now."""
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
