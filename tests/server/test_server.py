"""The ASGI app behind real uvicorn, judged by the official SDK and by raw sockets."""

import json
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import openai
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from massgen_compat import Agent, MassGen, Team, TeamSettings
from massgen_compat._run.turn import Phase, TurnRequest
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.errors import (
    ContextLengthExceeded,
    MassGenError,
    UpstreamAuthentication,
    UpstreamMalformed,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from tests.fakes import Model, agreeable, failing

HELLO: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]
CHAT = {"model": "team", "messages": HELLO}
PATIENCE = 10


def massgen_of(models: Mapping[str, Model], settings: TeamSettings | None = None) -> MassGen:
    team = Team("team", [Agent(name, model="m") for name in models], settings=settings)
    return MassGen(team, connect=lambda agent: models[agent.id])


@contextmanager
def sdk(url: str, key: str = "anything", retries: int = 0) -> Generator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{url}/v1", api_key=key, max_retries=retries, timeout=PATIENCE
    ) as client:
        yield client


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


def ask(
    url: str,
    path: str = "/v1/chat/completions",
    body: object = None,
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """A request without any client library's help; ``body`` may be bytes."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(
        method or ("GET" if body is None else "POST"), path, data, dict(headers or {})
    )
    response = connection.getresponse()
    raw = response.read()
    connection.close()
    given = {name.lower(): value for name, value in response.getheaders()}
    is_json = given.get("content-type", "").startswith("application/json")
    return Answer(response.status, given, json.loads(raw) if is_json else raw)


class Gate:
    """Holds models, on the server's thread, until the test opens it."""

    def __init__(self, phase: Phase | None = None, index: int = 0) -> None:
        self._phase = phase
        self._index = index
        self._open = threading.Event()
        self.reached = threading.Event()

    async def __call__(self, request: TurnRequest, index: int) -> None:
        if self._phase in {None, request.phase} and index >= self._index:
            self.reached.set()
            await anyio.to_thread.run_sync(self._open.wait, abandon_on_cancel=True)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def plain() -> Iterator[str]:
    """A server of one team of two agreeable agents."""
    with serving(create_app(massgen_of({name: Model() for name in "ab"}))) as url:
        yield url


def test_the_sdk_gets_a_completion_with_the_whole_runs_usage(plain: str) -> None:
    with sdk(plain) as client:
        completion = client.chat.completions.create(model="team", messages=HELLO)
    assert completion.choices[0].message.content == "It scatters."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 5 * 14
    extra = completion.model_extra or {}
    assert extra["massgen"]["winner"] == "a"
    with sdk(plain) as client:
        raw = client.chat.completions.with_raw_response.create(model="team", messages=HELLO)
    assert (raw.request_id or "").startswith("req_")


def test_the_stream_adds_up_to_the_completion(plain: str) -> None:
    with sdk(plain) as client:
        completion = client.chat.completions.create(model="team", messages=HELLO)
        with client.chat.completions.stream(
            model="team", messages=HELLO, stream_options={"include_usage": True}
        ) as stream:
            streamed = stream.get_final_completion()
    assert streamed.choices[0].message.content == completion.choices[0].message.content
    assert streamed.choices[0].finish_reason == completion.choices[0].finish_reason
    assert streamed.usage == completion.usage


def test_the_first_chunk_arrives_before_any_model_may_answer() -> None:
    gate = Gate()
    models = {name: Model(hold=gate) for name in "ab"}
    with serving(create_app(massgen_of(models))) as url, sdk(url) as client:
        chunks = client.chat.completions.create(model="team", messages=HELLO, stream=True)
        assert next(chunks).choices[0].delta.role == "assistant"
        gate.open()
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "It scatters."


def test_a_token_arrives_before_the_presenter_may_write_the_next() -> None:
    gate = Gate(Phase.PRESENT, index=1)
    models = {name: Model(hold=gate) for name in "ab"}
    with serving(create_app(massgen_of(models))) as url, sdk(url) as client:
        chunks = client.chat.completions.create(model="team", messages=HELLO, stream=True)
        texts = (chunk.choices[0].delta.content for chunk in chunks)
        assert next(text for text in texts if text) == "It "
        gate.open()
        assert "".join(text or "" for text in texts) == "scatters."


def test_the_deliberation_arrives_while_it_happens() -> None:
    gate = Gate(Phase.EVALUATE)
    models = {name: Model(hold=gate) for name in "ab"}
    with serving(create_app(massgen_of(models))) as url, sdk(url) as client:
        chunks = client.chat.completions.create(model="team", messages=HELLO, stream=True)
        told = (getattr(c.choices[0].delta, "reasoning_content", None) for c in chunks)
        lines = [next(text for text in told if text) for _ in range(2)]
        assert sorted(lines) == ["a answered.\n", "b answered.\n"]
        gate.open()
        assert any("The team chose a" in (text or "") for text in told)


def test_a_silent_stream_gets_heartbeats_of_empty_chunks() -> None:
    gate = Gate()
    models = {name: Model(hold=gate) for name in "ab"}
    app = create_app(massgen_of(models), heartbeat_seconds=0.01)
    with serving(app) as url, sdk(url) as client:
        chunks = client.chat.completions.create(model="team", messages=HELLO, stream=True)
        next(chunks)
        beats = [next(chunks) for _ in range(3)]
        gate.open()
        rest = list(chunks)
    assert [beat.choices[0].delta.model_dump(exclude_unset=True) for beat in beats] == [{}] * 3
    assert rest[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("phase", list(Phase))
def test_a_client_that_leaves_ends_its_run(stream: bool, phase: Phase) -> None:  # noqa: FBT001
    gate, gone = Gate(phase), threading.Event()
    models = {name: Model(hold=gate, on_abort=gone.set) for name in "ab"}
    body = json.dumps({**CHAT, "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with serving(create_app(massgen_of(models))) as url:
        with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as client:
            client.sendall(head.encode() + body)
            assert gate.reached.wait(PATIENCE)
        assert gone.wait(PATIENCE), "the models were not told that the client is gone"
    assert [model.open for model in models.values()] == [0, 0]


@dataclass(frozen=True)
class Fault:
    error: MassGenError
    phase: Phase
    status: int
    code: str
    retry: str | None
    event: tuple[str, str]


FAULTS = {
    "rate limit": Fault(
        UpstreamRateLimited("slow down", retry_after=7),
        Phase.DRAFT,
        429,
        "rate_limit_exceeded",
        None,
        ("rate_limit_exceeded", "rate_limit_exceeded"),
    ),
    "our key": Fault(
        UpstreamAuthentication("check the key of this server"),
        Phase.DRAFT,
        502,
        "upstream_authentication",
        "false",
        ("invalid_request_error", "coordination_failed"),
    ),
    "timeout": Fault(
        UpstreamTimeout("too slow"),
        Phase.DRAFT,
        504,
        "upstream_timeout",
        "false",
        ("invalid_request_error", "coordination_failed"),
    ),
    "context": Fault(
        ContextLengthExceeded("too long"),
        Phase.DRAFT,
        400,
        "context_length_exceeded",
        None,
        ("invalid_request_error", "context_length_exceeded"),
    ),
    "cut in the message": Fault(
        UpstreamMalformed("cut"),
        Phase.PRESENT,
        502,
        "upstream_malformed",
        "false",
        ("invalid_request_error", "coordination_failed"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_failed_run_is_an_error_that_says_whether_to_retry(fault: Fault) -> None:
    script = failing(fault.phase, fault.error, after=1 if fault.phase is Phase.PRESENT else 0)
    with serving(create_app(massgen_of({name: Model(script) for name in "ab"}))) as url:
        reply = ask(url, body=CHAT)
        assert (reply.status, reply.body["error"]["code"]) == (fault.status, fault.code)
        assert reply.headers.get("x-should-retry") == fault.retry
        if fault.status == 429:
            assert reply.headers["retry-after"] == "7"
        with sdk(url) as client, pytest.raises(openai.APIError) as caught:
            list(client.chat.completions.create(model="team", messages=HELLO, stream=True))
    assert (caught.value.type, caught.value.code) == fault.event


def test_a_fault_of_our_own_shows_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: TurnRequest) -> Any:
        raise ZeroDivisionError("secret detail")

    with serving(create_app(massgen_of({name: Model(broken) for name in "ab"}))) as url:
        reply = ask(url, body=CHAT)
        assert reply.status == 500
        assert "secret" not in json.dumps(reply.body)
        with sdk(url) as client, pytest.raises(openai.APIError) as caught:
            list(client.chat.completions.create(model="team", messages=HELLO, stream=True))
        assert "secret" not in str(caught.value)
        assert ask(url, "/health").status == 200
    assert "ZeroDivisionError" in caplog.text


@dataclass(frozen=True)
class Bad:
    status: int
    code: str | None
    param: str | None = None
    body: object = None
    path: str = "/v1/chat/completions"
    method: str | None = None


BAD = {
    "broken JSON": Bad(400, None, body=b"{"),
    "no object": Bad(400, None, body=b"[]"),
    "NaN": Bad(400, None, body=b'{"model": "team", "messages": [], "temperature": NaN}'),
    "deep nesting": Bad(400, None, body=b"[" * 100_000),
    "a lone surrogate": Bad(
        400, None, body=b'{"model":"team","messages":[{"role":"user","content":"\\ud800"}]}'
    ),
    "no model": Bad(400, None, body={"messages": HELLO}),
    "unknown model": Bad(404, "model_not_found", body={**CHAT, "model": "nobody"}),
    "a file for a model": Bad(
        404, "model_not_found", body={**CHAT, "model": "massgen/path:/etc/passwd"}
    ),
    "no messages": Bad(400, "missing_required_parameter", "messages", {"model": "team"}),
    "empty messages": Bad(400, "empty_array", "messages", {**CHAT, "messages": []}),
    "a wrong type": Bad(400, "invalid_type", "temperature", {**CHAT, "temperature": "hot"}),
    "hosted tools": Bad(
        400, "invalid_value", "tools[0].type", {**CHAT, "tools": [{"type": "web_search"}]}
    ),
    "unknown path": Bad(404, None, path="/v1/embeddings", body={}),
    "no model at all": Bad(404, "model_not_found", path="/v1/models/"),
    "unknown model object": Bad(404, "model_not_found", path="/v1/models/nobody"),
    "wrong method": Bad(405, "method_not_supported", method="PUT", body={}),
    "a body that is too large": Bad(413, "request_too_large", body=b" " * 2_000_001),
    "a body that is three times too large": Bad(413, "request_too_large", body=b" " * 6_000_000),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input_gets_openais_error_and_the_server_goes_on(case: Bad) -> None:
    app = create_app(massgen_of({"a": Model()}), max_body_bytes=2_000_000)
    with serving(app) as url:
        reply = ask(url, case.path, case.body, method=case.method)
        assert ask(url, body=CHAT).status == 200
    assert reply.status == case.status
    error = reply.body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (case.code, case.param)
    assert error["type"] == "invalid_request_error"
    assert 0 < len(error["message"]) < 1000


def test_ignored_parameters_are_named_in_a_header(plain: str) -> None:
    reply = ask(plain, body={**CHAT, "api_base": "http://evil", "user": "me"})
    assert reply.headers["x-massgen-ignored-params"] == "api_base,user"


def test_models_are_the_teams_and_their_first_agents(plain: str) -> None:
    with sdk(plain) as client:
        assert [model.id for model in client.models.list()] == ["team", "team-single"]
        assert client.models.retrieve("team-single").owned_by == "massgen"
        alone = client.chat.completions.create(model="team-single", messages=HELLO)
    assert alone.choices[0].message.content == "It scatters."
    assert alone.usage is not None
    assert alone.usage.total_tokens == 14


def test_the_same_paths_work_without_v1(plain: str) -> None:
    assert ask(plain, "/chat/completions", CHAT).status == 200
    assert ask(plain, "/models").body["object"] == "list"


KEYS = ("first-key-of-this-server", "second-key-of-this-server")


def every_path(app: Starlette) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        path: str = getattr(route, "path")  # noqa: B009 - BaseRoute does not declare it
        yield (
            path.replace("{model:path}", "team"),
            "POST" if path.endswith("s/completions") else "GET",
        )


def test_every_route_but_health_wants_a_key_before_anything_else() -> None:
    app = create_app(massgen_of({"a": Model()}), api_keys=KEYS)
    paths = [*every_path(app), ("/v1/nope", "GET"), ("/v1/models", "DELETE"), ("/", "OPTIONS")]
    assert len(paths) == 13
    with serving(app) as url:
        for path, method in paths:
            wanted = 200 if path in {"/health", "/ready"} else 401
            assert ask(url, path, method=method).status == wanted, path
            wrong = {"Authorization": "Bearer wrong-key-0123456789"}
            assert ask(url, path, method=method, headers=wrong).status == wanted, path


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {KEYS[0]}", 200),
        (f"bearer  {KEYS[1]} ", 200),
        (KEYS[0], 401),
        (f"Basic {KEYS[0]}", 401),
        ("Bearer", 401),
        (f"Bearer {KEYS[0]}x", 401),
        ("Bearer \xff' OR 1=1", 401),
    ],
)
def test_only_a_known_key_opens(header: str, status: int) -> None:
    app = create_app(massgen_of({"a": Model()}), api_keys=KEYS)
    with serving(app) as url:
        reply = ask(url, "/v1/models", headers={"Authorization": header})
    assert reply.status == status
    if status == 401:
        assert reply.headers["www-authenticate"] == "Bearer"
        assert KEYS[0] not in json.dumps(reply.body)


def test_a_body_is_not_read_before_its_key_is_known() -> None:
    app = create_app(massgen_of({"a": Model()}), api_keys=KEYS)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    with (
        serving(app) as url,
        socket.create_connection(
            ("127.0.0.1", urlsplit(url).port or 0), timeout=PATIENCE
        ) as client,
    ):
        client.sendall(head)
        assert client.recv(100).startswith(b"HTTP/1.1 401")


def test_a_draining_server_refuses_new_runs_and_finishes_open_ones() -> None:
    gate = Gate()
    app = create_app(massgen_of({name: Model(hold=gate) for name in "ab"}))
    with serving(app) as url, sdk(url) as client:
        chunks = client.chat.completions.create(model="team", messages=HELLO, stream=True)
        next(chunks)
        app.state.runs.drain()
        refused = ask(url, body=CHAT)
        assert (refused.status, refused.body["error"]["code"]) == (503, "server_overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert ask(url, "/ready").status == 503
        assert ask(url, "/health").status == 200
        gate.open()
        assert list(chunks)[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_the_app_mounts_under_any_path(framework: type[Starlette] | type[FastAPI]) -> None:
    app = create_app(massgen_of({"a": Model()}), api_keys=KEYS)
    outer = FastAPI() if framework is FastAPI else Starlette(routes=[Mount("/ai", app)])
    if isinstance(outer, FastAPI):
        outer.mount("/ai", app)
    with serving(outer) as url:
        with sdk(f"{url}/ai", key=KEYS[0]) as client:
            completion = client.chat.completions.create(model="team", messages=HELLO)
        assert completion.choices[0].message.content == "It scatters."
        assert ask(url, "/ai/health").status == 200
        assert ask(url, "/ai/v1/models").status == 401


def test_browsers_are_let_in_only_from_origins_that_were_named() -> None:
    preflight = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, x-stainless-lang",
    }
    for origins, status in (((), 401), (("https://app.example",), 200)):
        app = create_app(massgen_of({"a": Model()}), api_keys=KEYS, cors_origins=origins)
        with serving(app) as url:
            reply = ask(url, method="OPTIONS", headers=preflight)
            assert reply.headers.get("access-control-allow-origin") == (
                "https://app.example" if origins else None
            )
        assert reply.status == status


def test_the_headers_of_a_stream_tell_proxies_not_to_hold_it_back(plain: str) -> None:
    with (
        sdk(plain) as client,
        client.chat.completions.with_streaming_response.create(
            model="team", messages=HELLO, stream=True
        ) as response,
    ):
        headers = response.headers
        raw = response.read().decode()
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["x-accel-buffering"] == "no"
    assert "content-length" not in headers
    assert raw.endswith("data: [DONE]\n\n")
    assert all(line.startswith("data: ") for line in raw.split("\n\n") if line)


def test_the_agents_models_stay_out_of_each_others_requests() -> None:
    """Two runs at once on one team: nothing of one reaches the other."""
    models = {name: Model(agreeable) for name in "ab"}
    with serving(create_app(massgen_of(models))) as url, sdk(url) as client:
        questions = [f"question {number}" for number in range(8)]
        threads = [
            threading.Thread(
                target=client.chat.completions.create,
                kwargs={"model": "team", "messages": [{"role": "user", "content": question}]},
            )
            for question in questions
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for model in models.values():
        for request in model.requests:
            seen = [q for q in questions if any(q in m.text for m in request.messages)]
            assert len(seen) == 1


def test_a_body_of_thirty_megabytes_is_too_large_by_default(plain: str) -> None:
    text = "x" * 30_000_000
    with sdk(plain) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="team", messages=[{"role": "user", "content": text}])
    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")
    assert ask(plain, body=CHAT).status == 200
