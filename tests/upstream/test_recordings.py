"""Real exchanges, served over a real socket to the real SDK, against a second reading of them."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from massgen_compat._run.message import ToolCall
from massgen_compat._run.result import Usage
from massgen_compat._run.team import Agent, Backend
from massgen_compat._run.turn import (
    CallPiece,
    HostedToolUsed,
    ModelClient,
    Reply,
    TextPiece,
    TurnEvent,
    TurnPiece,
    TurnRequest,
)
from massgen_compat._upstream.connections import Connections
from massgen_compat.errors import UpstreamRejected
from tests.exchanges import read_exchanges, recorded_files

pytestmark = pytest.mark.anyio

ABSENT = pytest.param(None, marks=pytest.mark.skip(reason="../shared/recordings is not here"))

Serving = Callable[..., AbstractAsyncContextManager[Any]]


ENDS = {"response.completed", "response.incomplete"}
CUT_BY = {"max_output_tokens": "length", "content_filter": "content_filter"}
HOSTED = {"web_search_call", "tool_search_call"}
"""Calls of tools that the provider runs itself. ``tool_search_output`` is what such a call found,
and no call of its own."""


@dataclass(frozen=True)
class Expected:
    """What a reply says, read without any code of the package."""

    text: str
    calls: tuple[tuple[str, str, str], ...]
    finish: str
    usage: tuple[int, int, int, int]
    model: str
    effort: str | None
    hosted: int = 0


def payloads(body: str) -> list[dict[str, Any]]:
    lines = (line[5:].strip() for line in body.splitlines() if line.startswith("data:"))
    return [json.loads(line) for line in lines if line != "[DONE]"]


def read_responses(body: str) -> Expected:
    if body.startswith("{"):
        response = json.loads(body)
        items = response["output"]
    else:
        events = payloads(body)
        response = next(e["response"] for e in events if e["type"] in ENDS)
        items = [e["item"] for e in events if e["type"] == "response.output_item.done"]
    texts = [
        "".join(part["text"] for part in item["content"])
        for item in items
        if item["type"] == "message"
    ]
    calls = tuple(
        (item["call_id"], item["name"], item["arguments"])
        for item in items
        if item["type"] == "function_call"
    )
    finish = "tool_calls" if calls else "stop"
    if response["status"] == "incomplete":  # a call that was cut is told, as Chat Completions does
        finish = CUT_BY[response["incomplete_details"]["reason"]]
    usage = response["usage"]
    return Expected(
        text="\n\n".join(texts),
        calls=calls,
        finish=finish,
        usage=(
            usage["input_tokens"],
            usage["output_tokens"],
            usage["output_tokens_details"]["reasoning_tokens"],
            usage["input_tokens_details"]["cached_tokens"],
        ),
        model=response["model"],
        effort=response["reasoning"]["effort"],
        hosted=sum(item["type"] in HOSTED for item in items),
    )


def read_chat(body: str) -> Expected:
    chunks = [json.loads(body)] if body.startswith("{") else payloads(body)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    said = [choice.get("message") or choice["delta"] for choice in choices]
    calls: dict[int, list[str]] = {}
    for part in said:
        fragments: list[dict[str, Any]] = part.get("tool_calls") or []
        for place, fragment in enumerate(fragments):
            call = calls.setdefault(fragment.get("index", place), ["", "", ""])
            call[0] += fragment.get("id", "")
            call[1] += fragment["function"].get("name", "")
            call[2] += fragment["function"]["arguments"]
    usage = next(chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage"))
    return Expected(
        text="".join(part.get("content") or "" for part in said),
        calls=tuple((a, b, c) for a, b, c in calls.values()),
        finish=next(c["finish_reason"] for c in reversed(choices) if c["finish_reason"]),
        usage=(
            usage["prompt_tokens"],
            usage["completion_tokens"],
            usage["completion_tokens_details"]["reasoning_tokens"],
            usage["prompt_tokens_details"]["cached_tokens"],
        ),
        model=chunks[0]["model"],
        effort=None,
    )


def heard(events: list[TurnEvent]) -> Expected:
    """The same, as the package read it; the pieces have to add up to the reply."""
    *pieces, reply = events
    assert isinstance(reply, Reply)
    assert reply.usage is not None
    usage: Usage = reply.usage
    assert "".join(p.text for p in pieces if isinstance(p, TextPiece)) == reply.text
    told: dict[int, tuple[str, str, str]] = {}
    for piece in pieces:
        if isinstance(piece, CallPiece):
            call, name, arguments = told.get(piece.index, (piece.id, piece.name, ""))
            told[piece.index] = (call or "", name or "", arguments + piece.arguments)
    assert [ToolCall(id=a, name=b, arguments=c) for a, b, c in told.values()] == [*reply.tool_calls]
    return Expected(
        text=reply.text,
        calls=tuple(told.values()),
        finish=reply.finish_reason,
        usage=(
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.reasoning_tokens,
            usage.cached_tokens,
        ),
        model=reply.model or "",
        effort=reply.effort,
        hosted=sum(isinstance(piece, HostedToolUsed) for piece in pieces),
    )


async def ask(model: ModelClient, turn: TurnRequest) -> list[TurnEvent]:
    heard: list[TurnEvent] = []

    async def hear(pieces: Sequence[TurnPiece]) -> None:
        heard.extend(pieces)

    heard.append(await model.ask(turn, hear))
    return heard


@pytest.mark.parametrize(
    "path", recorded_files() or [ABSENT], ids=lambda path: getattr(path, "stem", "")
)
async def test_a_recorded_reply_is_read_as_it_was_meant(
    serving: Serving, turn: TurnRequest, path: Path
) -> None:
    for exchange in read_exchanges(path):
        api = "responses" if exchange.responses else "chat"
        headers = {"content-type": exchange.content_type} if exchange.content_type else {}
        answer = (exchange.status, headers, exchange.body.encode())
        async with serving([answer]) as upstream:
            backend = Backend(base_url=upstream.url, api_key="k", api=api)
            async with aclosing(Connections({}, max_retries=0)) as connections:
                model = connections.connect(Agent("a", model="m", backend=backend))
                with anyio.fail_after(10):
                    if exchange.status == 200:
                        found = heard(await ask(model, turn))
                        read = read_responses if exchange.responses else read_chat
                        assert found == read(exchange.body)
                    else:
                        with pytest.raises(UpstreamRejected) as caught:
                            await ask(model, turn)
                        told = json.loads(exchange.body)["error"]["message"]
                        assert told in caught.value.message
