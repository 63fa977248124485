"""The way to one client: writes that end when it is gone, or when it reads nothing for too long."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from typing import Any, TypeAlias

import anyio
from anyio.abc import TaskGroup

_Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[_Message]]
Send: TypeAlias = Callable[[_Message], Awaitable[None]]


class Pipe:
    """The way to one client. ``last`` is when something was last written to it."""

    def __init__(self, receive: Receive, send: Send, write_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._write_seconds = write_seconds
        self._lock = anyio.Lock(fast_acquire=True)
        self._scope = anyio.CancelScope()
        self._tasks: TaskGroup
        self.last = 0.0

    async def while_connected(
        self, answer: Callable[..., Awaitable[None]], *arguments: object
    ) -> None:
        """Answer, until the client is gone: nobody will read what the agents are paid for."""
        with self._scope:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._watch)
                await answer(*arguments)
                self._tasks.cancel_scope.cancel()

    def meanwhile(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        """Do something beside the answer, until its end."""
        self._tasks.start_soon(work, *arguments)

    async def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send the status and the headers."""
        start: _Message = {
            "type": "http.response.start",
            "status": status,
            "headers": list(headers),
        }
        await self._send(start)

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send a piece of the body. A client that does not take it in time counts as gone."""
        async with self._lock:
            self.last = anyio.current_time()
            with anyio.move_on_after(self._write_seconds) as waiting:
                await self._send({"type": "http.response.body", "body": data, "more_body": more})
            if waiting.cancelled_caught:
                self._scope.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._scope.cancel()
