"""The events of an answer, kept while the run lives, so that several clients can read them.

Memory is bounded. Up to ``keep_bytes`` all events are kept: a retry can join and read from the
beginning, and the run waits for the fastest reader only. Beyond that, events that all readers have
read are dropped: nobody can join any more, and the run waits for the slowest reader.
"""

from collections.abc import Sequence
from math import inf
from typing import Final, Self

from massgen_compat._aio import Notifier
from massgen_compat.protocol.answer import WireEvent

AHEAD: Final = 64
"""How many events a run may be ahead of the reader that it waits for."""

KEEP_BYTES: Final = 4 * 1024 * 1024
"""Bytes that are kept of one run: about 14 000 chunks."""


class Output:
    """The events of one answer, from its beginning: a sink for the run, and readers of it."""

    def __init__(self, keep_bytes: int = KEEP_BYTES, ahead: int = AHEAD) -> None:
        self._keep_bytes: float = keep_bytes
        self._ahead: float = ahead
        self._events: list[WireEvent] = []
        self._dropped = 0
        self._size = 0
        self._readers: set[Reader] = set()
        self._closed = False
        self._changed = Notifier()

    @property
    def readers(self) -> int:
        """How many readers there are."""
        return len(self._readers)

    @property
    def whole(self) -> bool:
        """Whether no event has been dropped, so that another reader can join."""
        return not self._dropped

    def reader(self) -> "Reader":
        """A new reader at the beginning. Raises ``RuntimeError`` if that was dropped."""
        if not self.whole:
            raise RuntimeError("the beginning of this output was dropped")
        reader = Reader(self)
        self._readers.add(reader)
        self.stir()
        return reader

    async def send(self, event: WireEvent, /) -> None:
        """Add an event; waits while the readers are too far behind."""
        while not self._has_room():
            await self._changed.wait()
        self._events.append(event)
        self._size += len(event.data)
        self._changed.notify()

    def widen(self) -> None:
        """From now on keep everything and wait for no reader: little will follow."""
        self._keep_bytes, self._ahead = inf, inf
        self.stir()

    def close(self) -> None:
        """End the output: readers get what is left, and no more will come."""
        self._closed = True
        self.stir()

    def leave(self, reader: "Reader") -> None:
        """Forget a reader; the run does not wait for it any more."""
        self._readers.discard(reader)
        self.stir()

    def since(self, position: int) -> list[WireEvent]:
        """The events that are there, from the given number on."""
        return self._events[position - self._dropped :]

    def ends_at(self, position: int) -> bool:
        """Whether the output is closed, and has no event of that number."""
        return self._closed and position == self._dropped + len(self._events)

    async def change(self) -> bool:
        """Wait for a change. Returns false at once if the output is closed."""
        if self._closed:
            return False
        await self._changed.wait()
        return True

    def stir(self) -> None:
        """Wake all that wait for a change."""
        self._changed.notify()

    def _has_room(self) -> bool:
        end = self._dropped + len(self._events)
        if self._size < self._keep_bytes:
            least = end - self._ahead
            for reader in self._readers:
                if reader.position > least:
                    return True
            return not self._readers
        if not self._readers:
            return False
        slowest = min(reader.position for reader in self._readers)
        read = slowest - self._dropped
        self._size -= sum(len(event.data) for event in self._events[:read])
        del self._events[:read]
        self._dropped = slowest
        return end - slowest < self._ahead


class Reader:
    """Reads an output from its beginning, for one client. Leaving the ``with`` block ends it."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._interjected: Sequence[WireEvent] = ()
        self.position = 0

    @property
    def at_end(self) -> bool:
        """Whether the output is closed and this reader has read all of it."""
        return self._output.ends_at(self.position)

    async def read(self) -> Sequence[WireEvent]:
        """Wait for unread events and return all of them; none after the end of the output."""
        while True:
            if events := self._output.since(self.position):
                self.position += len(events)
                self._interjected = ()
                self._output.stir()
                return events
            if self._interjected:
                events, self._interjected = self._interjected, ()
                return events
            if not await self._output.change():
                return ()

    def interject(self, events: Sequence[WireEvent]) -> None:
        """Give this reader events that are not part of the output.

        ``read`` returns them once, unless an event of the output comes first.
        """
        self._interjected = events
        self._output.stir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._output.leave(self)
