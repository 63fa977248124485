"""Providers in front of the scripts, for what the scripts themselves do not do."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from massgen_compat.testing import ScriptedServer

Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Provider: TypeAlias = Callable[[Event, Receive, Any], Awaitable[None]]


def corrigible(app: ScriptedServer) -> Provider:
    """Models ``late-X`` play ``X`` as soon as they read a message of their own."""

    async def serve(scope: Event, receive: Receive, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body = await _body(receive)
        said: list[dict[str, Any]] = body.get("messages") or body.get("input") or []
        spoken = any(each.get("role") == "assistant" for each in said)
        if spoken and body["model"].startswith("late-"):
            body["model"] = body["model"].removeprefix("late-")
        await app(scope, _again(body, receive), send)

    return serve


def without_logprobs(app: ScriptedServer) -> Provider:
    """Models that have no log probabilities, whoever asks."""

    async def serve(scope: Event, receive: Receive, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body = await _body(receive)
        asked_for = {"logprobs", "top_logprobs", "include"}
        kept = {key: value for key, value in body.items() if key not in asked_for}
        await app(scope, _again(kept, receive), send)

    return serve


async def _body(receive: Receive) -> dict[str, Any]:
    raw = b""
    while True:
        message = await receive()
        raw += message.get("body", b"")
        if not message.get("more_body"):
            return json.loads(raw or b"{}")


def _again(body: object, receive: Receive) -> Receive:
    """The body once more, then whatever comes."""
    messages: list[Event] = [{"type": "http.request", "body": json.dumps(body).encode()}]

    async def received() -> Event:
        return messages.pop() if messages else await receive()

    return received
