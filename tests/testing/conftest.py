"""Two ways to talk to a scripted server: in the process, and over a real socket."""

import json
import socket
import threading
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import anyio
import pytest
import uvicorn

from massgen_compat.testing import ScriptedServer

Event = MutableMapping[str, Any]


async def _post(app: ScriptedServer, path: str, body: object) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers and the whole body of the answer to a POST."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    inbox: list[Event] = [
        {"type": "http.request", "body": raw[:7], "more_body": True},
        {"type": "http.request", "body": raw[7:], "more_body": False},
    ]
    sent: list[Event] = []

    async def receive() -> Event:
        if not inbox:
            await anyio.sleep_forever()
        return inbox.pop(0)

    async def send(event: Event) -> None:
        sent.append(event)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"X-Agent", b"a")]}
    with anyio.fail_after(5):
        await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(event["body"] for event in sent[1:])


@pytest.fixture
def post() -> Callable[[ScriptedServer, str, object], Awaitable[tuple[int, dict[str, str], bytes]]]:
    """Posts to a server in the process."""
    return _post


@contextmanager
def _serving(app: Any) -> Generator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", ws="none", loop="asyncio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def serving() -> Callable[[Any], AbstractContextManager[str]]:
    """Serves an app with uvicorn, on a free port of the loopback interface, and yields its URL."""
    return _serving


EVERYTHING: dict[str, Any] = {
    "text": "Some “text” 🙂 of\nseveral words",
    "reasoning": "First this, then that.",
    "refusal": "But not that.",
    "hosted": ["web_search", "web_search"],
    "calls": [{"name": "f", "arguments": {"x": "a b"}}, {"name": "g", "arguments": {}}],
}
STEPS: dict[str, dict[str, Any]] = {
    "everything": EVERYTHING,
    "nothing": {},
    "length": {"reasoning": "Too long.", "finish_reason": "length"},
    "filtered": {"text": "Half", "finish_reason": "content_filter"},
    "failed": {**EVERYTHING, "fail": {"status": 500, "after_tokens": 999}},
    "one call": {"calls": [{"name": "f"}]},
    "two calls": {"calls": [{"name": "f"}, {"name": "g"}]},
    "a refusal": {"refusal": "I cannot do that."},
    "text": {"text": "Hello there"},
    "text and a call": {"text": "Hello", "calls": [{"name": "f"}]},
    "no usage": {"text": "Hello", "usage": None},
}


@pytest.fixture
def steps() -> dict[str, dict[str, Any]]:
    """A step of every kind of reply, by name."""
    return STEPS
