"""Real exchanges, served over a real socket to the real SDK, against a second reading of them."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from massgen_compat.errors import UpstreamRejected
from massgen_compat.message import ToolCall
from massgen_compat.result import Usage
from massgen_compat.run import Agent, Backend
from massgen_compat.turn import (
    CallPiece,
    HostedToolUsed,
    ModelClient,
    Reply,
    TextPiece,
    TurnEvent,
    TurnPiece,
    TurnRequest,
)
from massgen_compat.upstream.client import Connections

pytestmark = pytest.mark.anyio

RECORDINGS = sorted((Path(__file__).parents[3] / "shared/recordings").glob("*.yaml"))
ABSENT = pytest.param(None, marks=pytest.mark.skip(reason="../shared/recordings is not here"))

Serving = Callable[..., AbstractAsyncContextManager[Any]]


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


def exchanges(path: Path) -> Iterator[tuple[str, int, str, str]]:
    """URL, status, content type and body of each recorded response."""
    loaded: dict[str, Any] = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    for exchange in loaded["interactions"]:
        response = exchange["response"]
        headers = {name.lower(): values for name, values in response["headers"].items()}
        kind = headers.get("content-type", [""])[0]
        body: str | bytes = response["body"]["string"]
        shown = body if isinstance(body, str) else body.decode()
        yield exchange["request"]["uri"], response["status"]["code"], kind, shown


def payloads(body: str) -> list[dict[str, Any]]:
    lines = (line[5:].strip() for line in body.splitlines() if line.startswith("data:"))
    return [json.loads(line) for line in lines if line != "[DONE]"]


def read_responses(body: str) -> Expected:
    if body.startswith("{"):
        response = json.loads(body)
        items = response["output"]
    else:
        events = payloads(body)
        response = next(e["response"] for e in events if e["type"] == "response.completed")
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
    usage = response["usage"]
    return Expected(
        text="\n\n".join(texts),
        calls=calls,
        finish="length" if response["status"] == "incomplete" else finish,
        usage=(
            usage["input_tokens"],
            usage["output_tokens"],
            usage["output_tokens_details"]["reasoning_tokens"],
            usage["input_tokens_details"]["cached_tokens"],
        ),
        model=response["model"],
        effort=response["reasoning"]["effort"],
        hosted=sum(item["type"] == "web_search_call" for item in items),
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


@pytest.mark.parametrize("path", RECORDINGS or [ABSENT], ids=lambda path: getattr(path, "stem", ""))
async def test_a_recorded_reply_is_read_as_it_was_meant(
    serving: Serving, turn: TurnRequest, path: Path
) -> None:
    for url, status, kind, body in exchanges(path):
        api = "responses" if url.endswith("/responses") else "chat"
        headers = {"content-type": kind} if kind else {}
        async with serving([(status, headers, body.encode())]) as upstream:
            backend = Backend(base_url=upstream.url, api_key="k", api=api)
            connections = Connections({}, max_retries=0)
            model = connections.connect(Agent("a", model="m", backend=backend))
            with anyio.fail_after(10):
                if status == 200:
                    found = heard(await ask(model, turn))
                    assert found == (read_responses if api == "responses" else read_chat)(body)
                else:
                    with pytest.raises(UpstreamRejected) as caught:
                        await ask(model, turn)
                    assert json.loads(body)["error"]["message"] in caught.value.message
            await connections.aclose()
