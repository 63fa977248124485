"""The upstream of the soak: ``ScriptedServer`` in a process of its own, with two ways to look in.

Model ``quick`` answers at once. Model ``slow`` deliberates at once and then presents ``TOKENS``
words, one a second; before the last one it waits for ``GET /release``, so that a stream stays
open for as long as it is wanted. ``GET /stats`` tells what is under way. ``python -m
benchmarks.soak_upstream SECONDS`` prints its port; it keeps idle connections for so long.
"""

import asyncio
import json
import socket
import sys

import uvicorn

from massgen_compat._run.turn import Phase
from massgen_compat.testing import ScriptedServer, ServedRequest
from massgen_compat.testing.server import Receive, Scope, Send, send_json

TOKENS = 60
SLOW_TEXT = " ".join(f"word{index}" for index in range(TOKENS))
QUICK_TEXT = "Air scatters blue light more than red light."
EVERY_SECONDS = 1.0


class Upstream:
    """An ASGI app: the scripts, the release and the figures."""

    def __init__(self) -> None:
        self._released = asyncio.Event()
        self._calls = 0
        scripts = {"slow": {"draft": SLOW_TEXT}, "quick": {"draft": QUICK_TEXT}}
        pace = {"delay_seconds": 0.002}  # a reply that takes no time at all cannot be cut off
        self._scripted = ScriptedServer(
            {name: {**script, **pace} for name, script in scripts.items()},
            before_token=self._before_token,
            keep_requests=1,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path")
        if path == "/stats":
            await send_json(send, 200, self._stats())
        elif path == "/release":
            self._released.set()
            await send_json(send, 200, {})
        else:
            self._calls += scope["type"] == "http"
            await self._scripted(scope, receive, send)

    def _stats(self) -> dict[str, int]:
        return {
            "open": self._scripted.open_streams,
            "aborted": self._scripted.aborted,
            "calls": self._calls,
        }

    async def _before_token(self, request: ServedRequest, index: int) -> None:
        if request.model != "slow" or request.phase is not Phase.PRESENT:
            return
        if index == TOKENS - 1:
            await self._released.wait()
        elif not self._released.is_set():
            await asyncio.sleep(EVERY_SECONDS)


async def ask(port: int, path: str) -> dict[str, int]:
    """Ask the upstream for ``/stats`` or ``/release``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def main() -> None:
    """Serve on a free port until killed."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(
            Upstream(), log_level="warning", access_log=False, timeout_keep_alive=int(sys.argv[1])
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
