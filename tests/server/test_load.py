"""A server under load, over real sockets: places, the queue, clients that leave, slow readers."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import anyio.to_thread
import openai
import pytest

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat._run.turn import Phase, Reply, TextPiece, TurnEvent, TurnRequest
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.errors import UpstreamUnreachable
from massgen_compat.testing import ScriptedServer, ServedRequest
from tests.fakes import COST, Model, agreeable, failing

PATIENCE = 10
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def body_of(question: str, **more: object) -> dict[str, Any]:
    return {"model": "team", "messages": [{"role": "user", "content": question}], **more}


@contextmanager
def asking(url: str, body: Mapping[str, Any], **headers: str) -> Generator[socket.socket]:
    """A client that has sent its request, and leaves at the end of the block."""
    raw = json.dumps(body).encode()
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: x",
        f"Content-Length: {len(raw)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), PATIENCE) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode() + raw)
        yield client


def answer_of(client: socket.socket) -> bytes:
    """All of a response, up to its end."""
    said = b""
    while not (said.endswith((b"0\r\n\r\n", b"}}")) or (said and complete(said))):
        piece = client.recv(65536)
        if not piece:
            break
        said += piece
    return said


def complete(said: bytes) -> bool:
    head, found, rest = said.partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and length) and len(rest) >= int(length[0].split(b":")[1])


class Upstream:
    """A provider that stops at a token of the questions that are named, until its caller is gone.

    ``reached`` and ``gone`` tell when all expected calls stand there, and when they were aborted.
    """

    def __init__(self, phase: Phase, expected: int) -> None:
        self._phase = phase
        self._expected = expected
        self._held = 0
        self._left = 0
        self.reached = threading.Event()
        self.gone = threading.Event()
        self.app = ScriptedServer({}, default={}, before_token=self._hold)

    async def _hold(self, request: ServedRequest, index: int) -> None:
        if request.phase is not self._phase or index == 0:
            return
        if "stalls" not in json.dumps(request.body):
            return
        self._held += 1
        if self._held == self._expected:
            self.reached.set()
        try:
            await anyio.sleep_forever()
        finally:
            self._left += 1
            if self._left == self._expected:
                self.gone.set()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(
    ("phase", "calls", "more"),
    [
        ("draft", 3, {}),
        ("evaluate", 3, {}),
        ("present", 1, {}),
        ("present", 1, {"response_format": FORMAT}),
    ],
    ids=["draft", "evaluate", "present", "held format"],
)
def test_a_client_that_leaves_frees_its_place_within_a_second(
    phase: str, calls: int, more: dict[str, Any], *, stream: bool
) -> None:
    upstream = Upstream(Phase(phase), calls)
    with serving(upstream.app) as provider:
        backend = Backend(type="chatcompletion", base_url=f"{provider}/v1", api_key="scripted")
        team = Team("team", [Agent(name, model="m", backend=backend) for name in "abc"])
        app = create_app(MassGen(team, env={}), max_runs=1, max_queue=1)
        with serving(app) as url, ThreadPoolExecutor() as pool:
            with asking(url, body_of("stalls", stream=stream, **more)):
                assert upstream.reached.wait(PATIENCE)
                following = pool.submit(create, url, "another question")
            left = time.monotonic()
            assert upstream.gone.wait(PATIENCE)
            assert time.monotonic() - left < 1
            assert following.result(PATIENCE).choices[0].finish_reason == "stop"
    assert upstream.app.aborted == calls
    assert upstream.app.open_streams == 0


def create(url: str, question: str, **more: Any) -> Any:
    with openai.OpenAI(
        base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=PATIENCE
    ) as client:
        create: Any = client.chat.completions.create
        return create(**body_of(question, **more))


class Bench:
    """A team of one whose runs end one by one, when they are told; ``app`` serves it.

    ``began`` has the questions in the order in which their runs began.
    """

    def __init__(self, script: Callable[[TurnRequest], Any] = agreeable, **settings: Any) -> None:
        self.began: list[str] = []
        self.aborted = threading.Semaphore(0)
        self._begins = threading.Semaphore(0)
        self._ends: dict[str, threading.Event] = {}
        self.model = Model(script, hold=self._hold, on_abort=self.aborted.release)
        team = Team("team", [Agent("a", model="m")])
        self.app = create_app(MassGen(team, connect=lambda _: self.model), **settings)

    async def _hold(self, request: TurnRequest, index: int) -> None:
        if index == 0:
            question = request.messages[-1].text
            self.began.append(question)
            ends = self._ends.setdefault(question, threading.Event())
            self._begins.release()
            await anyio.to_thread.run_sync(ends.wait, abandon_on_cancel=True)

    def next_begins(self) -> str:
        """Wait until one more run has begun; its question."""
        assert self._begins.acquire(timeout=PATIENCE)
        return self.began[-1]

    def end(self, question: str) -> None:
        """Let the run of this question end."""
        self._ends.setdefault(question, threading.Event()).set()


def asks(request: TurnRequest, question: str) -> bool:
    return request.messages[-1].text == question


def waiting(app: Any) -> int:
    """How many requests wait for a place."""
    return len(app.state.runs.waiting)


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        pass  # the test's timeout bounds this


def test_places_are_given_in_order_and_a_request_too_many_is_refused_at_once() -> None:
    bench = Bench(max_runs=1, max_queue=2)
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        asked: list[Future[Any]] = []
        for number, question in enumerate(["one", "two", "three"]):
            asked.append(pool.submit(create, url, question))
            if number == 0:
                assert bench.next_begins() == "one"
            else:
                until(lambda number=number: waiting(bench.app) == number)
        for stream in (True, False):
            with pytest.raises(openai.InternalServerError) as refused:
                create(url, "four", stream=stream)
            assert (refused.value.status_code, refused.value.code) == (503, "server_overloaded")
            assert int(refused.value.response.headers["retry-after"]) >= 1
            assert refused.value.response.headers["content-type"] == "application/json"
        bench.end("one")
        assert bench.next_begins() == "two"
        bench.end("two")
        assert bench.next_begins() == "three"
        bench.end("three")
        assert [each.result(PATIENCE).choices[0].finish_reason for each in asked] == ["stop"] * 3


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_client_that_leaves_the_queue_frees_its_place_there(*, stream: bool) -> None:
    bench = Bench(max_runs=1, max_queue=1, retry_grace_seconds=60)
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        first = pool.submit(create, url, "one")
        bench.next_begins()
        with asking(url, body_of("leaves", stream=stream)):
            until(lambda: waiting(bench.app) == 1)
        until(lambda: waiting(bench.app) == 0)
        last = pool.submit(create, url, "last")
        until(lambda: waiting(bench.app) == 1)
        bench.end("one")
        assert bench.next_begins() == "last"
        bench.end("last")
        assert first.result(PATIENCE).choices
        assert last.result(PATIENCE).choices
    assert bench.began == ["one", "last"]


def test_a_stream_sends_nothing_before_it_has_a_place() -> None:
    bench = Bench(max_runs=1)
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        first = pool.submit(create, url, "one")
        bench.next_begins()
        with asking(url, body_of("two", stream=True)) as client:
            until(lambda: waiting(bench.app) == 1)
            client.setblocking(False)  # noqa: FBT003 - the socket's own
            with pytest.raises(BlockingIOError):
                client.recv(1)
            client.settimeout(PATIENCE)
            bench.end("one")
            bench.end("two")
            assert answer_of(client).startswith(b"HTTP/1.1 200")
        assert first.result(PATIENCE).choices


def test_a_wait_for_a_place_comes_to_an_end() -> None:
    bench = Bench(max_runs=1, queue_seconds=0.05)
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        first = pool.submit(create, url, "one")
        bench.next_begins()
        with pytest.raises(openai.InternalServerError) as refused:
            create(url, "two", stream=True)
        assert refused.value.status_code == 503
        assert "retry-after" in refused.value.response.headers
        bench.end("one")
        assert first.result(PATIENCE).choices
    assert bench.began == ["one"]


@pytest.mark.parametrize(
    "setting", [{"max_runs": 0}, {"max_queue": -1}, {"retry_grace_seconds": float("nan")}]
)
def test_a_setting_that_makes_no_sense_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        Bench(**setting)


# Slow readers

PIECE = "x" * 100_000
PIECES = 1000
"""100 MB: far more than all the buffers of two sockets."""


def endless(request: TurnRequest) -> list[TurnEvent]:
    if request.messages[-1].text != "long":
        return agreeable(request)
    reply = Reply(text="long", usage=COST)
    return [*(TextPiece(PIECE) for _ in range(PIECES)), reply]


class Counting:
    """Counts the pieces that the long answer's model was asked for."""

    def __init__(self) -> None:
        self.pieces = 0
        self.aborted = threading.Event()
        self.model = Model(endless, hold=self._count, on_abort=self.aborted.set)

    async def _count(self, request: TurnRequest, index: int) -> None:
        await anyio.lowlevel.checkpoint()
        if request.messages[-1].text == "long":
            self.pieces = index

    def app(self, **settings: Any) -> Any:
        team = Team("team", [Agent("a", model="m")])
        return create_app(MassGen(team, connect=lambda _: self.model), **settings)


