"""No request makes the server fetch, read or send anything of its choice.

A listener stands for whatever a request might lead the server to; it must never be spoken to.
"""

import json
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer
from tests.server.test_server import ask

KEY = "the-key-of-the-client-0123456789"
PROVIDER_KEY = "the-key-of-the-provider-0123456789"
USER = {"role": "user", "content": "hi json"}
FUNCTION = {"name": "f", "parameters": {"$ref": "CANARY/schema.json"}}


def part(kind: str, value: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": kind, kind: value}]}]}


BODIES: dict[str, dict[str, Any]] = {
    "an image's URL": part("image_url", {"url": "CANARY/image.png"}),
    "a file's id": part("file", {"file_id": "CANARY/file"}),
    "an image of Anthropic's": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "image", "source": {"type": "url", "url": "CANARY/i.png"}}],
            }
        ]
    },
    "a file's URL": {
        "input": [
            {"role": "user", "content": [{"type": "input_file", "file_url": "CANARY/file.pdf"}]}
        ]
    },
    "the schema of a tool": {"tools": [{"type": "function", "function": FUNCTION}]},
    "the schema of a format": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": {"$ref": "CANARY/schema.json"}},
        }
    },
    "a tool of a provider": {
        "input": "hi",
        "tools": [{"type": "mcp", "server_label": "x", "server_url": "CANARY/mcp"}],
    },
    "addresses": dict.fromkeys(
        ("base_url", "api_base", "endpoint", "proxy", "azure_endpoint", "webhook_url"), "CANARY/v1"
    ),
    "headers and keys": {
        "extra_headers": {"x-chosen": "CANARY"},
        "headers": {"x-chosen": "CANARY"},
        "api_key": "chosen",
        "extra_body": {"model": "chosen"},
        "extra_query": {"chosen": "1"},
    },
    "templates": {
        "chat_template": "{{ chosen }}",
        "chat_template_kwargs": {"chosen": True},
        "guided_regex": "chosen",
    },
    "files of the server": {
        "config": "/etc/passwd",
        "config_path": "team.yaml",
        "team": "../team.yaml",
        "user": "file:///etc/passwd",
    },
}


class Place:
    """A server, what its provider was asked, and the listener."""

    def __init__(self, url: str, upstream: ScriptedServer, canary: socket.socket) -> None:
        self.url = url
        self.upstream = upstream
        self.canary = canary
        self.address = f"https://127.0.0.1:{canary.getsockname()[1]}"

    def disturbed(self) -> bool:
        return bool(select.select([self.canary], [], [], 0)[0])


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    upstream = ScriptedServer({}, default={"present": '{"a": 1}'})
    with ExitStack() as stack:
        provider = stack.enter_context(serving(upstream))
        backend = Backend(type="openai", base_url=f"{provider}/v1", api_key=PROVIDER_KEY)
        team = Team("team", [Agent(name, model="gpt-4o", backend=backend) for name in "ab"])
        url = stack.enter_context(serving(create_app(MassGen(team, env={}), api_keys=[KEY])))
        canary = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield Place(url, upstream, canary)


def test_the_listener_would_notice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        place = Place("", ScriptedServer({}), canary)
        assert not place.disturbed()
        with socket.create_connection(canary.getsockname()):
            assert place.disturbed()


@pytest.mark.parametrize("name", BODIES)
def test_nothing_of_a_requests_choice_is_fetched_read_or_sent(place: Place, name: str) -> None:
    asked = len(place.upstream.requests)
    text = json.dumps(BODIES[name]).replace("CANARY", place.address)
    given: dict[str, Any] = json.loads(text)
    if not {"messages", "input"} & given.keys():
        given["messages"] = [USER]
    headers = {"authorization": f"Bearer {KEY}", "x-chosen": "by the client", "cookie": "a=b"}
    reply = ask(place.url, body={"model": "team", **given}, headers=headers)

    assert reply.status in {200, 400}
    assert not place.disturbed()
    for request in place.upstream.requests[asked:]:
        assert request.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
        assert not {"x-chosen", "cookie"} & request.headers.keys()
        assert KEY not in json.dumps(request.body)
        assert "chosen" not in request.body.keys() | {request.model}
        unknown = {"base_url", "api_base", "extra_headers", "headers", "api_key", "chat_template"}
        assert not unknown & request.body.keys()
    answer = json.dumps(reply.body)
    for secret in (KEY, PROVIDER_KEY, "root:"):
        assert secret not in answer


@pytest.mark.parametrize(
    "model",
    ["../team", "/etc/passwd", "team.yaml", "http://127.0.0.1/", "team\0", "TEAM", "team/../team"],
)
def test_a_model_is_a_registered_name_and_nothing_else(place: Place, model: str) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    asked = len(place.upstream.requests)
    reply = ask(place.url, body={"model": model, "messages": [USER]}, headers=headers)
    assert (reply.status, reply.body["error"]["code"]) == (404, "model_not_found")
    assert len(place.upstream.requests) == asked
