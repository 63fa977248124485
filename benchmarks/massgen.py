"""``make bench-massgen``: the engine on MassGen against MassGen's own server, side by side.

Both run the same release of massgen, from the same environment, with the same config against the
same upstream, one after the other in one go: three agents on Chat Completions that agree at once.
The upstream answers without delay, so what is measured is the servers. Runs are few, because
MassGen's own server needs seconds for each where many come at once.
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import helper

START_SECONDS = 90.0
ALONE = 12
CROWDS = ((8, 24), (32, 32))
"""Clients at once, and how many runs they make in all."""
SOAK = (50, 500)


@dataclass(frozen=True)
class Server:
    """A server under measurement."""

    port: int
    pid: int
    model: str
    folder: Path

    def resident(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) * 1024

    def files(self) -> int:
        """The files that it has left behind."""
        return sum(path.is_file() for path in self.folder.rglob("*"))


@contextlib.contextmanager
def served(command: Sequence[str], folder: Path, model: str, port: int) -> Generator[Server]:
    """A server in a folder of its own, once it answers."""
    folder.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, "OPENAI_API_KEY": "none", "TMPDIR": str(folder)}
    env["PYTHONPATH"] = str(Path.cwd())
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            until = time.monotonic() + START_SECONDS
            while not _answers(port):
                if time.monotonic() > until or process.poll() is not None:
                    sys.exit(f"{command[0]} did not start: {folder.parent}")
                time.sleep(0.2)
            yield Server(port, process.pid, model, folder)
        finally:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    import socket  # noqa: PLC0415

    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


async def ask(server: Server, *, stream: bool = False) -> tuple[float, float]:
    """One answer over a new connection: seconds to its first byte, and to its end."""
    messages = [{"role": "user", "content": "Why is the sky blue?"}]
    body = json.dumps({"model": server.model, "messages": messages, "stream": stream}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
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
    before = server.resident()
    await crowd(server, 8, all_of_them - early)
    return server.resident() / before


def _config(folder: Path, upstream: int) -> Path:
    url = f"http://127.0.0.1:{upstream}/v1"
    agents = [
        {"id": name, "backend": {"type": "chatcompletion", "model": "gpt-4o", "base_url": url}}
        for name in ("ada", "ben", "cleo")
    ]
    path = folder / "trio.yaml"
    path.write_text(json.dumps({"agents": agents}), encoding="utf-8")  # JSON is YAML
    return path


def _free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _row(figure: str, *cells: Any) -> None:
    print(f"| {figure} | {' | '.join(map(str, cells))} |", flush=True)


def main() -> None:
    """Print the table."""
    python, short = sys.executable, "--short" in sys.argv
    with tempfile.TemporaryDirectory() as made, helper("benchmarks.massgen_upstream") as upstream:
        folder = Path(made)
        config = str(_config(folder, upstream))
        port = _free_port()
        ours = [python, "-m", "massgen_compat", "serve", config, "--port", str(port)]
        settings = folder / "ours.yaml"
        given = json.loads(Path(config).read_text(encoding="utf-8"))
        given["massgen_compat"] = {"engine": "massgen", "model": "trio"}
        settings.write_text(json.dumps(given), encoding="utf-8")
        ours[4] = str(settings)
        with served(ours, folder / "ours", "trio", port) as server:
            here = asyncio.run(measure(server, streams=True))
            memory = 0.0 if short else asyncio.run(soak(server))
            here.files = server.files()
        port = _free_port()
        command = str(Path(python).with_name("massgen"))
        theirs = [command, "serve", "--host", "127.0.0.1", "--port", str(port)]
        theirs += ["--config", config]
        with served(theirs, folder / "theirs", "massgen", port) as server:
            there = asyncio.run(measure(server, streams=False))
    print("Three agents that agree at once; an upstream without delay; one process each.\n")
    print(
        "| figure | massgen serve 0.1.97 | engine: massgen | ratio | goal |\n|---|---|---|---|---|"
    )
    _row("latency of a run, median s", f"{there.latency:.3f}", f"{here.latency:.3f}",
         f"{here.latency / there.latency:.2f}", "≤ 0.25")  # fmt: skip
    for (clients, _), theirs_rate, ours_rate in zip(CROWDS, there.rates, here.rates, strict=True):
        _row(f"runs per second, {clients} clients", f"{theirs_rate:.2f}", f"{ours_rate:.2f}",
             f"{ours_rate / theirs_rate:.1f}", "≥ 5")  # fmt: skip
    _row("first byte of a stream, median ms", "501", f"{here.first * 1000:.1f}", "", "≤ 50")
    if memory:
        _row(f"memory after {SOAK[1]} runs ÷ after {SOAK[0]}", "", f"{memory:.2f}", "", "≤ 1.1")
    _row("files left behind", there.files, here.files, "", "0")


if __name__ == "__main__":
    main()
