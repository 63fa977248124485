"""Runs real clients against real servers with scripted teams (make test-clients).

    python -m tests.clients [--only TEXT ...] [--scenario NAME ...] [--no-long] [--write]

Exit code 0: every client passed and, in a run of everything, the results are those of
docs/clients.md. ``--only`` takes the clients with one of the texts in their names, ``--scenario``
the scenarios of those names; ``--write`` writes docs/clients.md from a run of everything instead.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from tests.clients import matrix
from tests.clients.harness import CHECKS, INSTALLED, Client
from tests.clients.node_clients import CLIENTS as NODE_CLIENTS
from tests.clients.python_clients import CLIENTS as PYTHON_CLIENTS
from tests.clients.run import RUNNING, Result, check, run
from tests.clients.scenarios import ALL, LongSilence

CLIENTS: tuple[Client, ...] = (*NODE_CLIENTS, *PYTHON_CLIENTS)
BUSY = 3
"""How many programs may be busy at once."""

Job = Callable[[threading.Semaphore], Result]


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    # A shell has SIGINT ignored for what it starts in the background, and programs inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    clients = [
        client
        for client in CLIENTS
        if not options.only or any(text.lower() in client.name.lower() for text in options.only)
    ]
    started = time.monotonic()
    results = list(_results(list(_jobs(clients, options))))
    failed = [result for result in results if result.status == "failed"]
    print(f"{len(results)} runs, {len(failed)} failed, {time.monotonic() - started:.0f} s")
    (INSTALLED / "results.json").write_text(
        json.dumps([result.as_json() for result in results], indent=1, ensure_ascii=False)
    )
    if failed:
        return 1
    if options.only or options.scenario or options.no_long:
        return 0
    if options.write:
        matrix.write(CLIENTS, results)
        return 0
    return matrix.compare(CLIENTS, results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.clients")
    parser.add_argument("--only", action="append", metavar="TEXT", help="clients by name")
    parser.add_argument("--scenario", action="append", metavar="NAME", help="scenarios by name")
    parser.add_argument("--no-long", action="store_true", help="without the long silence")
    parser.add_argument("--write", action="store_true", help=f"write {matrix.DOCUMENT.name}")
    return parser


def _jobs(clients: Sequence[Client], options: argparse.Namespace) -> Iterator[Job]:
    """What waits longest comes first."""
    wanted = set(options.scenario or [CHECKS, *(kind.name for kind in ALL)])
    if options.no_long:
        wanted -= {LongSilence.name}
    for kind in sorted(ALL, key=lambda kind: -kind.silent_seconds):
        if kind.name in wanted:
            for client in clients:
                yield lambda starting, client=client, kind=kind: run(client, kind, starting)
    for client in clients:
        if client.checks is not None and CHECKS in wanted:
            yield lambda starting, client=client: check(client, starting)


def _results(jobs: Sequence[Job]) -> Iterator[Result]:
    """Run them, ``BUSY`` at a time and any number of those that wait."""
    starting = threading.Semaphore(BUSY)
    with ThreadPoolExecutor(max_workers=max(len(jobs), 1)) as pool:
        try:
            for future in as_completed([pool.submit(job, starting) for job in jobs]):
                result = future.result()
                _show(result)
                yield result
        except KeyboardInterrupt:
            for program in list(RUNNING):
                program.kill()
            os._exit(130)  # the threads that wait would go on for minutes


def _show(result: Result) -> None:
    counts = f"POSTs: {result.posts}, model calls: {result.model_calls}"
    if result.background_posts:
        counts += f", of its own: {result.background_posts} and {result.background_calls}"
    line = f"{result.status:6} {result.seconds:6.1f} s  {result.client} {result.version}"
    told = f" [{result.told}]" if result.told else ""
    print(f"{line}: {result.scenario} ({counts}){told}", flush=True)
    if result.problem:
        print("\n".join(f"    {text}" for text in result.problem.splitlines()), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
