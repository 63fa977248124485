"""The way to one client: writes that end when it is gone, or when it reads nothing for too long."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from time import monotonic
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel

_Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[_Message]]
Send: TypeAlias = Callable[[_Message], Awaitable[None]]


class ClientConnection:
    """The way to one client. One task writes to it; another one watches, and wakes seldom.

    A client that takes nothing of a write for ``write_seconds`` counts as gone. ``beat`` may be set
    to what breaks a silence of ``beat_seconds``.
    """

    def __init__(
        self, receive: Receive, send: Send, *, write_seconds: float, beat_seconds: float
    ) -> None:
        self.beat: Callable[[], None] | None = None
        self._receive = receive
        self._send = send
        self._write_seconds = write_seconds
        self._beat_seconds = beat_seconds
        self._writing = False
        self._watching = True
        self._answered = False
        self._since = monotonic()  # of this write, or of this silence

    async def while_connected(
        self, answer: Callable[..., Awaitable[None]], *arguments: object
    ) -> None:
        """Answer, until the client is gone: nobody will read what the agents are paid for."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope)
            await answer(*arguments)
            self._answered = True
            await anyio.lowlevel.checkpoint()  # most servers say that the client is gone, then
            if self._watching:
                tasks.cancel_scope.cancel()

    async def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send the status and the headers."""
        start: _Message = {
            "type": "http.response.start",
            "status": status,
            "headers": list(headers),
        }
        await self._send(start)

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send a piece of the body."""
        self._writing, self._since = True, monotonic()
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._writing, self._since = False, monotonic()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """It never sleeps longer than the shorter of both times, so that it sees a write that
        begins meanwhile before its time is over."""
        shortest = min(self._write_seconds, self._beat_seconds)
        while self._watching:
            most = self._write_seconds if self._writing else self._beat_seconds
            left = self._since + most - monotonic()
            if left <= 0 and self._writing:
                scope.cancel()
                return
            if left <= 0:
                self._since = monotonic()
                if self.beat is not None:
                    self.beat()
            with anyio.move_on_after(min(left, shortest) if left > 0 else shortest):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
                self._watching = False
                if not self._answered:
                    scope.cancel()
