"""The library as a server for measuring: ``python -m benchmarks.served URL [WORKERS]``.

Prints its port. Teams ``single``, ``trio`` and, for growth, ``team1`` … ``team16``, all on the same
upstream. ``HTTP=httpx`` in the environment: the SDK's default transport instead of aiohttp's.
"""

import gc
import os
import socket
import sys

import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import COLLECT_AFTER

URL = "BENCHMARK_UPSTREAM"


def make_app() -> Starlette:
    """The app of one process: a factory, as uvicorn wants it for several."""
    if os.environ.get("HTTP") == "httpx":
        sys.modules["aiohttp"] = None  # type: ignore[assignment] - as if it were not installed
    backend = Backend(type="chatcompletion", base_url=os.environ[URL], api_key="none")
    sizes = {"single": 1, "trio": 3, **{f"team{size}": size for size in (1, 2, 4, 8, 16)}}
    teams = [
        Team(name, [Agent(f"agent_{i}", model="m", backend=backend) for i in range(size)])
        for name, size in sizes.items()
    ]
    app = create_app(MassGen(*teams), max_runs=100_000)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)  # both as ``massgen-compat serve`` does
    return app


def main() -> None:
    """Serve on a free port until killed."""
    os.environ[URL] = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    config = uvicorn.Config(
        "benchmarks.served:make_app", factory=True, workers=count, log_level="warning"
    )
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        if count > 1:
            Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
