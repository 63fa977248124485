"""The connection to one client: writing ends when it is gone, or reads nothing for too long."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from time import monotonic
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel

_Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[_Message]]
Send: TypeAlias = Callable[[_Message], Awaitable[None]]


class ClientConnection:
    """The connection to one client. One task writes to it, and another one watches it.

    A client counts as gone if a write is not taken for ``write_seconds``. ``beat``, if it is set,
    is called after each silence of ``beat_seconds``, to send a sign of life. The watching task
    wakes seldom: it costs the same however many chunks are written.
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
        self._since = monotonic()  # the beginning of this write, or of this silence

    async def while_connected(
        self, answer: Callable[..., Awaitable[None]], *arguments: object
    ) -> None:
        """Call ``answer`` with the arguments, and cancel it when the client is gone."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope)
            await answer(*arguments)
            self._answered = True
            # After a whole response most servers report a disconnect at once. If the watching task
            # has seen it, it has ended by itself.
            await anyio.lowlevel.checkpoint()
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
        """Watch for the client's disconnect, for a write that is not taken, and for a silence.

        It never sleeps for longer than the shorter of both times, so that it sees a write that has
        begun meanwhile before that write's time is over.
        """
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
