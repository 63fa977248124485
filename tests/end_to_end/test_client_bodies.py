"""Bodies of programs that cannot be run here, replayed against a real server.

They are written by hand from public facts (each file in ``tests/bodies`` names its source). A
replay shows that a body is understood and answered in chat chunks; it is never a run of the client.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer
from massgen_compat.testing.server import ServedRequest

BODIES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parents[1] / "bodies").glob("*.json"))
}
ANSWER = "The answer of the team."
CALLS = {"team": 7, "presenter": 1, "one": 1}
FRAME = {"id", "object", "created", "model", "choices", "system_fingerprint", "service_tier"}


class Service:
    """A team of three behind a real server, and what its models were asked."""

    def __init__(self, url: str, upstream: ScriptedServer) -> None:
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0)
        self.upstream = upstream

    def post(self, body: dict[str, Any]) -> tuple[dict[str, str], list[Any]]:
        """Post a body as it is: the headers of the response, and its payloads."""
        response = self.client.chat.completions.with_raw_response.create(
            model="", messages=[], extra_body=body
        )
        text = response.text
        if not body.get("stream"):
            return dict(response.headers), [json.loads(text)]
        frames = [frame for frame in text.split("\n\n") if frame]
        assert all(frame.startswith("data: ") for frame in frames)
        assert frames.pop() == "data: [DONE]"
        payloads = [json.loads(frame[6:]) for frame in frames]
        return dict(response.headers), payloads


@pytest.fixture(scope="module", params=["openai", "chatcompletion"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    upstream = ScriptedServer({}, default={"present": ANSWER}, keep_requests=100_000)
    with ExitStack() as stack:
        provider = stack.enter_context(serving(upstream))
        backend = Backend(type=request.param, base_url=f"{provider}/v1", api_key="scripted")
        agents = [Agent(name, model="m", backend=backend) for name in ("ada", "ben", "cleo")]
        url = stack.enter_context(serving(create_app(MassGen(Team("team", agents), env={}))))
        service = Service(url, upstream)
        stack.callback(service.client.close)
        yield service


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_understood_and_answered_in_chat_chunks(service: Service, name: str) -> None:
    replayed = BODIES[name]
    expected = replayed["expect"]
    before = len(service.upstream.requests)
    headers, payloads = service.post({**replayed["body"], "model": "team"})
    asked = service.upstream.requests[before:]

    assert len(asked) == CALLS[expected["calls"]]
    assert written(payloads) == ANSWER
    for payload in payloads:
        assert payload.keys() <= FRAME | {"usage", "massgen"}
    ignored = sorted(filter(None, headers.get("x-massgen-ignored-params", "").split(",")))
    assert ignored == expected.get("ignored", ignored)
    assert ("x-massgen-background" in headers) is (expected["calls"] == "one")
    presented = asked[-1]
    assert results(presented) == expected.get("results", results(presented))
    if "roles" in expected:
        assert roles(asked[0])[: len(expected["roles"])] == expected["roles"]
    told = json.dumps(presented.body, ensure_ascii=False)
    for said in ("patched", "decision"):
        assert json.dumps(expected.get(said, ""))[1:-1] in told
    if "decision" in expected:
        assert "ada answered" not in told, "nothing else of the trace comes back"


def written(payloads: list[Any]) -> str:
    return "".join(
        choice.get("delta", choice.get("message")).get("content") or ""
        for payload in payloads
        for choice in payload["choices"]
    )


def results(served: ServedRequest) -> list[str]:
    if served.api == "chat":
        return [m["content"] for m in served.body["messages"] if m["role"] == "tool"]
    outputs = ("function_call_output", "custom_tool_call_output")
    return [item["output"] for item in served.body["input"] if item.get("type") in outputs]


def roles(served: ServedRequest) -> list[str]:
    messages = served.body["messages" if served.api == "chat" else "input"]
    return [message["role"] for message in messages]
