"""Many streams held open in one process: memory, and what a token waits."""

import asyncio
import time

from benchmarks.load import Connection, Load, Timing, payload, percentile
from benchmarks.loops import run
from benchmarks.processes import raise_file_limit
from benchmarks.stage import Process, staged, started
from benchmarks.table import Table

STREAMS = 1000
PACE = ("3", "3", "10")
OPENED_PER_SECOND = 250


async def _hold(server: Process, count: int) -> tuple[Load, int]:
    """Open so many streams, read them to their end; what memory grew by at its peak."""
    idle, peak = server.resident(), 0
    start = time.perf_counter()

    async def one(place: int) -> Timing:
        await asyncio.sleep(place / OPENED_PER_SECOND)
        connection = await Connection.open(server.port, stamps=True)
        timing = await connection.ask(payload("single"))
        connection.close()
        return timing

    streams = asyncio.gather(*(one(place) for place in range(count)))
    while not streams.done():
        peak = max(peak, server.resident())
        await asyncio.wait([streams], timeout=0.1)
    return Load(streams.result(), time.perf_counter() - start), peak - idle


def open_streams(table: Table) -> None:
    """A thousand streams of ten tokens, three seconds apart."""
    raise_file_limit(6 * STREAMS)
    with (
        staged(*PACE) as stage,
        started("benchmarks.proxy", "bytes", stage.upstream.url) as raw,
    ):
        few, _ = run(_hold(stage.server, 10))
        load, grown = run(_hold(stage.server, STREAMS))
        run(_hold(raw, 10))
        _, floor = run(_hold(raw, STREAMS))
    table.most(f"{STREAMS} open streams: memory of one, KB", grown / STREAMS / 1e3, 60, ".0f")
    table.tell("… of a proxy of the SDK's bytes", f"{floor / STREAMS / 1e3:.0f}")
    alone, many = percentile(few.delays(), 50), percentile(load.delays(), 50)
    table.most(f"token in → out with {STREAMS} open streams ÷ with 10", many / alone, 2)
    text = f"{alone:.2f} → {many:.2f}, p99 {percentile(load.delays(), 99):.1f}"
    table.tell("… median ms", text)
