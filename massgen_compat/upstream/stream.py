"""An open response as the events of a turn, and how it is left.

The bytes come straight from the SDK's HTTP library, ``httpx`` or ``httpx2`` by version; neither is
imported, and none of their errors leaves this module.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Final, Protocol

import anyio

from massgen_compat.errors import UpstreamError, UpstreamMalformed, UpstreamTimeout
from massgen_compat.policies.request import Shaped
from massgen_compat.turn import Reply, TurnEvent
from massgen_compat.upstream.freeform import Unwrapper
from massgen_compat.upstream.reader import ReplyReader

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


class EventStream(AsyncIterator[TurnEvent]):
    """The events of one response. A class, because a generator would have to be closed."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        reader: ReplyReader,
        request: Shaped,
        *,
        unwrapper: Unwrapper | None = None,
    ) -> None:
        self._chunks = chunks
        self._reader = reader
        self._request = request
        self._unwrapper = unwrapper
        self._ready: Iterator[TurnEvent] = iter(())

    async def __anext__(self) -> TurnEvent:
        while (event := next(self._ready, None)) is None:
            if self._reader.replied:
                with anyio.move_on_after(DRAIN_SECONDS):
                    await _exhaust(self._chunks)
                raise StopAsyncIteration
            chunk = await self._receive()
            heard = self._reader.close() if chunk is None else self._reader.feed(chunk)
            if self._unwrapper is not None:
                heard = chain.from_iterable(map(self._unwrapper.feed, heard))
            self._ready = heard
        if isinstance(event, Reply):
            asked = self._request
            if asked.effort is None and not asked.dropped:
                return event
            return replace(event, effort_asked=asked.effort, dropped=asked.dropped)
        return event

    async def _receive(self) -> bytes | None:
        """The next bytes, or ``None`` at the end."""
        try:
            return await receive(self._chunks)
        except UpstreamError:
            if self._reader.complete:
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
