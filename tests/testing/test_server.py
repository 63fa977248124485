"""``ScriptedServer`` in the process: routes, errors, records, gates, disconnects, cuts."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
import pytest

from massgen_compat._run.turn import Phase
from massgen_compat.errors import ConfigError
from massgen_compat.testing import ScriptedServer, ServedRequest

pytestmark = pytest.mark.anyio

Post = Callable[[ScriptedServer, str, object], Awaitable[tuple[int, dict[str, str], bytes]]]
Event = MutableMapping[str, Any]
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


def chat(model: str = "m", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello?"}], **fields}


def responses(model: str = "m", **fields: Any) -> dict[str, Any]:
    return {"model": model, "input": "Hello?", **fields}


class Connection:
    """One request on an open connection: the client reads as it comes, and can go away."""

    def __init__(self, body: dict[str, Any], path: str = CHAT) -> None:
        self.scope: Event = {"type": "http", "method": "POST", "path": path, "headers": []}
        self.inbox: list[Event] = [{"type": "http.request", "body": json.dumps(body).encode()}]
        self.gone = anyio.Event()
        self.events: list[Event] = []

    async def receive(self) -> Event:
        if self.inbox:
            return self.inbox.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: Event) -> None:
        self.events.append(event)

    async def serve(self, app: ScriptedServer) -> None:
        with anyio.fail_after(5):
            await app(self.scope, self.receive, self.send)

    @property
    def body(self) -> bytes:
        return b"".join(event["body"] for event in self.events[1:])

    @property
    def complete(self) -> bool:
        return not self.events[-1].get("more_body", True)


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_both_apis_answer_with_and_without_the_version(post: Post, prefix: str) -> None:
    app = ScriptedServer({"m": {"present": "Hi."}})
    status, headers, body = await post(app, f"{prefix}/chat/completions", chat())
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body)["choices"][0]["message"]["content"] == "Hi."
    assert int(headers["content-length"]) == len(body)
    status, headers, body = await post(app, f"{prefix}/responses", responses())
    assert json.loads(body)["output"][0]["content"][0]["text"] == "Hi."


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("model", ["m", "fails", "unknown"])
async def test_every_response_says_that_it_is_scripted(
    post: Post, model: str, *, stream: bool
) -> None:
    app = ScriptedServer({"m": None, "fails": {"present": {"fail": {"status": 500}}}})
    for path, body in ((CHAT, chat(model)), (RESPONSES, responses(model))):
        _, headers, _ = await post(app, path, {**body, "stream": stream})
        assert headers["x-massgen-scripted"] == "true"


async def test_the_same_request_gets_the_same_bytes(post: Post) -> None:
    app = ScriptedServer({"m": None})
    for path, body in ((CHAT, chat(stream=True)), (RESPONSES, responses(stream=True))):
        assert await post(app, path, body) == await post(app, path, body)


async def test_the_default_script_serves_every_other_model_under_the_name_that_it_asked_for(
    post: Post,
) -> None:
    app = ScriptedServer({"m": {"present": "M"}}, default={"present": "D"})
    _, _, body = await post(app, CHAT, chat("other"))
    completion = json.loads(body)
    assert (completion["model"], completion["choices"][0]["message"]["content"]) == ("other", "D")
    assert completion["system_fingerprint"] == "fp_scripted"


async def test_an_unknown_model_gets_the_recorded_error_of_its_api(post: Post) -> None:
    app = ScriptedServer({})
    status, _, body = await post(app, CHAT, chat("gpt-5.2-proo"))
    assert (status, json.loads(body)) == (
        404,
        {
            "error": {
                "message": "The model `gpt-5.2-proo` does not exist or you do not have access "
                "to it.",
                "type": "invalid_request_error",
                "param": None,
                "code": "model_not_found",
            }
        },
    )
    status, _, body = await post(app, RESPONSES, responses("gpt-5.2-proo"))
    assert (status, json.loads(body)) == (
        400,
        {
            "error": {
                "message": "The requested model 'gpt-5.2-proo' does not exist.",
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_found",
            }
        },
    )


MALFORMED: dict[str, tuple[str, object, str | None]] = {
    "no JSON": (CHAT, b"{", None),
    "no object": (CHAT, b"[1]", None),
    "no model": (CHAT, {"messages": []}, None),
    "no messages": (CHAT, {"model": "m"}, "messages"),
    "empty messages": (CHAT, {"model": "m", "messages": []}, "messages"),
    "messages of text": (CHAT, {"model": "m", "messages": ["hi"]}, "messages"),
    "a message without a role": (CHAT, {"model": "m", "messages": [{}]}, "messages[0].role"),
    "no input": (RESPONSES, {"model": "m"}, "input"),
    "input of a wrong type": (RESPONSES, {"model": "m", "input": 3}, "input"),
    "an unknown role": (
        RESPONSES,
        {"model": "m", "input": [{"role": "user"}, {"role": "god"}]},
        "input[1].role",
    ),
    "tools of a wrong type": (CHAT, chat(tools="f"), "tools"),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_request_gets_a_400_in_openais_shape(post: Post, name: str) -> None:
    path, sent, param = MALFORMED[name]
    app = ScriptedServer({"m": None})
    status, _, body = await post(app, path, sent)
    error = json.loads(body)["error"]
    assert status == 400
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert app.requests == ()


async def test_other_urls_are_not_there(post: Post) -> None:
    status, _, body = await post(ScriptedServer({}), "/v1/embeddings", {})
    assert status == 404
    assert json.loads(body)["error"]["message"] == "Invalid URL (POST /v1/embeddings)"


async def test_the_models_are_listed() -> None:
    connection = Connection({}, "/v1/models")
    connection.scope["method"] = "GET"
    await connection.serve(ScriptedServer({"a": None, "b": None}))
    listed = json.loads(connection.body)
    assert [model["id"] for model in listed["data"]] == ["a", "b"]


async def test_a_failure_carries_what_the_script_says(post: Post) -> None:
    fail = {
        "status": 429,
        "retry_after": 1.5,
        "message": "Slow down.",
        "code": "slow",
        "param": "p",
    }
    app = ScriptedServer({"m": {"present": {"fail": fail}}})
    status, headers, body = await post(app, CHAT, chat(stream=True))
    assert (status, headers["retry-after"]) == (429, "1.5")
    error = {"message": "Slow down.", "type": "rate_limit_error", "param": "p", "code": "slow"}
    assert json.loads(body) == {"error": error}


async def test_a_request_is_refused_for_a_parameter_and_served_without_it(post: Post) -> None:
    fail = {"status": 400, "param": "reasoning_effort", "when_sent": "reasoning_effort"}
    app = ScriptedServer({"m": {"present": {"text": "Hi.", "fail": fail}}})
    assert (await post(app, CHAT, chat(reasoning_effort="low")))[0] == 400
    assert (await post(app, CHAT, chat()))[0] == 200


async def test_a_failure_after_tokens_breaks_a_stream_and_is_a_status_otherwise(
    post: Post,
) -> None:
    fail = {"status": 500, "after_tokens": 1, "message": "Oops."}
    app = ScriptedServer({"m": {"present": {"text": "one two", "fail": fail}}})
    status, _, body = await post(app, CHAT, chat(stream=True))
    *_, token, error = [json.loads(frame[6:]) for frame in body.decode().split("\n\n")[:-1]]
    assert status == 200
    assert token["choices"][0]["delta"] == {"content": "one "}
    assert error["error"]["message"] == "Oops."
    _, _, body = await post(app, RESPONSES, responses(stream=True))
    last = body.decode().split("\n\n")[-2]
    failed = json.loads(last.split("data: ")[1])
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "Oops."}
    assert failed["sequence_number"] == body.count(b"event: ") - 1
    for path, sent in ((CHAT, chat()), (RESPONSES, responses())):
        assert (await post(app, path, sent))[0] == 500


async def test_requests_are_recorded_with_what_the_script_went_by(post: Post) -> None:
    app = ScriptedServer({"m": None})
    body = chat(seed=1)
    body["messages"] += [
        {"role": "user", "content": [{"type": "text", "text": "## Round 3: evaluate"}]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "c", "content": "no"},
    ]
    await post(app, CHAT, body)
    assert app.requests == (
        ServedRequest(
            path=CHAT,
            api="chat",
            model="m",
            body=body,
            headers={"x-agent": "a"},
            phase=Phase.EVALUATE,
            round=3,
            attempt=2,
        ),
    )


async def test_a_replayed_reply_of_several_items_is_one_attempt(post: Post) -> None:
    app = ScriptedServer({"m": None})
    items: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "input_text", "text": "## Round 1: draft"}]},
        {"type": "reasoning", "id": "rs", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "no"},
    ]
    await post(app, RESPONSES, responses(input=items, instructions="Be brief."))
    assert [(served.phase, served.attempt) for served in app.requests] == [(Phase.DRAFT, 2)]


async def test_only_the_last_requests_are_kept(post: Post) -> None:
    app = ScriptedServer({"m": None}, keep_requests=2)
    for seed in range(3):
        await post(app, CHAT, chat(seed=seed))
    assert [served.body["seed"] for served in app.requests] == [1, 2]


def test_a_wrong_script_names_its_model() -> None:
    with pytest.raises(ConfigError, match=r"scripts\['m'\]\.draft: must have at least one entry"):
        ScriptedServer({"m": {"draft": []}})


class Gate:
    """Holds a reply before one of its tokens."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.reached, self.release = anyio.Event(), anyio.Event()

    async def __call__(self, served: ServedRequest, index: int) -> None:
        assert served.model == "m"
        if index == self.at:
            self.reached.set()
            await self.release.wait()


