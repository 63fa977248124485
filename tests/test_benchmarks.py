"""The tools that measure: what they count as an answer, and what a table says of it."""

import asyncio
import re
from collections.abc import Generator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from benchmarks.load import Connection, Window, payload, window
from benchmarks.table import Table
from benchmarks.upstream import Script

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


class Refusing(StreamRequestHandler):
    """Has no answer."""

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}")


def test_a_window_counts_answers_and_failures() -> None:
    async def seen(port: int, expected: str) -> Window:
        wanted = re.compile(expected.encode())
        return await window(port, payload("m"), 2, warm=0, seconds=0.9, expected=wanted)

    with listening(Closing) as port:
        good, empty = (asyncio.run(seen(port, text)) for text in ("DONE", "hello"))
    with listening(Refusing) as port:
        refused = asyncio.run(seen(port, ""))
    assert good.completed
    assert not good.failed
    assert good.rate == good.completed / good.seconds
    for none in (empty, refused):
        assert not none.completed
        assert none.failed


@pytest.mark.parametrize(
    ("tools", "said", "expected"),
    [
        (("new_answer",), "", "draft"),
        (("new_answer", "vote"), "", "agent1"),
        (("new_answer", "vote"), "<CURRENT ANSWERS> (no answers available yet)", "draft"),
        (("new_answer", "vote"), "<agent2.1> a <end of agent2.1> <agent3.1> b", "agent2"),
        (("new_answer",), "VOTING RESULTS: you received 3 votes", "message"),
        ((), "", "message"),
    ],
)
def test_the_upstream_plays_massgens_agents_and_ours(
    tools: tuple[str, ...], said: str, expected: str
) -> None:
    script = Script(50)
    calls = {"message": None, "draft": script.draft, **script.votes}
    assert script.call(tools, said.encode()) is calls[expected]
