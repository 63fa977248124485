"""Queues, notifiers and timers for the tasks of one event loop, and work in a thread.

anyio has such things, too. But its memory streams and locks yield to the event loop for every item,
and its events take several microseconds to make and to wait for. With a task or two between a
provider's token and the client, that was most of what a token cost. Here a task waits only where
there is nothing to take. A task that always finds an item therefore never yields, so that the queue
which it reads has to be bounded.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from math import inf
from typing import Final, Generic, TypeVar, cast

import anyio
import anyio.to_thread
import sniffio
from anyio.abc import TaskGroup
from anyio.lowlevel import RunVar

from massgen_compat.events import Sink

Item = TypeVar("Item")


class Notifier:
    """Wakes the tasks that wait for something to change.

    On asyncio the tasks wait for plain futures, of which anyio's events are made there. On trio
    they wait for anyio's events. A notification for which nobody waits is lost.
    """

    __slots__ = ("_events", "_futures")

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []
        self._events: list[anyio.Event] = []

    def notify(self) -> None:
        """Wake all tasks that wait now."""
        if self._futures:
            for future in self._futures:
                if not future.done():  # it is done if its task was cancelled
                    future.set_result(None)
            self._futures.clear()
        elif self._events:
            for event in self._events:
                event.set()
            self._events.clear()

    async def wait(self) -> None:
        """Wait for the next notification."""
        if sniffio.current_async_library() == "asyncio":
            future = asyncio.get_running_loop().create_future()
            self._futures.append(future)
            await future
        else:
            event = anyio.Event()
            self._events.append(event)
            await event.wait()


class LoopTimer:
    """Calls ``due`` at once, and again after the seconds that each call returns, until stopped.

    On asyncio this is a timer of the event loop; on trio it is a task in ``tasks``.
    """

    __slots__ = ("_context", "_due", "_loop", "_sooner", "_stopped", "_timer")

    def __init__(self, due: Callable[[], float], tasks: TaskGroup) -> None:
        self._due = due
        self._timer: asyncio.TimerHandle | None = None
        self._sooner = Notifier()
        self._stopped = False
        if sniffio.current_async_library() == "asyncio":
            self._loop = asyncio.get_running_loop()
            # A timer runs outside of a task, where anyio cannot tell by itself which loop it is on.
            self._context = copy_context()
            self._context.run(sniffio.current_async_library_cvar.set, "asyncio")
            self._run()
        else:
            tasks.start_soon(self._wait)

    def sooner(self) -> None:
        """Call ``due`` now, because it is due earlier than its last call said."""
        if self._timer is None:
            self._sooner.notify()
        else:
            self._timer.cancel()
            self._run()

    def stop(self) -> None:
        """Never call ``due`` again."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self._sooner.notify()

    def _run(self) -> None:
        seconds = self._due()
        if not self._stopped:
            self._timer = self._loop.call_later(seconds, self._run, context=self._context)

    async def _wait(self) -> None:
        while not self._stopped:
            with anyio.move_on_after(self._due()):
                await self._sooner.wait()


class Channel(Generic[Item]):
    """A queue of at most ``room`` items. While it is full, ``send`` waits; ``widen`` ends that.

    It is a list, because an empty deque takes 760 bytes.
    """

    __slots__ = ("_arrived", "_closed", "_items", "_room", "_taken")

    def __init__(self, room: float) -> None:
        self._room = room
        self._items: list[Item] = []
        self._arrived = Notifier()
        self._taken = Notifier()
        self._closed = False

    async def send(self, item: Item, /) -> None:
        """Add an item as soon as there is room."""
        while len(self._items) >= self._room:
            await self._taken.wait()
        self.push(item)

    def push(self, item: Item) -> None:
        """Add an item at once, whether or not there is room."""
        self._items.append(item)
        self._arrived.notify()

    async def receive(self) -> Item:
        """The next item. Raises ``anyio.EndOfStream`` after the last one."""
        while not self._items:
            if self._closed:
                raise anyio.EndOfStream
            await self._arrived.wait()
        item = self._items.pop(0)
        self._taken.notify()
        return item

    def held(self) -> tuple[Item, ...]:
        """The items that were sent and not received yet."""
        return tuple(self._items)

    def widen(self) -> None:
        """Remove the bound, so that no sender waits any more."""
        self._room = inf
        self._taken.notify()

    def close(self) -> None:
        """End the queue. The items that it holds can still be received."""
        self._closed = True
        self._arrived.notify()


@asynccontextmanager
async def streamed(
    tell: Callable[[Sink[Item]], Awaitable[None]], room: int = 64
) -> AsyncGenerator[AsyncIterator[Item]]:
    """An iterator of the items that ``tell`` sends to the sink which it is called with.

    ``tell`` runs in a task for as long as the context is open; leaving the context cancels it. It
    may be ``room`` items ahead of the iterator. If it raises an exception, the iterator raises the
    same one after the items.
    """
    reader = _Reader[Item](room)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader.follow, tell)
            yield reader
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise only(group) from None


class _Reader(AsyncIterator[Item]):
    def __init__(self, room: int) -> None:
        self._channel = Channel[Item](room)
        self._error: Exception | None = None

    async def follow(self, tell: Callable[[Sink[Item]], Awaitable[None]]) -> None:
        try:
            await tell(self._channel)
        except Exception as error:  # noqa: BLE001 - the iterator raises it
            self._error = error
        finally:
            self._channel.close()

    async def __anext__(self) -> Item:
        try:
            return await self._channel.receive()
        except anyio.EndOfStream:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None


def only(error: BaseException) -> BaseException:
    """The error inside of exception groups, if there is a single one; else the group."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return only(group.exceptions[0]) if len(group.exceptions) == 1 else group


_Result = TypeVar("_Result")

_LIMITER: Final = RunVar[anyio.CapacityLimiter]("massgen_compat._aio")


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Do the work in a thread, one piece of work at a time for each event loop.

    Each of several busy threads would hold the interpreter's lock for 5 ms at a time, while the
    event loop waits for it.
    """
    limiter = _LIMITER.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(1)
        _LIMITER.set(limiter)
    return await anyio.to_thread.run_sync(work, limiter=limiter)
