"""Where the time of a run goes: ``python -m benchmarks.profiled [TEAM [RUNS]]``.

A server under cProfile answers one client on an upstream without delay; the time that functions
take themselves is summed by package. cProfile makes calls dearer than they are, so read the shares.
"""

import cProfile
import os
import pstats
import socket
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import uvicorn

from benchmarks.load import crowd, payload
from benchmarks.loops import run
from benchmarks.served import URL, make_app
from benchmarks.stage import NO_DELAY, started

PARTS = {
    "openai": "the SDK",
    "httpx2": "the SDK's HTTP client",
    "httpx": "the SDK's HTTP client",
    "aiohttp": "the SDK's transport (aiohttp)",
    "pydantic": "pydantic",
    "anyio": "anyio, asyncio, contextlib",
    "sniffio": "anyio, asyncio, contextlib",
    "asyncio": "anyio, asyncio, contextlib",
    "contextlib.py": "anyio, asyncio, contextlib",
    "uvicorn": "uvicorn and starlette",
    "starlette": "uvicorn and starlette",
}


def part_of(path: str) -> str:
    """The part of the program that a source file belongs to."""
    if "massgen_compat/" in path:
        own = path.rpartition("massgen_compat/")[2]
        return f"massgen_compat: {own.partition('/')[0].removesuffix('.py')}"
    words = path.rpartition("site-packages/")[2].split("/")
    for word in words:
        if word in PARTS:
            return PARTS[word]
    return "built-in functions" if path == "~" else "the rest"


def shares(profile: cProfile.Profile) -> list[tuple[str, float]]:
    """The share of each part, the largest first."""
    stats = cast("Mapping[tuple[str, int, str], Any]", cast("Any", pstats.Stats(profile)).stats)
    spent = Counter[str]()
    for (path, _, _), (_, _, own, _, callers) in stats.items():
        if path != "~":
            spent[part_of(path)] += own
            continue
        for (caller, _, _), (_, _, took, _) in callers.items():  # a built-in counts for its caller
            spent[part_of(caller)] += took
    whole = sum(spent.values())
    return [(part, took / whole) for part, took in spent.most_common()]


def main() -> None:
    """Print a table of shares."""
    team = sys.argv[1] if len(sys.argv) > 1 else "trio"
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with (
        started("benchmarks.upstream", *NO_DELAY) as upstream,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        os.environ[URL] = upstream.url
        server = uvicorn.Server(uvicorn.Config(make_app(), log_level="warning"))
        port = listener.getsockname()[1]

        def ask() -> None:
            run(crowd(port, payload(team), 1, runs=runs))
            server.should_exit = True

        profile = cProfile.Profile()
        client = threading.Thread(target=ask)
        client.start()
        profile.runcall(server.run, sockets=[listener])
        client.join()
    print("| part | share of the time |\n|---|---|")
    for part, share in shares(profile):
        if share >= 0.01:
            print(f"| {part} | {share:.0%} |")


if __name__ == "__main__":
    main()
