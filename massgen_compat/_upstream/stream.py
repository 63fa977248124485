"""An open response as pieces and a reply, and how it is left.

The bytes come straight from the SDK's HTTP library, ``httpx`` or ``httpx2`` by version; neither is
imported, and none of their errors leaves this module.
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
"""How long the end of a body is waited for after the reply, so that its connection is reused."""

CLOSE_SECONDS: Final = 2.0


class OpenResponse(Protocol):
    """What is used of the response of either HTTP library."""

    @property
    def is_closed(self) -> bool:
        """Whether it was left, or read to its end."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it arrives, with its content encoding undone."""
        ...

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body is not at its end."""
        ...


async def hear_out(
    chunks: AsyncIterator[bytes],
    reader: ReplyReader,
    hear: Hear,
    *,
    unwrapper: Unwrapper | None = None,
) -> Reply:
    """Read a response to its end and tell its pieces: at once those that came at once.

    Returns its reply. Raises as ``receive`` and ``ReplyReader``, when what came before was told.
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
    """The next bytes, or ``None`` at the end, which may be a break when the reply is there."""
    try:
        return await receive(chunks)
    except UpstreamError:
        if reader.complete:
            return None
        raise


async def receive(chunks: AsyncIterator[bytes]) -> bytes | None:
    """The next bytes of a body, or ``None`` at its end.

    Raises ``UpstreamTimeout``, or ``UpstreamMalformed`` for a connection that broke.
    """
    try:
        return await anext(chunks, None)
    except Exception as error:
        # Bytes come straight from the HTTP library, and so do its errors; it is httpx or
        # httpx2, so they cannot be named here. Both call the base of their timeouts the same.
        if any(kind.__name__ == "TimeoutException" for kind in type(error).__mro__):
            raise UpstreamTimeout("the provider stopped answering") from error
        raise UpstreamMalformed("the connection broke in the middle of the reply") from error


async def leave(response: OpenResponse, chunks: AsyncIterator[bytes]) -> None:
    """Abort what is left of the call.

    The generators of the HTTP library are nested; abandoned, they would be closed by the garbage
    collector. A read that is cancelled at once ends all of them and closes the connection.
    """
    if response.is_closed:
        return
    with anyio.move_on_after(0, shield=True):
        await _exhaust(chunks)
    with anyio.move_on_after(CLOSE_SECONDS, shield=True), suppress(Exception):
        await response.aclose()


async def _exhaust(chunks: AsyncIterator[bytes]) -> None:
    """Read to the end. What fails now concerns nobody any more."""
    with suppress(Exception):
        async for _ in chunks:
            pass
