"""``make bench-massgen``: the engine on MassGen against MassGen's own server, side by side.

Both run the same release of massgen, from the same environment, with the same config against the
same upstream, one after the other in one go: three agents on Chat Completions that agree at once.
The upstream answers without delay, so what is measured is the servers. Runs are few, because
MassGen's own server needs seconds for each where many come at once.
"""

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import helper
from benchmarks.stage import Process, free_port, running

ALONE = 12
CROWDS = ((8, 24), (32, 32))
"""Clients at once, and how many runs they make in all."""
SOAK = (50, 500)
SETTLE_SECONDS = 2
"""A run's answer comes before its files are removed."""


@dataclass(frozen=True)
class Server:
    """A server under measurement."""

    process: Process
    model: str
    folder: Path

    def files(self) -> int:
        """The files that it has left behind."""
        return sum(path.is_file() for path in self.folder.rglob("*"))


@contextlib.contextmanager
def ours(folder: Path, upstream: int) -> Generator[Server]:
    """Our server with the engine on MassGen, in a new folder."""
    settings = folder.with_name("ours.yaml")
    given = {**_team(upstream), "massgen_compat": {"engine": "massgen", "model": "trio"}}
    settings.write_text(json.dumps(given), encoding="utf-8")  # JSON is YAML
    port = free_port()
    command = [sys.executable, "-m", "massgen_compat", "serve", str(settings), "--port", str(port)]
    with running(command, port, folder, {"PYTHONPATH": str(Path.cwd())}) as process:
        yield Server(process, "trio", folder)


@contextlib.contextmanager
def theirs(program: Path, folder: Path, upstream: int) -> Generator[Server]:
    """MassGen's own server, in a new folder."""
    settings = folder.with_name("theirs.yaml")
    settings.write_text(json.dumps(_team(upstream)), encoding="utf-8")
    port = free_port()
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with running([*command, "--config", str(settings)], port, folder) as process:
        yield Server(process, "massgen", folder)


def _team(upstream: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{upstream}/v1"
    backend = {"type": "chatcompletion", "model": "gpt-4o", "base_url": url}
    return {"agents": [{"id": name, "backend": backend} for name in ("ada", "ben", "cleo")]}


async def ask(server: Server, *, stream: bool = False) -> tuple[float, float]:
    """One answer over a new connection: seconds to its first byte, and to its end."""
    messages = [{"role": "user", "content": "Why is the sky blue?"}]
    body = json.dumps({"model": server.model, "messages": messages, "stream": stream}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.process.port)
    started = time.perf_counter()
    try:
        writer.write(head.encode() + body)
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(status.decode() + (await reader.read(2000)).decode())
        while (await reader.readline()).strip():
            pass
        first = await reader.read(1)
        at = time.perf_counter() - started
        rest = first + await reader.read()
    finally:
        writer.close()
    if b"scatters" not in rest:
        raise RuntimeError(f"no answer: {rest[:500]!r}")
    return at, time.perf_counter() - started


async def crowd(server: Server, clients: int, runs: int) -> float:
    """Runs per second with so many clients at once."""
    left = iter(range(runs))

    async def client() -> None:
        for _ in left:
            await ask(server)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return runs / (time.perf_counter() - started)


@dataclass(slots=True)
class Figures:
    """What a server did."""

    latency: float = 0.0
    first: float = 0.0
    rates: tuple[float, ...] = ()
    files: int = 0


async def measure(server: Server, *, streams: bool) -> Figures:
    """Latency alone, then runs per second of crowds."""
    found = Figures()
    for _ in range(3):
        await ask(server)
    found.latency = statistics.median([(await ask(server))[1] for _ in range(ALONE)])
    if streams:
        times = [(await ask(server, stream=True))[0] for _ in range(ALONE)]
        found.first = statistics.median(times)
    found.rates = tuple([await crowd(server, clients, runs) for clients, runs in CROWDS])
    found.files = server.files()
    return found


async def soak(server: Server) -> float:
    """Resident memory after the last of many runs over that after the first of them."""
    early, all_of_them = SOAK
    await crowd(server, 8, early)
    before = server.process.resident()
    await crowd(server, 8, all_of_them - early)
    return server.process.resident() / before


def _row(figure: str, *cells: Any) -> None:
    print(f"| {figure} | {' | '.join(map(str, cells))} |", flush=True)


def main() -> None:
    """Print the table."""
    short = "--short" in sys.argv
    with tempfile.TemporaryDirectory() as made, helper("benchmarks.massgen_upstream") as upstream:
        folder = Path(made)
        with ours(folder / "ours", upstream) as server:
            here = asyncio.run(measure(server, streams=True))
            memory = 0.0 if short else asyncio.run(soak(server))
            time.sleep(SETTLE_SECONDS)
            here.files = server.files()
        program = Path(sys.executable).with_name("massgen")
        with theirs(program, folder / "theirs", upstream) as server:
            there = asyncio.run(measure(server, streams=False))
    print("Three agents that agree at once; an upstream without delay; one process each.\n")
    print(
        "| figure | massgen serve 0.1.97 | engine: massgen | ratio | goal |\n|---|---|---|---|---|"
    )
    _row("latency of a run, median s", f"{there.latency:.3f}", f"{here.latency:.3f}",
         f"{here.latency / there.latency:.2f}", "≤ 0.25")  # fmt: skip
    for (clients, _), slow, fast in zip(CROWDS, there.rates, here.rates, strict=True):
        _row(f"runs per second, {clients} clients", f"{slow:.2f}", f"{fast:.2f}",
             f"{fast / slow:.1f}", "≥ 5")  # fmt: skip
    _row("first byte of a stream, median ms", "501", f"{here.first * 1000:.1f}", "", "≤ 50")
    if memory:
        _row(f"memory after {SOAK[1]} runs ÷ after {SOAK[0]}", "", f"{memory:.2f}", "", "≤ 1.1")
    _row("files left behind", there.files, here.files, "", "0")


if __name__ == "__main__":
    main()
