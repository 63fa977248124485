"""What an open stream holds, by package: ``python -m benchmarks.held [STREAMS]``.

tracemalloc counts what Python allocates, in the package whose line asks for it; what the allocator
keeps beside that, and what C libraries take by themselves, is not in it.
"""

import gc
import os
import socket
import sys
import threading
import time
import tracemalloc
from collections import Counter

import uvicorn

from benchmarks.load import payload
from benchmarks.profiled import part_of
from benchmarks.served import URL, make_app
from benchmarks.stage import started

WARM_UP = 10
HELD = ("60", "60", "2")
"""The upstream's pace: nothing comes before all is counted."""


def main() -> None:
    """Print a table of kilobytes for each stream."""
    streams = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with (
        started("benchmarks.upstream", *HELD) as upstream,
        socket.create_server(("127.0.0.1", 0), backlog=4096) as listener,
    ):
        os.environ[URL] = upstream.url
        server = uvicorn.Server(uvicorn.Config(make_app(), log_level="warning"))
        threading.Thread(target=server.run, args=([listener],), daemon=True).start()
        port, clients = listener.getsockname()[1], list[socket.socket]()

        def open_streams(count: int) -> None:
            for _ in range(count):
                clients.append(socket.create_connection(("127.0.0.1", port)))
                clients[-1].sendall(payload("single"))
                while not clients[-1].recv(4096):
                    pass
            time.sleep(1)  # their model calls begin
            gc.collect()

        open_streams(WARM_UP)
        tracemalloc.start()
        before = tracemalloc.take_snapshot()
        open_streams(streams)
        grown = tracemalloc.take_snapshot().compare_to(before, "lineno")
        held = Counter[str]()
        for line in grown:
            held[part_of(line.traceback[0].filename).partition(":")[0]] += line.size_diff
        print("| part | KB of a stream |\n|---|---|")
        for part, size in held.most_common():
            if size / streams >= 500:
                print(f"| {part} | {size / streams / 1e3:.1f} |")
        print(f"| all | {sum(held.values()) / streams / 1e3:.1f} |")
        sys.stdout.flush()
    os._exit(0)  # the streams are still open


if __name__ == "__main__":
    main()
