"""``make bench``: one table, each figure beside its goal and the row that makes it.

``python -m benchmarks [ROW …]``: only these rows. One that breaks is said to, and ends the program
with an error after the others. ``--save PATH`` keeps the figures, and the curves of the plots, as
JSON. ``--plots FOLDER`` draws the curves that were measured.
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.plots import draw
from benchmarks.rows import growth, package, passing, peers, runs, streams, workers
from benchmarks.table import Table

ROWS: dict[str, Callable[[Table], None]] = {
    "critical-path": runs.critical_path,
    "saturation": runs.saturation,
    "zero-delay": runs.zero_delay,
    "latency": runs.latency,
    "pass-through": passing.pass_through,
    "cpu-per-token": passing.cpu_per_token,
    "litellm": peers.litellm,
    "optillm": peers.optillm,
    "massgen-serve": peers.massgen_serve,
    "open-streams": streams.open_streams,
    "workers": workers.workers,
    "growth-agents": growth.agents,
    "growth-messages": growth.messages,
    "growth-bodies": growth.bodies,
    "wheel": package.wheel,
    "import": package.imports,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--save", type=Path, help="a file for the figures, as JSON")
    parser.add_argument("--plots", type=Path, help="a folder for performance.png and .txt")
    arguments = parser.parse_args()
    chosen: list[str] = arguments.rows or list(ROWS)
    if unknown := [name for name in chosen if name not in ROWS]:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if sys.platform != "linux":
        parser.error("this reads CPU and memory from /proc, which only Linux has")
    version = platform.python_version()
    print(f"Python {version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before.\n")
    table = Table()
    table.head()
    broken: list[str] = []
    for name in chosen:
        table.row = name
        try:
            ROWS[name](table)
        except Exception as error:  # noqa: BLE001 - one row must not cost the others
            table.tell("not measured", f"{type(error).__name__}: {str(error)[:200]}")
            broken.append(name)
        if arguments.save:
            table.save(arguments.save)
    if arguments.plots and table.curves:
        draw(table.curves, arguments.plots)
    if broken:
        sys.exit(f"not measured: {', '.join(broken)}")


if __name__ == "__main__":
    main()
