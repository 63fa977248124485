"""Calls over a real socket, through the real SDK: what goes out, how it ends, what is shared."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute

from massgen_compat._run.message import Tool
from massgen_compat._run.result import Usage
from massgen_compat._run.team import Agent, Api, Backend
from massgen_compat._run.turn import Reply, TextPiece, TurnEvent, TurnPiece, TurnRequest
from massgen_compat._upstream import chat, responses
from massgen_compat._upstream.connections import Connections
from massgen_compat.errors import (
    ConfigError,
    ContextLengthExceeded,
    InvalidRequest,
    UpstreamAuthentication,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from massgen_compat.policies import DEFAULT, Policy, resolve

pytestmark = pytest.mark.anyio

Serving = Callable[..., AbstractAsyncContextManager[Any]]

KEY = "sk-test-0123456789abcdef"
ADD = Tool(name="add", description="Adds.", parameters={"type": "object", "properties": {}})


def agent_at(upstream: Any, api: Api = "chat", **backend: Any) -> Agent:
    return Agent(
        "a",
        model="m",
        backend=Backend(type="openai", base_url=upstream.url, api_key=KEY, api=api, **backend),
    )


def connecting(
    *,
    max_retries: int = 0,
    read_timeout: float = 5.0,
    policy_of: Callable[[Agent], Policy] = lambda _: DEFAULT,
) -> Connections:
    return Connections({}, policy_of=policy_of, max_retries=max_retries, read_timeout=read_timeout)


async def ask(
    connections: Connections,
    agent: Agent,
    turn: TurnRequest,
    hear: Callable[[TurnEvent], object] = lambda _: None,
) -> list[TurnEvent]:
    """All events of a turn; ``hear`` gets each as it comes."""
    heard: list[TurnEvent] = []

    async def told(pieces: Sequence[TurnPiece]) -> None:
        for piece in pieces:
            heard.append(piece)
            hear(piece)

    with anyio.fail_after(10):
        reply = await connections.connect(agent).ask(turn, told)
    hear(reply)
    return [*heard, reply]


def sse(*events: object) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def whole(body: object, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {"content-type": "application/json"}, json.dumps(body).encode()


def chunk(delta: dict[str, Any], finish: str | None = None, **extra: Any) -> dict[str, Any]:
    return {"model": "m-1", "choices": [{"delta": delta, "finish_reason": finish}], **extra}


HELLO = sse(chunk({"content": "Hello"}))
END = sse(chunk({}, "stop"), {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})
DONE = b"data: [DONE]\n\n"
RESPONSE = {
    "object": "response",
    "status": "completed",
    "model": "m-1",
    "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    ],
}


async def test_a_streamed_reply_arrives_piece_by_piece(serving: Serving, turn: TurnRequest) -> None:
    more = anyio.Event()
    async with serving([HELLO, more, sse(chunk({"content": " you"})), END, DONE]) as upstream:
        connections = connecting()

        def hear(event: TurnEvent) -> None:
            if event == TextPiece("Hello"):
                more.set()  # only now may the rest be sent

        events = await ask(connections, agent_at(upstream), turn, hear)
        await connections.aclose()
    assert events[:2] == [TextPiece("Hello"), TextPiece(" you")]
    assert events[2:] == [
        Reply(
            text="Hello you",
            usage=Usage(prompt_tokens=5, completion_tokens=2),
            model="m-1",
            items=({"role": "assistant", "content": "Hello you"},),
        )
    ]


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_the_body_on_the_wire_is_the_one_that_was_built(
    serving: Serving, turn: TurnRequest, api: Api
) -> None:
    turn = replace(
        turn,
        tools=(ADD,),
        tool_choice="required",
        params={"temperature": 0.5, "reasoning_effort": "low", "stop": ["x"]},
        headers={"x-run": "run_1"},
    )
    answer = RESPONSE if api == "responses" else {"choices": [{"message": {"content": "Hi"}}]}
    async with serving([whole(answer)]) as upstream:
        agent = replace(agent_at(upstream, api), params={"max_tokens": 7, "min_p": 0.1})
        connections = connecting()
        events = await ask(connections, agent, turn)
        await connections.aclose()
    build = responses.body if api == "responses" else chat.body
    (request,) = upstream.requests
    assert request["body"] == build(turn, agent)
    assert request["target"] == {"chat": "/v1/chat/completions", "responses": "/v1/responses"}[api]
    assert request["headers"]["x-run"] == "run_1"
    assert request["headers"]["authorization"] == f"Bearer {KEY}"
    assert isinstance(events[-1], Reply)
    assert (events[-1].text, events[-1].effort_asked) == ("Hi", "low")


@pytest.mark.parametrize(
    ("api", "target"),
    [
        ("responses", "/openai/responses?api-version=2025-04-01-preview"),
        ("chat", "/openai/deployments/m/chat/completions?api-version=2025-04-01-preview"),
    ],
)
async def test_azure_gets_its_url_and_its_header(
    serving: Serving, turn: TurnRequest, api: Api, target: str
) -> None:
    answer = RESPONSE if api == "responses" else {"choices": [{"message": {"content": "Hi"}}]}
    async with serving([whole(answer)]) as upstream:
        base_url = upstream.url.removesuffix("/v1")
        backend = Backend(type="azure_openai", base_url=base_url, api_key=KEY, api=api)
        agent = Agent("a", model="m", backend=backend)
        connections = connecting()
        await ask(connections, agent, turn)
        await connections.aclose()
    (request,) = upstream.requests
    assert request["target"] == target
    assert request["headers"]["api-key"] == KEY
    build = responses.body if api == "responses" else chat.body
    assert request["body"] == build(turn, agent)


@dataclass(frozen=True)
class Refused:
    status: int
    error: object
    kind: type[Exception]
    part: str
    headers: dict[str, str] | None = None
    retry_after: float | None = None


PAST = "Mon, 01 Jan 2024 00:00:00 GMT"
REFUSALS = (
    Refused(401, {"message": f"Incorrect API key: {KEY}"}, UpstreamAuthentication, "***"),
    Refused(403, {"message": "no access"}, UpstreamAuthentication, "no access"),
    Refused(404, {"message": "no such model"}, UpstreamRejected, "no such model"),
    Refused(400, {"message": "bad", "param": "tools"}, UpstreamRejected, "bad"),
    Refused(422, "just text", UpstreamRejected, "just text"),
    Refused(408, {}, UpstreamTimeout, "too long"),
    Refused(504, None, UpstreamTimeout, "too long"),
    Refused(500, {"message": "oops"}, UpstreamUnreachable, "oops"),
    Refused(503, {}, UpstreamUnreachable, "503", {"retry-after": "7"}, 7.0),
    Refused(429, {"message": "slow"}, UpstreamRateLimited, "slow", {"retry-after-ms": "1500"}, 1.5),
    Refused(429, {}, UpstreamRateLimited, "429", {"retry-after": PAST}, 0),
    Refused(429, {}, UpstreamRateLimited, "429", {"retry-after": "soon"}, None),
)  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case.status}-{case.part}")
async def test_a_refusal_has_its_place_in_the_tree(
    serving: Serving, turn: TurnRequest, case: Refused
) -> None:
    body = json.dumps({"error": case.error}).encode()
    script = [(case.status, {"content-type": "application/json", **(case.headers or {})}, body)]
    async with serving(script) as upstream:
        connections = connecting()
        with pytest.raises(UpstreamError) as caught:
            await ask(connections, agent_at(upstream), turn)
        await connections.aclose()
    assert type(caught.value) is case.kind
    assert case.part in caught.value.message
    assert KEY not in caught.value.message
    assert caught.value.status == case.status
    assert caught.value.retry_after == case.retry_after
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "error",
    [
        {"message": "x", "code": "context_length_exceeded"},
        {"message": "This model's maximum context length is 8192 tokens."},
    ],
)
async def test_a_conversation_that_is_too_long_is_the_requests_fault(
    serving: Serving, turn: TurnRequest, error: dict[str, str]
) -> None:
    async with serving([whole({"error": error}, 400)]) as upstream:
        connections = connecting()
        with pytest.raises(ContextLengthExceeded) as caught:
            await ask(connections, agent_at(upstream), turn)
        await connections.aclose()
    assert isinstance(caught.value, InvalidRequest)


async def test_a_page_of_html_is_not_shown(serving: Serving, turn: TurnRequest) -> None:
    page = b"<html><body>/srv/app.py failed</body></html>"
    async with serving([(502, {"content-type": "text/html"}, page)]) as upstream:
        connections = connecting()
        with pytest.raises(UpstreamUnreachable) as caught:
            await ask(connections, agent_at(upstream), turn)
        await connections.aclose()
    assert "/srv" not in caught.value.message


async def test_the_sdk_retries_what_may_pass(serving: Serving, turn: TurnRequest) -> None:
    busy = [(429, {"retry-after-ms": "1"}, b"{}")]
    async with serving(busy, [HELLO, END, DONE]) as upstream:
        connections = connecting(max_retries=1)
        events = await ask(connections, agent_at(upstream), turn)
        await connections.aclose()
    assert events[0] == TextPiece("Hello")
    assert len(upstream.requests) == 2


@dataclass(frozen=True)
class Broken:
    name: str
    script: tuple[bytes | None, ...]
    kind: type[UpstreamError]
    pieces: int = 1


BROKEN = (
    Broken("cut between chunks", (HELLO, None), UpstreamMalformed),
    Broken("ends without a finish reason", (HELLO,), UpstreamMalformed),
    Broken("done without a finish reason", (HELLO + DONE,), UpstreamMalformed),
    Broken("an event cut in the middle", (HELLO, b'data: {"choi'), UpstreamMalformed),
    Broken("no JSON", (HELLO + b"data: oops\n\n",), UpstreamMalformed),
    Broken("no object", (HELLO + b"data: [1]\n\n",), UpstreamMalformed),
    Broken("nothing", (b": ok\n\n",), UpstreamMalformed, 0),
    Broken(
        "an error in the middle",
        (HELLO + sse({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}),),
        UpstreamRateLimited,
    ),
    Broken(
        "a status as code",
        (HELLO + sse({"error": {"message": "gone", "code": 502}}),),
        UpstreamUnreachable,
    ),
    Broken("a finish by error", (HELLO + sse(chunk({}, "error")),), UpstreamMalformed),
)


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
async def test_a_broken_stream_is_an_error_after_its_pieces(
    serving: Serving, turn: TurnRequest, case: Broken
) -> None:
    seen: list[TurnEvent] = []
    async with serving(case.script) as upstream:
        connections = connecting()
        with pytest.raises(UpstreamError) as caught:
            await ask(connections, agent_at(upstream), turn, seen.append)
        await connections.aclose()
    assert type(caught.value) is case.kind
    assert seen == [TextPiece("Hello")] * case.pieces


async def test_a_cut_after_the_finish_reason_does_no_harm(
    serving: Serving, turn: TurnRequest
) -> None:
    async with serving([HELLO + END, None]) as upstream:
        connections = connecting()
        events = await ask(connections, agent_at(upstream), turn)
        await connections.aclose()
    assert isinstance(events[-1], Reply)
    assert events[-1].usage == Usage(prompt_tokens=5, completion_tokens=2)


async def test_silence_in_the_middle_is_a_timeout(serving: Serving, turn: TurnRequest) -> None:
    async with serving([HELLO, anyio.Event()]) as upstream:
        connections = connecting(read_timeout=0.1)
        with pytest.raises(UpstreamTimeout):
            await ask(connections, agent_at(upstream), turn)
        with anyio.fail_after(5):
            await upstream.left.wait()
        await connections.aclose()


async def test_silence_from_the_start_is_a_timeout(serving: Serving, turn: TurnRequest) -> None:
    async with serving([anyio.Event()]) as upstream:
        connections = connecting(read_timeout=0.1)
        with pytest.raises(UpstreamTimeout):
            await ask(connections, agent_at(upstream), turn)
        await connections.aclose()


async def test_a_closed_port_is_unreachable(turn: TurnRequest) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra_attributes[SocketAttribute.local_port]()
    await listener.aclose()
    backend = Backend(type="vllm", base_url=f"http://127.0.0.1:{port}/v1")
    connections = connecting()
    with pytest.raises(UpstreamUnreachable):
        await ask(connections, Agent("a", model="m", backend=backend), turn)
    await connections.aclose()


async def test_a_request_that_cannot_be_encoded_is_an_error_of_ours(
    serving: Serving, turn: TurnRequest
) -> None:
    async with serving([HELLO]) as upstream:
        agent = replace(agent_at(upstream), params={"top_k": object()})
        connections = connecting()
        with pytest.raises(UpstreamUnreachable, match="TypeError"):
            await ask(connections, agent, turn)
        await connections.aclose()


@pytest.mark.parametrize("script", [[HELLO], []], ids=["reading", "waiting for the head"])
async def test_cancelling_closes_the_connection(
    serving: Serving, turn: TurnRequest, script: list[bytes]
) -> None:
    async with serving([*script, anyio.Event()]) as upstream:
        connections = connecting()

        async def listen() -> None:
            await ask(connections, agent_at(upstream), turn)
            raise AssertionError("the reply cannot have ended")

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                await upstream.asked.wait()
                tasks.cancel_scope.cancel()
            await upstream.left.wait()
        await connections.aclose()


async def test_an_error_of_the_listener_is_passed_on_and_closes_the_connection(
    serving: Serving, turn: TurnRequest
) -> None:
    async with serving([HELLO, anyio.Event()]) as upstream:
        connections = connecting()
        with pytest.raises(ZeroDivisionError):
            await ask(connections, agent_at(upstream), turn, lambda _: 1 / 0)
        with anyio.fail_after(5):
            await upstream.left.wait()
        await connections.aclose()


async def test_agents_at_one_endpoint_share_one_connection(
    serving: Serving, turn: TurnRequest
) -> None:
    async with serving([HELLO, END, DONE]) as upstream:
        connections = connecting()
        first = agent_at(upstream)
        second = replace(agent_at(upstream), id="b", model="other")
        for agent in (first, second, first):
            await ask(connections, agent, turn)
        await connections.aclose()
    assert [request["body"]["model"] for request in upstream.requests] == ["m", "other", "m"]
    assert upstream.connections == 1


async def test_another_key_is_another_endpoint(serving: Serving, turn: TurnRequest) -> None:
    async with serving([HELLO, END, DONE]) as upstream:
        connections = connecting()
        await ask(connections, agent_at(upstream), turn)
        backend = replace(agent_at(upstream).backend, api_key="another")
        await ask(connections, Agent("b", model="m", backend=backend), turn)
        await connections.aclose()
    keys = [request["headers"]["authorization"] for request in upstream.requests]
    assert keys == [f"Bearer {KEY}", "Bearer another"]
    assert upstream.connections == 2


async def test_connections_can_be_used_again_after_they_were_closed(
    serving: Serving, turn: TurnRequest
) -> None:
    async with serving([HELLO, END, DONE]) as upstream:
        connections = connecting()
        for _ in range(2):
            events = await ask(connections, agent_at(upstream), turn)
            assert isinstance(events[-1], Reply)
            await connections.aclose()
    assert upstream.connections == 2


def test_one_object_serves_one_event_loop_after_another(
    serving: Serving, turn: TurnRequest
) -> None:
    connections = connecting()

    async def once() -> None:
        async with serving([HELLO, END, DONE]) as upstream:
            events = await ask(connections, agent_at(upstream), turn)
            assert isinstance(events[-1], Reply)
            await connections.aclose()

    anyio.run(once)
    anyio.run(once, backend="trio")


async def test_a_missing_key_is_found_when_connecting() -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        connecting().connect(Agent("a", model="m"))


async def test_an_organization_of_openai_is_not_told_to_others(
    serving: Serving, turn: TurnRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    async with serving([HELLO, END, DONE]) as upstream:
        connections = connecting()
        await ask(connections, agent_at(upstream), turn)
        await connections.aclose()
    sent = upstream.requests[0]["headers"]
    assert not {"openai-organization", "openai-project"} & sent.keys()


# Policies


def gated(_: Agent) -> Policy:
    return resolve("gpt-5.2")


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_policy_adds_its_effort_and_drops_what_conflicts(
    serving: Serving, turn: TurnRequest, api: Api
) -> None:
    answer = RESPONSE if api == "responses" else {"choices": [{"message": {"content": "Hi"}}]}
    async with serving([whole(answer)]) as upstream:
        agent = replace(agent_at(upstream, api), model="gpt-5.2", params={"temperature": 0.7})
        connections = connecting(policy_of=gated)
        events = await ask(connections, agent, turn)
        await connections.aclose()
    sent = upstream.requests[0]["body"]
    assert "temperature" not in sent
    assert (sent.get("reasoning_effort") or sent["reasoning"]["effort"]) == "medium"
    assert isinstance(events[-1], Reply)
    assert (events[-1].effort_asked, events[-1].dropped) == ("medium", ("temperature",))


async def test_what_responses_has_no_place_for_is_told_and_logged_once(
    serving: Serving, turn: TurnRequest, caplog: pytest.LogCaptureFixture
) -> None:
    asked = replace(turn, params={"seed": 7, "presence_penalty": 0.0, "temperature": 0.2})
    async with serving([whole(RESPONSE)], [whole(RESPONSE)]) as upstream:
        connections = connecting()
        agent = agent_at(upstream, "responses")
        replies = [(await ask(connections, agent, asked))[-1] for _ in range(2)]
        await connections.aclose()
    assert "seed" not in upstream.requests[0]["body"]
    assert upstream.requests[0]["body"]["temperature"] == 0.2
    assert [reply.dropped for reply in replies if isinstance(reply, Reply)] == [("seed",)] * 2
    assert [record.message.endswith("sent without seed") for record in caplog.records] == [True]


async def test_a_refused_effort_is_left_out_and_remembered(
    serving: Serving, turn: TurnRequest
) -> None:
    refused = {
        "message": "Function tools with reasoning_effort are not supported for gpt-5.4 in "
        "/v1/chat/completions. Please use /v1/responses instead.",
        "type": "invalid_request_error",
        "param": "reasoning_effort",
        "code": None,
    }
    refusal = [whole({"error": refused}, 400)]
    turn = replace(turn, tools=(ADD,))
    async with serving(refusal, [HELLO, END, DONE]) as upstream:
        agent = replace(agent_at(upstream), model="gpt-5.4")
        connections = connecting(policy_of=gated)
        first = await ask(connections, agent, turn)
        await ask(connections, agent, turn)
        await ask(connections, agent, replace(turn, tools=()))
        await connections.aclose()
    efforts = [request["body"].get("reasoning_effort") for request in upstream.requests]
    assert efforts == ["medium", None, None, "medium"]
    assert isinstance(first[-1], Reply)
    assert (first[-1].effort_asked, first[-1].dropped) == (None, ("reasoning_effort",))


async def test_another_refusal_of_the_effort_is_passed_on(
    serving: Serving, turn: TurnRequest
) -> None:
    refused = {"message": "Unsupported value: 'max'", "param": "reasoning_effort"}
    async with serving([whole({"error": refused}, 400)]) as upstream:
        agent = replace(agent_at(upstream), params={"reasoning_effort": "max"})
        connections = connecting()
        with pytest.raises(UpstreamRejected, match="'max'"):
            await ask(connections, agent, replace(turn, tools=(ADD,)))
        await connections.aclose()
    assert len(upstream.requests) == 1
