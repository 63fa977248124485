"""uvicorn, and the only importer of it: a server that drains when it is told to stop, and one for
the time of a ``with``."""

import gc
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Protocol

import anyio
import uvicorn
from uvicorn.config import LOGGING_CONFIG

from massgen_compat.cli.uvicorn_limits import BoundedHead

GOODBYE_SECONDS = 1
"""How long the clients of the runs that are ended then have to hear of it."""


COLLECT_AFTER = (20_000, 10, 5)
"""The garbage collector looks less often than by default (700, 10, 10): with a hundred runs open it
took a seventh of the CPU, to find next to nothing. It looks through everything after a million
objects, since runs that fail or are cancelled leave cycles behind."""


class Drained(Protocol):
    """What is told that the server stops."""

    draining: bool

    def drain(self) -> None:
        """Refuse new runs; open ones go on."""
        ...

    def end(self) -> None:
        """End the open runs."""
        ...


def serve_until_stopped(
    app: Any,
    runs: Drained,
    *,
    host: str,
    port: int,
    drain_seconds: float,
    greet: Callable[[int], None],
) -> None:
    """Serve ``app`` until SIGTERM or Ctrl-C; ``greet`` is told the port as soon as it listens.

    Then ``runs`` drain for so long, while the server still answers; a second Ctrl-C ends them at
    once, a third waits for no client to hear of it. Raises ``KeyboardInterrupt`` after Ctrl-C.
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            gc.collect()
            gc.freeze()  # else a full collection, also of all that was imported, takes 80 ms
            gc.set_threshold(*COLLECT_AFTER)
            greet(self.servers[0].sockets[0].getsockname()[1])

        interrupts = 0

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
            """In place of uvicorn's, which raises each signal again in the middle of the loop."""
            runs.draining = True
            if sig == signal.SIGINT:  # after a SIGTERM it is the second word, too
                self.interrupts = max(self.interrupts, int(self.should_exit)) + 1
            self.should_exit = True

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Keep listening while runs go on, so that ``/ready`` can say that this drains."""
            runs.drain()
            await self._idle(drain_seconds, interrupts=2)
            runs.end()
            await self._idle(GOODBYE_SECONDS, interrupts=3)
            await super().shutdown(sockets)

        async def _idle(self, seconds: float, *, interrupts: int) -> None:
            with anyio.move_on_after(seconds):
                while self.server_state.tasks and self.interrupts < interrupts:  # noqa: ASYNC110
                    await anyio.sleep(0.05)  # uvicorn has no event for it

    config = uvicorn.Config(
        _Quiet(app),
        http=BoundedHead,
        ws="none",  # there are none, whatever is installed
        host=host,
        port=port,
        log_level="info",
        log_config=_log_config(),
        server_header=False,
        timeout_graceful_shutdown=1,  # after the drain
    )
    server = Server(config)
    server.run()
    if server.interrupts:
        raise KeyboardInterrupt


class _Quiet:
    """An app whose requests end without a traceback when uvicorn cancels what hangs at its end."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with suppress(anyio.get_cancelled_exc_class()):
            await self._app(scope, receive, send)


def _log_config() -> dict[str, Any]:
    """uvicorn's own, and beside its lines those of this library."""
    own = {"massgen_compat": {"handlers": ["default"], "level": "INFO"}}
    return {**LOGGING_CONFIG, "loggers": {**LOGGING_CONFIG["loggers"], **own}}


@contextmanager
def serving(app: Any, http: type[BoundedHead] = BoundedHead) -> Generator[str]:
    """Serve an app on a free loopback port for the time of a ``with``; yields its URL."""
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            try:
                await super().startup(sockets)
            finally:
                ready.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=http, ws="none", log_level="warning")
        server = Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        ready.wait()
        if not server.started:
            raise RuntimeError("the app did not start; the log says why")
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