@pytest.mark.parametrize("join", [True, False])
def test_a_client_that_does_not_read_stops_its_own_run_only(*, join: bool) -> None:
    counting = Counting()
    with (
        serving(counting.app(join_retries=join)) as url,
        asking(url, body_of("long", stream=True)) as slow,
    ):
        assert slow.recv(12) == b"HTTP/1.1 200"
        before = -1
        while before != counting.pieces:
            before = counting.pieces
            assert create(url, "short").choices[0].finish_reason == "stop"
        assert 0 < counting.pieces < PIECES // 2
        assert not counting.aborted.is_set()


def test_a_client_that_reads_nothing_for_too_long_counts_as_gone() -> None:
    counting = Counting()
    with (
        serving(counting.app(write_seconds=0.1)) as url,
        asking(url, body_of("long", stream=True)),
    ):
        assert counting.aborted.wait(PATIENCE)
    assert counting.model.open == 0


# The log


def lines_of(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if hasattr(record, "outcome")]


def test_a_run_leaves_one_line_with_figures_and_without_content(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    team = Team("team", [Agent(name, model="m") for name in "ab"])
    app = create_app(MassGen(team, connect=lambda _: Model()), api_keys=["key-of-a-client-0123"])
    with (
        serving(app) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="key-of-a-client-0123") as client,
    ):
        asked = client.chat.completions.with_raw_response.create(
            model="team", messages=[{"role": "user", "content": "a private matter"}]
        )
        massgen = (asked.parse().model_extra or {})["massgen"]
    (line,) = lines_of(caplog)
    assert (line.name, line.levelname) == ("massgen_compat", "INFO")
    assert line.request_id == asked.request_id
    assert line.run_id == massgen["run_id"]
    assert (line.team, line.outcome, line.calls, line.tokens) == ("team", "completed", 5, 70)
    assert line.seconds >= 0
    for name in ("request_id", "run_id", "team", "outcome", "calls", "tokens", "seconds"):
        assert f"{name}={getattr(line, name)}" in line.getMessage()
    own = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("massgen_compat"))
    for secret in ("private matter", "key-of-a-client", "scatters", "draft of"):
        assert secret not in own


def test_the_log_tells_how_a_run_ended(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    broken = failing(Phase.PRESENT, UpstreamUnreachable("no way through"))
    bench = Bench(lambda request: (broken if asks(request, "fails") else agreeable)(request))
    with serving(bench.app) as url:
        with pytest.raises(openai.InternalServerError):
            create(url, "fails")
        with asking(url, body_of("leaves")):
            bench.next_begins()
        assert bench.aborted.acquire(timeout=PATIENCE)
    assert [line.outcome for line in lines_of(caplog)] == ["upstream_unreachable", "client_gone"]
    assert [line.calls for line in lines_of(caplog)] == [1, 1]
    assert "no way through" not in caplog.text