async def test_a_gate_holds_a_stream_before_a_token() -> None:
    gate = Gate(1)
    app = ScriptedServer({"m": {"present": "one two"}}, before_token=gate)
    connection = Connection(chat(stream=True))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.serve, app)
        await gate.reached.wait()
        assert b'"one "' in connection.body
        assert b'"two"' not in connection.body
        assert (app.open_streams, app.aborted) == (1, 0)
        gate.release.set()
    assert connection.body.endswith(b"data: [DONE]\n\n")
    assert (app.open_streams, app.aborted) == (0, 0)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_client_that_goes_away_stops_its_reply(*, stream: bool) -> None:
    gate = Gate(1)
    app = ScriptedServer({"m": {"present": "one two"}}, before_token=gate)
    connection = Connection(chat(stream=stream))
    connection.inbox.append({"type": "http.request", "body": b""})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.serve, app)
        await gate.reached.wait()
        connection.gone.set()
    assert (app.open_streams, app.aborted) == (0, 1)
    assert not connection.events or not connection.complete


async def test_a_client_that_goes_away_while_it_sends_its_request_is_aborted() -> None:
    connection = Connection({})
    connection.inbox = [{"type": "http.request", "body": b"{", "more_body": True}]
    connection.gone.set()
    app = ScriptedServer({})
    await connection.serve(app)
    assert (connection.events, app.aborted) == ([], 1)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_stalled_reply_waits_for_the_client_to_give_up(*, stream: bool) -> None:
    stall = {"text": "one two", "fail": {"stall": True, "after_tokens": 1}}
    app = ScriptedServer({"m": {"present": stall}})
    connection = Connection(chat(stream=stream))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.serve, app)
        await anyio.wait_all_tasks_blocked()
        assert app.open_streams == 1
        assert (b'"one "' in connection.body) == stream
        connection.gone.set()
    assert app.aborted == 1


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("after", [0, 1, 99])
async def test_a_cut_stream_ends_without_its_end(path: str, after: int) -> None:
    cut = {"text": "one two", "fail": {"cut": True, "after_tokens": after}}
    connection = Connection({**chat(stream=True), **responses(stream=True)}, path)
    await connection.serve(ScriptedServer({"m": {"present": cut}}))
    assert not connection.complete
    assert (b'"one "' in connection.body) == (after > 0)
    assert b"[DONE]" not in connection.body
    assert b"response.completed" not in connection.body


async def test_a_cut_reply_is_shorter_than_it_says() -> None:
    connection = Connection(chat())
    await connection.serve(ScriptedServer({"m": {"present": {"fail": {"cut": True}}}}))
    said = int(dict(connection.events[0]["headers"])[b"content-length"])
    assert not connection.complete
    assert 0 < len(connection.body) < said


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_delays_are_kept(*, stream: bool) -> None:
    pace = {"delay_seconds": 0.02, "token_delay_seconds": 0.02}
    connection = Connection(chat(stream=stream))
    started = anyio.current_time()
    await connection.serve(ScriptedServer({"m": {"present": "one two", **pace}}))
    assert anyio.current_time() - started >= 0.05
    assert connection.complete


async def test_the_lifespan_protocol_is_answered() -> None:
    inbox = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Event] = []

    async def receive() -> Event:
        return inbox.pop(0)

    async def send(event: Event) -> None:
        sent.append(event)

    await ScriptedServer({})({"type": "lifespan"}, receive, send)
    assert [event["type"] for event in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_a_websocket_is_refused() -> None:
    connection = Connection({})
    connection.scope["type"] = "websocket"
    with pytest.raises(ValueError, match="HTTP only"):
        await connection.serve(ScriptedServer({}))
