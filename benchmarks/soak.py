"""``make soak``: a server under load for minutes, and what is left of it afterwards.

Three processes: ``massgen-compat serve`` as users start it, a scripted upstream (no model is
involved), and this one, the clients. A team of two agents, one on the Responses API and one on Chat
Completions, makes five model calls a run. The phases: a warm-up; short runs in sequence and at 64
at once, of which one in ten is killed by its client; open streams on a slow upstream, of which one
in ten is killed at the same moment; then nothing, until idle connections have expired.

Prints one table; the exit code is 1 where a goal is missed. ``--short`` does a tenth of it or less.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from benchmarks.processes import Served, check_ports, helper, raise_file_limit, serve
from benchmarks.soak_client import Connection, Crowd, Tally
from benchmarks.soak_upstream import QUICK_TEXT, SLOW_TEXT, ask

KILLS = 0.1
AT_ONCE = 64
OPENING = 64
"""Streams that are being opened at the same time; the others wait for their turn."""

IDLE_SECONDS = 75.0
"""Idle upstream connections are kept for 30 s, and looked for every 30 s."""

GONE_SECONDS = 5.0
"""How long is waited for calls that should be gone within a second."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    streams: int
    seconds: float
    sequence: int
    crowd: int
    keep_alive: int
    """Seconds for which the upstream keeps idle connections. In the full size it is so long that
    the server has to close them."""


FULL = Size(streams=2000, seconds=60, sequence=2000, crowd=18_000, keep_alive=3600)
SHORT = Size(streams=200, seconds=6, sequence=100, crowd=900, keep_alive=10)


@dataclass(slots=True)
class Report:
    """The table, printed as it grows."""

    missed: int = 0

    def row(self, figure: str, value: str, goal: str, *, met: bool = True) -> None:
        """One figure beside its goal."""
        self.missed += not met
        verdict = "" if goal == "none" else "yes" if met else "**no**"
        print(f"| {figure} | {value} | {goal} | {verdict} |", flush=True)

    def bound(self, figure: str, value: float, most: float, form: str = "g") -> None:
        """A figure that may be as large as its goal."""
        goal = f"≤ {most:{form}}" if most else "0"
        self.row(figure, f"{value:{form}}", goal, met=value <= most)


