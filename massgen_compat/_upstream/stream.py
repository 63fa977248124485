"""An open response is read, piece by piece, and left.

Its bytes come straight from the SDK's HTTP library, ``httpx`` or ``httpx2``. Neither is imported,
and none of their errors leaves this module.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import chain
from typing import Final, Protocol

import anyio

from massgen_compat._run.turn import Hear, Reply, TurnPiece
from massgen_compat._upstream.freeform import Unwrapper
from massgen_compat._upstream.reader import ReplyReader
from massgen_compat.errors import UpstreamError, UpstreamMalformed, UpstreamTimeout

DRAIN_SECONDS: Final = 0.1
"""How long to wait for the end of a body after the reply, so that its connection is used again."""

CLOSE_SECONDS: Final = 2.0


class OpenResponse(Protocol):
    """The part of a response that is used; it is the same in both HTTP libraries."""

    @property
    def is_closed(self) -> bool:
        """Whether the response was closed, or read to its end."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it arrives, with its content encoding undone."""
        ...

    async def aclose(self) -> None:
        """Give the connection back, or close it if the body was not read to its end."""
        ...


async def hear_out(
    chunks: AsyncIterator[bytes],
    reader: ReplyReader,
    hear: Hear,
    *,
    unwrapper: Unwrapper | None = None,
) -> Reply:
    """Read a response to its end and return its reply. Pieces that came together are told together.

    Raises what ``receive`` and ``ReplyReader`` raise, after the pieces before were told.
    """
    reply: Reply | None = None
    while reply is None:
        chunk = await _receive(chunks, reader)
        events = reader.close() if chunk is None else reader.feed(chunk)
        if unwrapper is not None:
            events = chain.from_iterable(map(unwrapper.feed, events))
        pieces: list[TurnPiece] = []
        try:
            for event in events:
                if isinstance(event, Reply):
                    reply = event
                else:
                    pieces.append(event)
        finally:
            if pieces:
                await hear(pieces)
    with anyio.move_on_after(DRAIN_SECONDS):
        await _exhaust(chunks)
    return reply


async def _receive(chunks: AsyncIterator[bytes], reader: ReplyReader) -> bytes | None:
    """The next bytes, or ``None`` at the end. A break counts as the end if the reply has come."""
    try:
        return await receive(chunks)
    except UpstreamError:
        if reader.complete:
            return None
        raise


async def receive(chunks: AsyncIterator[bytes]) -> bytes | None:
    """The next bytes of a body, or ``None`` at its end.

    Raises ``UpstreamTimeout``, or ``UpstreamMalformed`` if the connection broke.
    """
    try:
        return await anext(chunks, None)
    except Exception as error:
        # This is an error of httpx or of httpx2, so its class cannot be named here. In both
        # libraries the base class of timeouts has the same name.
        if any(kind.__name__ == "TimeoutException" for kind in type(error).__mro__):
            raise UpstreamTimeout("the provider stopped answering") from error
        raise UpstreamMalformed("the connection broke in the middle of the reply") from error


async def leave(response: OpenResponse, chunks: AsyncIterator[bytes]) -> None:
    """Abort the call, unless its response was read to the end.

    The HTTP library reads through nested generators. If they were just dropped, the garbage
    collector would have to close them. A read that is cancelled at once ends all of them, and
    closes the connection.
    """
    if response.is_closed:
        return
    with anyio.move_on_after(0, shield=True):
        await _exhaust(chunks)
    with anyio.move_on_after(CLOSE_SECONDS, shield=True), suppress(Exception):
        await response.aclose()


async def _exhaust(chunks: AsyncIterator[bytes]) -> None:
    """Read to the end. The reply has come, or is not wanted, so errors are of no interest."""
    with suppress(Exception):
        async for _ in chunks:
            pass
