"""The library alone: a provider's bytes in, a client's bytes out, no socket and no HTTP client.

The app is the server's, called as an ASGI server calls it.
"""

import json
import time
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import anyio
import anyio.lowlevel

from benchmarks.load import payload
from benchmarks.loops import run
from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat._run.turn import Hear, Reply, TurnRequest
from massgen_compat._upstream.reader import ReplyReader
from massgen_compat._upstream.stream import hear_out
from massgen_compat.asgi import create_app

REQUESTS = 50
"""Requests that a figure is the mean of."""


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**base, "choices": [choice]}).encode() + b"\n\n"


TOKEN = _event({"content": "word "})
END = _event({}, "stop") + b"data: [DONE]\n\n"


class Replayed:
    """A model whose replies are so many tokens; each comes by itself, a turn of the loop later."""

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens

    async def ask(self, _: TurnRequest, hear: Hear, /) -> Reply:
        """Read a reply as one that a provider sent."""
        return await hear_out(self._body(), ReplyReader("chat"), hear)

    async def _body(self) -> AsyncGenerator[bytes]:
        for _ in range(self._tokens):
            await anyio.lowlevel.checkpoint()
            yield TOKEN
        yield END


async def _ask(app: Any, body: bytes) -> int:
    """The number of writes that an answer came in."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"host", b"x")],
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    asked, writes = False, 0

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        if asked:
            await anyio.sleep_forever()
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal writes
        writes += message["type"] == "http.response.body"

    await app(scope, receive, send)
    return writes


def seconds(tokens: int) -> float:
    """CPU seconds of a stream of so many tokens. Raises ``ValueError`` where some came together."""
    backend = Backend(type="chatcompletion", base_url="http://127.0.0.1:1/v1", api_key="none")
    model = Replayed(tokens)
    team = Team("single", [Agent("agent_0", model="m", backend=backend)])
    app = create_app(MassGen(team, env={}, connect=lambda _: model))
    body = payload("single").partition(b"\r\n\r\n")[2]

    async def all_requests() -> float:
        await _ask(app, body)
        before = time.process_time()
        for _ in range(REQUESTS):
            if await _ask(app, body) < tokens:
                raise ValueError("tokens were written together")
        return (time.process_time() - before) / REQUESTS

    return run(all_requests())
