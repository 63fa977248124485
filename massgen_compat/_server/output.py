"""The events of an answer, for one client or several: kept while the run lives, so that a retry
can join.

Memory is bounded: while there is room, the fastest reader sets the pace and the others read what
is kept; beyond ``keep_bytes`` what all have read is dropped, nobody can join any more, and the
slowest reader sets the pace.
"""

from collections.abc import Sequence
from math import inf
from typing import Final, Self

from massgen_compat._aio import Notifier
from massgen_compat.protocol.answer import WireEvent

AHEAD: Final = 64
"""Events that a run may be ahead of the reader that sets its pace."""

KEEP_BYTES: Final = 4 * 1024 * 1024
"""What is kept of one run: about 14 000 chunks."""


class Output:
    """The events of an answer, from its beginning."""

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
        """How many read at the moment."""
        return len(self._readers)

    @property
    def whole(self) -> bool:
        """Whether the beginning is still there."""
        return not self._dropped

    def reader(self) -> "Reader":
        """Read from the beginning. Raises ``RuntimeError`` where it is not there any more."""
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
        """Wait for no reader any more: there is little left to say."""
        self._keep_bytes, self._ahead = inf, inf
        self.stir()

    def close(self) -> None:
        """There is no more."""
        self._closed = True
        self.stir()

    def leave(self, reader: "Reader") -> None:
        """Forget a reader."""
        self._readers.discard(reader)
        self.stir()

    def since(self, position: int) -> list[WireEvent]:
        """The events from that number on that are there."""
        return self._events[position - self._dropped :]

    def ends_at(self, position: int) -> bool:
        """Whether no event has that number, nor will have."""
        return self._closed and position == self._dropped + len(self._events)

    async def change(self) -> bool:
        """Wait for a change; whether there can be one."""
        if self._closed:
            return False
        await self._changed.wait()
        return True

    def stir(self) -> None:
        """Wake who waits for a change."""
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
    """A client's place in an output; leaving the ``with`` gives it up."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._interjected: Sequence[WireEvent] = ()
        self.position = 0

    @property
    def at_end(self) -> bool:
        """Whether it has read all that there is, and will be."""
        return self._output.ends_at(self.position)

    async def read(self) -> Sequence[WireEvent]:
        """All events that are there, at least one; none after the last one."""
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
        """Let this reader read something that is no part of the output, if nothing of that comes
        first."""
        self._interjected = events
        self._output.stir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._output.leave(self)
