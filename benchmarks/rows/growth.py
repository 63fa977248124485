"""What grows with a run: agents, history, the size of a body. Linear at most."""

from collections.abc import Callable, Sequence

from benchmarks.load import QUESTION, crowd, payload
from benchmarks.loops import run
from benchmarks.stage import NO_DELAY, staged, timed_cpu
from benchmarks.table import Table

RUNS, AT_ONCE = 48, 8
Point = tuple[float, float]


def agents(table: Table) -> None:
    """1 → 16 agents."""
    _grow(table, "agents", (1, 2, 4, 8, 16), lambda size: payload(f"team{size}"))


def messages(table: Table) -> None:
    """1 → 200 messages of history, 300 characters each."""

    def request(count: int) -> bytes:
        said = [
            {"role": "assistant" if place % 2 else "user", "content": "word " * 60}
            for place in range(count - 1)
        ]
        return payload("trio", messages=[*said, {"role": "user", "content": QUESTION}])

    _grow(table, "messages", (1, 50, 100, 200), request)


def bodies(table: Table) -> None:
    """1 KB → 1 MB in one message."""

    def request(kilobytes: int) -> bytes:
        return payload("trio", messages=[{"role": "user", "content": "word " * kilobytes * 200}])

    _grow(table, "kilobytes", (1, 250, 500, 1000), request)


def _grow(table: Table, what: str, sizes: Sequence[int], request: Callable[[int], bytes]) -> None:
    """CPU and memory of a run by size."""
    cpu: list[Point] = []
    memory: list[Point] = []
    for size in sizes:
        with staged(*NO_DELAY) as stage:
            run(crowd(stage.server.port, payload("trio"), AT_ONCE, runs=5))
            idle = stage.server.peak()
            with timed_cpu(stage.server) as used:
                run(crowd(stage.server.port, request(size), AT_ONCE, runs=RUNS // AT_ONCE))
            cpu.append((size, used[0] / RUNS * 1e3))
            memory.append((size, max(0, stage.server.peak() - idle) / AT_ONCE / 1e6))
    table.curve(f"CPU of a run, ms, by {what}", cpu)
    table.curve(f"memory of a run, MB, by {what}", memory)
    scale = " → ".join(map(str, sizes))
    for name, points, form in (("CPU, ms", cpu, ".0f"), ("memory, MB", memory, ".2f")):
        shown = " → ".join(f"{value:{form}}" for _, value in points)
        bend = _bend(points)
        text = f"{shown}; last slope ÷ whole slope {bend:.2f}"
        table.tell(f"{what} {scale}: {name} of a run", text, "≤ 1.5", met=bend <= 1.5)


def _bend(points: Sequence[Point]) -> float:
    """The last slope ÷ the slope of all: 1 for a line, less for one that flattens."""
    (first_x, first_y), (x0, y0), (x1, y1) = points[0], points[-2], points[-1]
    whole = (y1 - first_y) / (x1 - first_x)
    return (y1 - y0) / (x1 - x0) / whole if whole > 0 else 0.0
