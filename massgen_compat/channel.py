"""Values from task to task within one event loop: a bounded queue, and the bell that it rings.

anyio's memory streams and locks yield to the event loop for every item, and its events take several
microseconds to make and to wait for: with a task or two between a provider's token and the client,
that was most of what a token cost. Here nobody waits who does not have to. A task that finds
something every time goes on without yielding, so what it reads from has to be bounded.
"""

import asyncio
from collections import deque
from math import inf
from typing import Generic, TypeVar

import anyio
import sniffio

Item = TypeVar("Item")


class Bell:
    """Wakes the tasks that wait for something to change, if there are any.

    On asyncio they wait for futures, which is what anyio's events are made of there.
    """

    __slots__ = ("_events", "_futures")

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []
        self._events: list[anyio.Event] = []

    def ring(self) -> None:
        """Wake all that wait."""
        if self._futures:
            for future in self._futures:
                if not future.done():  # else its task was cancelled
                    future.set_result(None)
            self._futures.clear()
        elif self._events:
            for event in self._events:
                event.set()
            self._events.clear()

    async def wait(self) -> None:
        """Wait until it rings."""
        if sniffio.current_async_library() == "asyncio":
            future = asyncio.get_running_loop().create_future()
            self._futures.append(future)
            await future
        else:
            event = anyio.Event()
            self._events.append(event)
            await event.wait()


class Channel(Generic[Item]):
    """A queue of at most ``room`` items; who sends more waits, until it is ``widened``."""

    __slots__ = ("_arrived", "_closed", "_items", "_room", "_taken")

    def __init__(self, room: int) -> None:
        self._room: float = room
        self._items: deque[Item] = deque()
        self._arrived = Bell()
        self._taken = Bell()
        self._closed = False

    async def send(self, item: Item) -> None:
        """Add an item, as soon as there is room."""
        while len(self._items) >= self._room:
            await self._taken.wait()
        self._items.append(item)
        self._arrived.ring()

    async def receive(self) -> Item:
        """The next item. Raises ``anyio.EndOfStream`` after the last one."""
        while not self._items:
            if self._closed:
                raise anyio.EndOfStream
            await self._arrived.wait()
        item = self._items.popleft()
        self._taken.ring()
        return item

    def widen(self) -> None:
        """Let nobody wait any more: whoever sends has little left to say."""
        self._room = inf
        self._taken.ring()

    def close(self) -> None:
        """There is no more."""
        self._closed = True
        self._arrived.ring()
