"""A team of one agent: what passing a stream through costs."""

from benchmarks.load import Load, crowd, payload
from benchmarks.loops import run
from benchmarks.stage import NO_DELAY, Process, staged, started, timed_cpu
from benchmarks.table import Table

SINGLE = payload("single")
CLIENTS = 16


async def passed(process: Process, request: bytes = SINGLE, seconds: float = 5.0) -> Load:
    """What 16 clients get through a process that is warm."""
    await crowd(process.port, request, CLIENTS, runs=4)
    return await crowd(process.port, request, CLIENTS, seconds=seconds)


def pass_through(table: Table) -> None:
    """Requests per second ÷ those of a minimal proxy with the SDK's typed chunks."""
    rates: dict[str, float] = {}
    with staged(*NO_DELAY) as stage, started("benchmarks.typed_proxy", stage.upstream.url) as typed:
        for name, process in (("typed SDK proxy", typed), ("team of one", stage.server)):
            with timed_cpu(process) as used:
                load = run(passed(process))
            rates[name] = load.rate
            cpu = used[0] / (len(load.timings) + 4 * CLIENTS) * 1e3
            table.tell(
                f"{name}: streams of 50 tokens/s, CPU ms each", f"{load.rate:.0f}, {cpu:.1f}"
            )
    with staged(*NO_DELAY, http="httpx") as stage:
        default = run(passed(stage.server)).rate
    typed_rate = rates["typed SDK proxy"]
    ratio = rates["team of one"] / typed_rate
    table.least("team of one ÷ typed SDK proxy, 16 clients", ratio, 4)
    table.least("… with the SDK's default transport", default / typed_rate, 2.5)


def cpu_per_token(table: Table) -> None:
    """CPU of one more token: the difference between streams of 50 and of 550 tokens.

    At a pace tokens come one by one; without delay many share a read and a write.
    """
    for name, first, every in (("one by one", "0.02", "0.002"), ("without delay", "0", "0")):
        costs: list[float] = []
        for tokens in ("50", "550"):
            with staged(first, every, tokens) as stage:
                run(crowd(stage.server.port, SINGLE, CLIENTS, runs=2))
                with timed_cpu(stage.server) as used:
                    load = run(crowd(stage.server.port, SINGLE, CLIENTS, runs=8))
                costs.append(used[0] / len(load.timings))
        each = (costs[1] - costs[0]) / 500 * 1e6
        table.most(f"CPU of a streamed token, µs, {name}", each, 30, ".0f")
