"""Runs of three agents: how close they are to what the models take, and how many there can be."""

import asyncio
import statistics
import time

from benchmarks.load import crowd, payload, percentile
from benchmarks.loops import run
from benchmarks.reference import Reference, ScriptedReference
from benchmarks.stage import NO_DELAY, Stage, staged, timed_cpu
from benchmarks.table import Table

TRIO = payload("trio")
CLIENTS = (1, 16, 64)
GOALS = {1: 1.03, 16: 1.05, 64: 1.25}


def critical_path(table: Table) -> None:
    """p50 of a run ÷ its slowest draft, vote and presentation."""

    async def measure(stage: Stage) -> None:
        reference = Reference(stage.upstream.port)
        path = statistics.median([await reference.critical_path() for _ in range(5)])
        await crowd(stage.server.port, TRIO, 16, runs=2)
        table.tell("critical path: draft, vote, presentation, ms", f"{path * 1e3:.0f}")
        points: list[tuple[float, float]] = []
        for clients in CLIENTS:
            load = await crowd(
                stage.server.port, TRIO, clients, runs=max(4, 12 // clients), spread=path
            )
            ratio = load.median / path
            points.append((clients, ratio))
            table.most(f"3 agents, p50 ÷ critical path, {clients} clients", ratio, GOALS[clients])
        table.curve("p50 ÷ critical path, by clients", points)

    with staged() as stage:
        run(measure(stage))


def saturation(table: Table) -> None:
    """Runs per second that one process carries, with as many clients as it takes."""

    async def measure(stage: Stage) -> None:
        await crowd(stage.server.port, TRIO, 64, runs=2)
        mine = time.process_time()
        with timed_cpu(stage.server) as used, timed_cpu(stage.upstream) as theirs:
            load = await crowd(stage.server.port, TRIO, 192, runs=1, seconds=15, spread=0.8)
        count = len(load.timings)
        mine = time.process_time() - mine
        table.least("3 agents, runs/s at saturation, one process (192 clients)", load.rate, 70)
        table.tell("… CPU of the server, ms/run", f"{used[0] / count * 1e3:.1f}")
        table.tell("… CPU of the server, of one core", f"{used[0] / load.seconds:.0%}")
        tools = f"{theirs[0] / load.seconds:.0%} and {mine / load.seconds:.0%}"
        table.tell("… CPU of the upstream and of the clients, of one core", tools)

    with staged() as stage:
        run(measure(stage))


def zero_delay(table: Table) -> None:
    """A run on an upstream that takes no time ÷ the same seven calls on raw sockets."""

    async def measure(stage: Stage) -> None:
        bare = Reference(stage.upstream.port)
        await bare.run()
        await crowd(stage.server.port, TRIO, 1, runs=50)
        floor = statistics.median([await bare.run() for _ in range(200)])
        with timed_cpu(stage.server) as used:
            load = await crowd(stage.server.port, TRIO, 1, runs=200)
        least = await asyncio.to_thread(asyncio.run, ScriptedReference(stage.upstream.port).runs())
        table.most("3 agents, no delay, 1 client ÷ raw asyncio script", load.median / least, 6)
        text = f"{load.median * 1e3:.1f} ÷ {least * 1e3:.2f} ms"
        table.tell("… as times; the script reads every token of its seven streams", text)
        table.tell("… CPU of the server, ms/run", f"{used[0] / 200 * 1e3:.1f}")
        text = f"{load.median / floor:.1f}"
        table.tell("… ÷ protocols on uvloop that only look for the end of each stream", text)

    with staged(*NO_DELAY) as stage:
        run(measure(stage))


def latency(table: Table) -> None:
    """What a client of a paced upstream notices: the role chunk, and each token."""

    async def measure(stage: Stage) -> None:
        await crowd(stage.server.port, TRIO, 32, runs=2)
        load = await crowd(stage.server.port, TRIO, 32, runs=6, spread=0.8, stamps=True)
        firsts, delays = load.firsts(), load.delays()
        table.most("request → role chunk, median ms, 32 clients", percentile(firsts, 50), 5)
        table.most("request → role chunk, p99 ms, 32 clients", percentile(firsts, 99), 25)
        table.tell(
            "presenter token in → out, median and p99 ms, 32 clients",
            f"{percentile(delays, 50):.2f} and {percentile(delays, 99):.2f}",
        )
        quiet = await crowd(stage.server.port, TRIO, 1, runs=10, stamps=True)
        delays = quiet.delays()
        table.most("presenter token in → out, median ms, 1 client", percentile(delays, 50), 0.3)
        table.most("presenter token in → out, p99 ms, 1 client", percentile(delays, 99), 2)

    with staged() as stage:
        run(measure(stage))
