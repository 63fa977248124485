"""A team of one agent: what passing a stream through costs."""

import asyncio
import statistics
from collections.abc import Sequence

from benchmarks.load import crowd, payload
from benchmarks.loops import run
from benchmarks.rows import in_process
from benchmarks.stage import NO_DELAY, Process, staged, started, timed_cpu
from benchmarks.table import Table

SINGLE = payload("single")
CLIENTS = 16
WARM_UP = 4
TURN_SECONDS = 3.0


def in_turns(
    *asked: tuple[Process, bytes], rounds: int = 5, limit: float = 60
) -> list[list[float]]:
    """Requests per second of each process, round by round, with 16 clients.

    A shared machine is faster at one time than at another, so they take turns. Raises
    ``TimeoutError`` for a process that takes longer than ``limit`` seconds for a turn.
    """
    rates: list[list[float]] = [[] for _ in asked]

    async def turn(process: Process, request: bytes, found: list[float], seconds: float) -> None:
        async with asyncio.timeout(limit):
            load = await crowd(process.port, request, CLIENTS, runs=WARM_UP, seconds=seconds)
        if seconds:
            found.append(load.rate)

    for seconds in (0.0, *[TURN_SECONDS] * rounds):
        for (process, request), found in zip(asked, rates, strict=True):
            run(turn(process, request, found, seconds))
    return rates


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of the rounds."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def pass_through(table: Table) -> None:
    """Requests per second ÷ those of a minimal proxy with the SDK's typed chunks."""
    with (
        staged(*NO_DELAY) as stage,
        started("benchmarks.proxy", "typed", stage.upstream.url) as typed,
        started("benchmarks.proxy", "bytes", stage.upstream.url) as raw,
        started("benchmarks.served", stage.upstream.url, env={"HTTP": "httpx"}) as default,
    ):
        servers = {
            "typed SDK proxy": typed,
            "team of one": stage.server,
            "… with the SDK's default transport": default,
            "a proxy of the SDK's bytes": raw,
        }
        before = [process.cpu() for process in servers.values()]
        rates = in_turns(*((process, SINGLE) for process in servers.values()))
        for (name, process), cpu, found in zip(servers.items(), before, rates, strict=True):
            count = sum(found) * TURN_SECONDS + CLIENTS * WARM_UP
            cost = (process.cpu() - cpu) / count * 1e3
            text = f"{statistics.median(found):.0f}, {cost:.1f}"
            table.tell(f"{name}: streams of 50 tokens/s, CPU ms each", text)
    table.least("team of one ÷ typed SDK proxy, 16 clients", ratio(rates[1], rates[0]), 4)
    table.least("… with the SDK's default transport", ratio(rates[2], rates[0]), 2.5)


def cpu_per_token(table: Table) -> None:
    """CPU of one more token: the difference between streams of 50 and of 550 tokens.

    At a pace tokens come one by one; without delay many share a read and a write.
    """
    alone = (in_process.seconds(550) - in_process.seconds(50)) / 500 * 1e6
    table.most("CPU of a streamed token, µs, in process, one by one", alone, 30, ".0f")
    for name, *pace in (("one by one", "0.02", "0.002"), ("without delay", "0", "0")):
        ours, raw = _of_a_token(*pace)
        table.most(f"… with its sockets and the SDK, {name}", ours, 30, ".0f")
        table.tell("… of a proxy of the SDK's bytes", f"{raw:.0f}")


def _of_a_token(*pace: str) -> list[float]:
    """Microseconds: of ours, and of a proxy of the SDK's bytes."""
    costs: list[list[float]] = [[], []]
    for tokens in ("50", "550"):
        with (
            staged(*pace, tokens) as stage,
            started("benchmarks.proxy", "bytes", stage.upstream.url) as raw,
        ):
            for found, process in zip(costs, (stage.server, raw), strict=True):
                run(crowd(process.port, SINGLE, CLIENTS, runs=2))
                with timed_cpu(process) as used:
                    load = run(crowd(process.port, SINGLE, CLIENTS, runs=8))
                found.append(used[0] / len(load.timings))
    return [(long - short) / 500 * 1e6 for short, long in costs]