@dataclass(slots=True)
class Soak:
    """One soak of one server."""

    server: Served
    upstream: int
    size: Size
    report: Report
    dice: Random = field(default_factory=lambda: Random(7))  # noqa: S311 - repeatable kills
    faults: Counter[str] = field(default_factory=Counter[str])

    async def run(self) -> None:
        """All phases."""
        fresh, descriptors = self.server.resident(), self.server.descriptors()
        await self._warm_up()
        memory = self.server.resident()
        calls = (await ask(self.upstream, "/stats"))["calls"]
        await self._short(self.size.sequence, 1, "in sequence")
        await self._short(self.size.crowd, AT_ONCE, f"{AT_ONCE} at once")
        peak = await self._streams()
        await self._afterwards(calls)
        await self._memory(fresh, memory, peak, descriptors)
        await self._stop()

    async def _warm_up(self) -> None:
        """Everything once, so that what is allocated for good is there: caches, code, buffers."""
        crowd = Crowd(self.server.port, QUICK_TEXT, self.dice, KILLS)
        await crowd.work(self.size.crowd // 20, AT_ONCE)
        streams = Streams(self.server.port, self.size.streams)
        await streams.open()
        await streams.kill(self.size.streams)
        await _seconds_until(lambda: self._open_is(0), GONE_SECONDS)

    async def _short(self, runs: int, at_once: int, name: str) -> None:
        crowd = Crowd(self.server.port, QUICK_TEXT, self.dice, KILLS)
        start = time.perf_counter()
        tally = await crowd.work(runs, at_once)
        seconds = time.perf_counter() - start
        self._tell(f"{runs} short runs {name}", tally)
        median = statistics.median(tally.seconds) * 1000
        text = f"{runs / seconds:.0f} runs/s, median {median:.0f} ms"
        self.report.row(f"{runs} short runs {name}: pace", text, "none")

    def _tell(self, name: str, tally: Tally) -> None:
        text = f"{tally.answered} answered, {tally.killed} killed by their clients"
        self.report.row(name, text, "none")
        self.report.bound(f"{name}: errors", tally.faults.total(), 0)
        self.faults += tally.faults

    async def _streams(self) -> int:
        """Hold streams open, kill some, let the others finish; returns the peak of memory."""
        size, server = self.size, self.server
        streams = Streams(server.port, size.streams)
        start = time.perf_counter()
        await streams.open()
        name = f"{size.streams} streams"
        self.report.row(f"{name}: all open after", f"{time.perf_counter() - start:.0f} s", "none")
        until, least, peak = time.perf_counter() + size.seconds, size.streams, 0
        while time.perf_counter() < until:
            least = min(least, (await ask(self.upstream, "/stats"))["open"])
            peak = max(peak, server.resident())
            await asyncio.sleep(0.5)
        self.report.row(
            f"{name}: open at every moment of {size.seconds:g} s",
            str(least),
            f"= {size.streams}",
            met=least == size.streams,
        )
        self.report.row(f"{name}: descriptors of the server", str(server.descriptors()), "none")
        killed = round(size.streams * KILLS)
        await streams.kill(killed)
        gone = await _seconds_until(lambda: self._open_is(size.streams - killed), GONE_SECONDS)
        self.report.bound(f"{killed} killed at once: their calls aborted after, s", gone, 1, ".2f")
        await ask(self.upstream, "/release")
        self._tell(name, await streams.finish())
        return peak

    async def _afterwards(self, calls: int) -> None:
        report = self.report
        open_calls = await _seconds_until(lambda: self._open_is(0), GONE_SECONDS)
        report.bound("open upstream calls at the end: none after, s", open_calls, 1, ".2f")
        stats = await ask(self.upstream, "/stats")
        text = f"{stats['calls'] - calls} since the warm-up, {stats['aborted']} aborted in all"
        report.row("upstream calls", text, "none")
        left = await self._until_idle()
        report.row("upstream connections: the last one closed after", f"{left:.0f} s", "none")
        count = self.server.connections_to(self.upstream)
        report.bound("upstream connections at the end", count, 0)

    async def _memory(self, fresh: int, memory: int, peak: int, descriptors: int) -> None:
        report, end = self.report, self.server.resident()
        most = f"descriptors at the end ({descriptors} before the warm-up)"
        report.bound(most, self.server.descriptors(), descriptors)
        each = (peak - fresh) / self.size.streams / 1e3
        sizes = " → ".join(f"{size / 1e6:.0f}" for size in (fresh, memory, peak, end))
        report.row("memory, MB: fresh → warm → all streams open → end", sizes, "none")
        report.bound("memory of an open stream, kB", each, 1000, ".0f")
        report.bound("memory at the end ÷ after the warm-up", end / memory, 1.1, ".3f")

    async def _stop(self) -> None:
        report, server = self.report, self.server
        seconds = await asyncio.to_thread(server.stop)
        report.row("exit code after SIGTERM", str(server.code), "0", met=server.code == 0)
        report.bound("seconds from SIGTERM to the exit", seconds, 5, ".1f")
        complaints = server.complaints()
        report.bound("warnings and errors in the server's log", len(complaints), 0)
        for line in complaints[:20]:
            sys.stderr.write(f"{line}\n")
        for fault, count in self.faults.most_common(20):
            sys.stderr.write(f"{count} times: {fault}\n")

    async def _open_is(self, wanted: int) -> bool:
        return (await ask(self.upstream, "/stats"))["open"] == wanted

    async def _until_idle(self) -> float:
        """Seconds until the server has no upstream connection, or that takes too long."""

        async def closed() -> bool:
            return self.server.connections_to(self.upstream) == 0

        return await _seconds_until(closed, IDLE_SECONDS)


class Streams:
    """Streams of the slow team, open at the same time."""

    def __init__(self, port: int, count: int) -> None:
        self._connections = [Connection(port) for _ in range(count)]
        self._opening = asyncio.Semaphore(OPENING)
        self._runs: list[asyncio.Task[str | None]] = []
        self._tally = Tally()

    async def open(self) -> None:
        """Start all; returns when each has the first word of its message, or has failed."""
        await asyncio.gather(*(self._start(each) for each in self._connections))

    async def _start(self, connection: Connection) -> None:
        async with self._opening:
            begun = asyncio.Event()
            run = asyncio.create_task(
                connection.run("slow", SLOW_TEXT, stream=True, begun=begun.set)
            )
            self._runs.append(run)
            waiting = asyncio.create_task(begun.wait())
            await asyncio.wait([run, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()

    async def kill(self, count: int) -> None:
        """The first so many clients go away."""
        doomed = self._connections[:count]
        for connection in doomed:
            connection.abort()
        gone, self._runs = self._runs[:count], self._runs[count:]
        for run in gone:
            run.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        self._tally.killed += len(gone)

    async def finish(self) -> Tally:
        """Wait for the others."""
        for wrong in await asyncio.gather(*self._runs):
            if wrong is None:
                self._tally.answered += 1
            else:
                self._tally.faults[wrong] += 1
        for connection in self._connections:
            connection.close()
        return self._tally


async def _seconds_until(holds: Callable[[], Awaitable[bool]], most: float) -> float:
    """Seconds until something holds; ``most`` or a little more if it does not."""
    start = time.perf_counter()
    while not await holds() and time.perf_counter() - start < most:  # noqa: ASYNC110 - a process
        await asyncio.sleep(0.02)
    return time.perf_counter() - start


def _team(folder: Path, name: str, upstream: int) -> Path:
    """The configuration of a team whose agents are the upstream's model of that name."""
    url = f"http://127.0.0.1:{upstream}/v1"
    agents = "".join(
        f"  - id: {agent}\n    backend:"
        f" {{type: {kind}, model: {name}, base_url: '{url}', api_key: none}}\n"
        for agent, kind in (("ada", "openai"), ("ben", "chatcompletion"))
    )
    path = folder / f"{name}.yaml"
    path.write_text(f"agents:\n{agents}", encoding="utf-8")
    return path


def main() -> int:
    """Print the table; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument(
        "--short",
        action="store_true",
        help="a tenth of the streams and less of the rest: under a minute",
    )
    short = parser.parse_args().short
    if sys.platform != "linux":
        sys.exit("this reads memory and descriptors from /proc, which only Linux has")
    size = SHORT if short else FULL
    raise_file_limit(3 * size.streams + 1000)
    check_ports(4 * size.streams + 4000)
    command = f"python -m benchmarks.soak{' --short' if short else ''}"
    load = os.getloadavg()[0]
    print(f"`{command}` on {os.cpu_count()} cores, load {load:.1f} before it began.\n", flush=True)
    print("| figure | measured | goal | met |\n|---|---|---|---|", flush=True)
    report, start = Report(), time.perf_counter()
    keep = str(size.keep_alive)
    with (
        tempfile.TemporaryDirectory() as name,
        helper("benchmarks.soak_upstream", keep) as upstream,
    ):
        folder = Path(name)
        teams = [_team(folder, team, upstream) for team in ("quick", "slow")]
        with serve(folder / "log", *teams) as server:
            asyncio.run(Soak(server, upstream, size, report).run())
    print(f"\n{report.missed} goals missed; {time.perf_counter() - start:.0f} s in all.")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
