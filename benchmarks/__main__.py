"""``make bench``: one table of ratios, each beside its goal. Everything is measured in one run."""

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

from benchmarks.client import Timing, ask, critical_path


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Generator[tuple[int, int]]:
    """A helper process; yields the port that it prints and its pid."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _resident(pid: int) -> int:
    """Resident memory in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) * 1024


def _row(figure: str, value: str, goal: str) -> None:
    print(f"| {figure} | {value} | {goal} |", flush=True)


async def _runs(upstream: int, server: int, pid: int) -> None:
    await ask(server, "trio")
    path = statistics.median([await critical_path(upstream) for _ in range(5)])
    alone = [await ask(server, "trio") for _ in range(15)]
    one = statistics.median(each.total for each in alone)
    delays = [delay for each in alone for delay in each.delays]
    direct = [d for _ in range(5) for d in (await ask(upstream, "m")).delays]
    added = (statistics.median(delays) - statistics.median(direct)) / 1e6
    _row("three agents ÷ critical path", f"{one / path:.3f}", "≤ 1.10")
    role = statistics.median(each.role for each in alone) * 1000
    _row("request → role chunk, median ms", f"{role:.1f}", "≤ 10")
    _row("delay added to a presenter's token, median ms", f"{added:.2f}", "≤ 1")

    idle, peak, crowd = _resident(pid), 0, 200
    runs = asyncio.gather(*(ask(server, "trio") for _ in range(crowd)))
    while not runs.done():
        peak = max(peak, _resident(pid))
        await asyncio.wait([runs], timeout=0.05)
    many: list[Timing] = runs.result()
    failed = [each.failed for each in many if each.failed]
    median = statistics.median(each.total for each in many)
    _row(f"{crowd} runs at once: errors", str(len(failed)), "0")
    _row(f"{crowd} runs at once: median ÷ one alone", f"{median / one:.2f}", "≤ 2")
    _row("memory of an open run over idle, MB", f"{(peak - idle) / crowd / 1e6:.2f}", "≤ 1")


def _import_seconds(module: str) -> float:
    """With byte code, as an installed package has it; the first import writes it."""
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    times: list[float] = []
    for _ in range(8):
        start = time.perf_counter()
        command = [sys.executable, "-c", f"import {module}"]
        subprocess.run(command, check=True, env=env)  # noqa: S603
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print the table."""
    print("Upstream: 20 ms to the first token, then 50 tokens at 5 ms; 3 agents that agree.\n")
    print("| figure | measured | goal |\n|---|---|---|")
    with (
        _process("benchmarks.upstream") as (upstream, _),
        _process("benchmarks.served", f"http://127.0.0.1:{upstream}/v1") as (server, pid),
    ):
        asyncio.run(_runs(upstream, server, pid))
    ratio = _import_seconds("massgen_compat") / _import_seconds("openai")
    _row("import massgen_compat ÷ import openai", f"{ratio:.2f}", "≤ 1.3")


if __name__ == "__main__":
    main()
