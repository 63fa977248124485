"""A server in a process of its own that measures how long its event loop was busy.

``python -m tests.hostile.probed URL``: a team of three agents, of which the first asks a model at
``URL`` and the others are scripts. Its address stands on stderr. ``GET /longest`` tells the longest
time, in milliseconds, between two ticks of a clock of 1 ms, and begins anew.
"""

import gc
import json
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

import anyio
import uvicorn

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat.asgi import create_app

TICK = 0.001


class Probed:
    """An ASGI app with the clock beside it, on the same event loop."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._longest = 0.0

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tick)
                await self._app(scope, receive, send)
                tasks.cancel_scope.cancel()
        elif scope["path"] == "/longest":
            body = json.dumps(1000 * (self._longest - TICK)).encode()
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            self._longest = 0.0
            await send({"type": "http.response.body", "body": body})
        else:
            await self._app(scope, receive, send)

    async def _tick(self) -> None:
        while True:
            before = time.perf_counter()
            await anyio.sleep(TICK)
            self._longest = max(self._longest, time.perf_counter() - before)


def main() -> None:
    team = Team(
        "team",
        [
            Agent("a", model="m", backend=Backend(type="vllm", base_url=sys.argv[1])),
            Agent("b", model="m", backend=Backend(type="vllm", base_url=sys.argv[1])),
            Agent("c", model="m", backend=Backend(type="vllm", base_url=sys.argv[1])),
        ],
    )
    app = Probed(create_app(MassGen(team, env={})))
    gc.collect()
    gc.freeze()  # as `massgen-compat serve` does
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stderr.write(f"http://127.0.0.1:{listener.getsockname()[1]}\nready\n")
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listener])


if __name__ == "__main__":
    main()
