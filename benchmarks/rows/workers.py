"""One process, and several behind the same port."""

from benchmarks.load import crowd, payload
from benchmarks.loops import run
from benchmarks.stage import started
from benchmarks.table import Table


def workers(table: Table) -> None:
    """Runs per second of 2 and 4 uvicorn workers ÷ those of 1, on this machine's cores."""
    rates: list[float] = []
    with started("benchmarks.upstream") as upstream:
        for count in (1, 2, 4):
            with started("benchmarks.served", upstream.url, str(count)) as server:
                run(crowd(server.port, payload("trio"), 64, runs=2))
                load = run(crowd(server.port, payload("trio"), 192, runs=1, seconds=10, spread=0.8))
                rates.append(load.rate)
    for count, rate in zip((2, 4), rates[1:], strict=True):
        text = f"{rate / rates[0]:.2f} ({rate:.0f} ÷ {rates[0]:.0f} runs/s)"
        table.tell(f"{count} workers ÷ 1", text, "as the cores allow")
