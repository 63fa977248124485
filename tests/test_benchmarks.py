"""The tools that measure: what they count as an answer, and what a table says of it."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

from benchmarks.load import Connection, payload
from benchmarks.table import Table

CLOSING = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)


class Closing(StreamRequestHandler):
    """Answers once, then waits for the other end to close, as Werkzeug's server does."""

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        self.wfile.write(CLOSING)
        with suppress(ConnectionError):
            self.rfile.read()


@contextmanager
def listening(handler: type[StreamRequestHandler]) -> Generator[int]:
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_server_that_closes_after_each_answer_is_asked_over_a_new_connection() -> None:
    async def ask(port: int) -> None:
        connection = await Connection.open(port)
        for _ in range(3):
            assert (await connection.ask(payload("m"))).total
        connection.close()

    with listening(Closing) as port:
        asyncio.run(asyncio.wait_for(ask(port), 10))


def test_a_goal_is_neither_met_nor_missed_where_nothing_was_measured() -> None:
    table = Table("peer")
    table.missing("ours ÷ theirs", "it is not installed", 15)
    table.least("ours ÷ others", 14, 15)
    met = [(each.measured, each.goal, each.met) for each in table.figures]
    assert met == [("not measured: it is not installed", "≥ 15", None), ("14.0", "≥ 15", False)]
