"""The scripted wire against the real one: recordings of OpenAI's API and its published schemas.

A script made from a recorded reply, asked with the recorded request, must give the same events in
the same order with the same keys.
"""

import json
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import jsonschema
import pytest

from massgen_compat.testing import ScriptedServer
from tests.exchanges import Exchange, read_exchanges, recorded_files

pytestmark = pytest.mark.anyio

Post = Callable[[ScriptedServer, str, object], Awaitable[tuple[int, dict[str, str], bytes]]]
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
DONE = "output_item.done"
Steps = dict[str, dict[str, Any]]
ASKED: dict[str, Any] = {
    "model": "m",
    "input": "Hi",
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"effort": "low", "summary": "auto"},
}

LATER_OR_OTHER = {
    "phase": "messages of codex and of gpt-5.4 and later",
    "cache_write_tokens": "recordings of 2026 only",
    "cache_read_input_tokens": "Databricks adds it",
    "context": "recordings of 2026 only",
    "mode": "recordings of 2026 only",
    "moderation": "recordings of 2026 only",
    "tool_usage": "only some recordings of 2026",
    "completed_at": "not in 2025",
    "frequency_penalty": "not in 2025",
    "presence_penalty": "not in 2025",
    "content": "a reasoning item of 2025 has none",
    "logprobs": "a chat choice of gpt-5 has none; the schema wants it",
    "obfuscation": "stripped from some recordings",
    "verbosity": "not for gpt-4o",
    "annotations": "always empty here: no search is made",
}
"""Keys in which the recordings differ among themselves, and why."""
NEVER_IN_A_WHOLE_REPLY = {"logprobs"}
"""A key that the schema requires of a whole chat choice and the recorded models leave out."""


@dataclass(frozen=True)
class Recorded:
    """A recorded exchange."""

    name: str
    path: str
    request: dict[str, Any]
    body: str

    @property
    def streamed(self) -> bool:
        return self.request.get("stream") is True


def recorded() -> Iterator[Recorded]:
    """The successful exchanges on OpenAI's wire, whoever hosts the model."""
    for file in recorded_files():
        for number, exchange in enumerate(read_exchanges(file)):
            if exchange.status == 200 and not has_its_own_wire(exchange):
                assert exchange.request is not None
                path = RESPONSES if exchange.responses else CHAT
                yield Recorded(f"{file.stem}-{number}", path, exchange.request, exchange.body)


def has_its_own_wire(exchange: Exchange) -> bool:
    """OpenRouter's and Copilot's replies have keys of their own and leave OpenAI's out; as models
    they would only make the comparison weaker."""
    return "openrouter.ai" in exchange.url or "copilot_usage" in exchange.body


@pytest.fixture(scope="module")
def recordings(shared: Callable[[str], Path]) -> list[Recorded]:
    shared("recordings")  # skips where they are absent
    return list(recorded())


def events(stream: str) -> list[dict[str, Any]]:
    lines = [line[6:] for line in stream.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


# The same reply, scripted


def chat_step(message: dict[str, Any], finish: str) -> dict[str, Any]:
    calls = [call["function"] for call in message.get("tool_calls", [])]
    return {"text": message["content"] or "", "calls": calls, "finish_reason": finish}


def responses_step(output: Iterable[dict[str, Any]]) -> dict[str, Any]:
    step: dict[str, Any] = {"text": "", "calls": [], "hosted": []}
    for item in output:
        match item["type"]:
            case "reasoning":
                step["reasoning"] = "".join(part["text"] for part in item["summary"])
            case "web_search_call":
                step["hosted"].append("web_search")
            case "function_call":
                step["calls"].append({key: item[key] for key in ("name", "arguments")})
            case "message":
                step["text"] += "".join(part["text"] for part in item["content"])
            case "tool_search_call" | "tool_search_output":
                pass  # no tool of a script, so nothing of ours is compared with it
            case kind:
                pytest.fail(f"no script says a {kind}")
    return step


def how_it_was_cut(response: dict[str, Any]) -> dict[str, Any]:
    """The finish reason that makes a scripted response incomplete for the recorded reason."""
    if response["status"] == "completed":
        return {}
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    return {"finish_reason": "length"}


def fold_chat(chunks: Iterable[dict[str, Any]]) -> dict[str, Any]:
    message: dict[str, Any] = {"content": "", "tool_calls": []}
    finish = "stop"
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        message["content"] += choice["delta"].get("content") or ""
        finish = choice["finish_reason"] or finish
        for call in choice["delta"].get("tool_calls", []):
            if "id" in call:
                message["tool_calls"].append({"function": {**call["function"]}})
            else:
                function = message["tool_calls"][call["index"]]["function"]
                function["arguments"] += call["function"]["arguments"]
    return chat_step(message, finish)


def step_of(exchange: Recorded) -> dict[str, Any]:
    if exchange.streamed and exchange.path == RESPONSES:
        sent = events(exchange.body)
        step = responses_step(event["item"] for event in sent if name_of(event) == DONE)
        return step | how_it_was_cut(sent[-1]["response"])
    if exchange.streamed:
        return fold_chat(events(exchange.body))
    if exchange.path == RESPONSES:
        response = json.loads(exchange.body)
        return responses_step(response["output"]) | how_it_was_cut(response)
    choice = json.loads(exchange.body)["choices"][0]
    return chat_step(choice["message"], choice["finish_reason"])


async def replayed(post: Post, exchange: Recorded) -> str:
    app = ScriptedServer({}, default={"present": step_of(exchange)})
    status, headers, body = await post(app, exchange.path, exchange.request)
    assert status == 200
    kind = "text/event-stream; charset=utf-8" if exchange.streamed else "application/json"
    assert headers["content-type"] == kind
    return body.decode()


# The order of events


def outline(stream: str) -> list[str]:
    """The kinds of events, with repeated ones once."""
    kinds = [_kind(event) for event in events(stream)]
    kinds = [kind for kind in kinds if kind != "response.output_text.annotation.added"]
    return [kind for index, kind in enumerate(kinds) if index == 0 or kind != kinds[index - 1]]


def name_of(event: dict[str, Any]) -> str:
    return str(event["type"]).removeprefix("response.")


def _kind(event: dict[str, Any]) -> str:
    if "type" in event:
        return f"{event['type']} {event['item']['type']}" if "item" in event else event["type"]
    if not event["choices"]:
        return "usage"
    (choice,) = event["choices"]
    return f"{sorted(choice['delta'])} {choice['finish_reason']}"


async def test_streams_have_the_recorded_events_in_the_recorded_order(
    post: Post, recordings: list[Recorded]
) -> None:
    compared = [each for each in recordings if each.streamed]
    assert len(compared) > 20
    for exchange in compared:
        assert outline(await replayed(post, exchange)) == outline(exchange.body), exchange.name


ITEM = (
    r"A-reasoning (?:SPa (?:STd )*STD SPd )?D-reasoning |"
    r"A-web_search_call Wi Ws Wc D-web_search_call |"
    r"A-message (?:Ca (?:Td |Ta )*TD Cd |Ca (?:Rd )*RD Cd )+D-message |"
    r"A-function_call (?:Fd )*FD D-function_call "
)
GRAMMAR = re.compile(rf"created in_progress (?:{ITEM})*(?:completed|incomplete|failed) ")
SHORT = {
    "reasoning_summary_part.added": "SPa",
    "reasoning_summary_text.delta": "STd",
    "reasoning_summary_text.done": "STD",
    "reasoning_summary_part.done": "SPd",
    "web_search_call.in_progress": "Wi",
    "web_search_call.searching": "Ws",
    "web_search_call.completed": "Wc",
    "content_part.added": "Ca",
    "content_part.done": "Cd",
    "output_text.delta": "Td",
    "output_text.done": "TD",
    "output_text.annotation.added": "Ta",
    "refusal.delta": "Rd",
    "refusal.done": "RD",
    "function_call_arguments.delta": "Fd",
    "function_call_arguments.done": "FD",
    "output_item.added": "A",
    "output_item.done": "D",
}


def sentence(stream: str) -> str:
    words = ""
    for event in events(stream):
        name = name_of(event)
        item = f"-{event['item']['type']}" if "item" in event else ""
        words += SHORT.get(name, name) + item + " "
    return words


def test_the_grammar_is_that_of_the_recordings(recordings: list[Recorded]) -> None:
    streams = [each for each in recordings if each.streamed and each.path == RESPONSES]
    assert len(streams) > 15
    for exchange in streams:
        assert GRAMMAR.fullmatch(sentence(exchange.body)), exchange.name


async def test_every_stream_of_responses_keeps_the_grammar_and_numbers_its_events(
    post: Post, steps: Steps
) -> None:
    for name, step in steps.items():
        _, _, body = await post(ScriptedServer({"m": {"present": step}}), RESPONSES, ASKED)
        stream = body.decode()
        assert GRAMMAR.fullmatch(sentence(stream)), name
        sent = events(stream)
        assert [event["sequence_number"] for event in sent] == list(range(len(sent)))
        names = [line[7:] for line in stream.splitlines() if line.startswith("event: ")]
        assert names == [event["type"] for event in sent]
        assert "[DONE]" not in stream


# The keys


Shapes = dict[str, set[frozenset[str]]]


def shapes(value: object, path: str, found: Shapes) -> None:
    """The sets of keys that the objects in a value have, by path; schemas of tools are data."""
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        kind = entries.get("type") or entries.get("object")
        here = f"{path}:{kind}" if isinstance(kind, str) and kind != "function" else path
        found[here].add(frozenset(entries))
        for key, item in entries.items():
            if key not in {"tools", "parameters", "metadata", "annotation", "annotations"}:
                shapes(item, f"{here}.{key}", found)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            shapes(item, path, found)


def known_shapes(bodies: Iterable[str]) -> Shapes:
    found: Shapes = defaultdict(set)
    for body in bodies:
        for value in events(body) or [json.loads(body)]:
            shapes(value, "", found)
    return found


async def test_objects_have_the_recorded_keys(post: Post, recordings: list[Recorded]) -> None:
    real = known_shapes(each.body for each in recordings)
    ours = known_shapes([await replayed(post, each) for each in recordings])
    tolerated = frozenset(LATER_OR_OTHER)
    assert set(ours) <= set(real)
    for path, variants in ours.items():
        plain = {keys - tolerated for keys in real[path]}
        union = frozenset[str]().union(*real[path])
        for keys in variants:
            assert keys - tolerated in plain, path
            assert keys - NEVER_IN_A_WHOLE_REPLY <= union, path


NEWEST = {
    "gpt52_responses_medium_stream-0",
    "gpt56sol_responses_stream_parallel_tool_calls-0",
    "gpt56sol_responses_stream_incomplete_mid_tool_call-0",
}
"""Of the newest models; a message of gpt-5.6 has a phase besides."""


async def test_the_newest_responses_have_exactly_our_keys(
    post: Post, recordings: list[Recorded]
) -> None:
    newest = [each for each in recordings if each.name in NEWEST]
    assert len(newest) == len(NEWEST)
    for exchange in newest:
        ours = known_shapes([await replayed(post, exchange)])
        assert ours == known_shapes([exchange.body]), exchange.name


def statuses(stream: str) -> list[tuple[str, str | None, tuple[str, ...]]]:
    """What a stream says of how far a reply came: of each event, its item's status, or that of its
    response and of the items in it."""
    found: list[tuple[str, str | None, tuple[str, ...]]] = []
    for event in events(stream):
        said = event.get("response") or event.get("item")
        if said is not None:
            items = tuple(f"{item['type']} {item.get('status')}" for item in said.get("output", ()))
            found.append((name_of(event), said.get("status"), items))
    return found


async def test_what_was_cut_has_the_recorded_status(post: Post, recordings: list[Recorded]) -> None:
    cut = [each for each in recordings if '"incomplete_details":{"reason"' in each.body]
    assert {item for each in cut for item in statuses(each.body)[-1][-1]} == {
        "function_call incomplete",
        "reasoning None",
    }
    for exchange in (*cut, *(each for each in recordings if each.name in NEWEST)):
        assert statuses(await replayed(post, exchange)) == statuses(exchange.body), exchange.name


async def test_a_reply_is_cut_in_its_last_item_only(post: Post) -> None:
    call = {"name": "add", "arguments": '{"x": 1'}
    step = {"text": "So:", "calls": [call, call], "finish_reason": "length"}
    _, _, body = await post(ScriptedServer({"m": {"present": step}}), RESPONSES, ASKED)
    assert statuses(body.decode())[-1] == (
        "incomplete",
        "incomplete",
        ("message completed", "function_call completed", "function_call incomplete"),
    )


# The published schemas


@pytest.fixture(scope="module")
def responses_schemas(shared: Callable[[str], Path]) -> dict[str, Any]:
    return json.loads(shared("spec/responses_schemas.json").read_text())["$defs"]


class Validator(Protocol):
    """What is used of a validator; jsonschema's own types are incomplete here."""

    def iter_errors(self, instance: object, /) -> Iterator[jsonschema.ValidationError]: ...


def departures(event: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """Where an event departs from its schema, as paths without indices."""
    schema = {"$ref": f"#/$defs/{EVENTS[name_of(event)]}", "$defs": schemas}
    errors = cast("Validator", jsonschema.Draft202012Validator(schema)).iter_errors(event)
    paths = ([key for key in error.absolute_path if isinstance(key, str)] for error in errors)
    return {".".join(path) for path in paths}


async def test_events_of_responses_depart_from_the_schema_only_where_the_real_ones_do(
    post: Post, responses_schemas: dict[str, Any], recordings: list[Recorded], steps: Steps
) -> None:
    streams = [each.body for each in recordings if each.streamed and each.path == RESPONSES]
    real = set[str]()
    for event in (event for stream in streams for event in events(stream)):
        if name_of(event) in EVENTS:
            real |= departures(event, responses_schemas)
    for name, step in steps.items():
        _, _, body = await post(ScriptedServer({"m": {"present": step}}), RESPONSES, ASKED)
        for event in events(body.decode()):
            assert departures(event, responses_schemas) <= real, name


EVENTS = {
    "created": "ResponseCreatedEvent",
    "in_progress": "ResponseInProgressEvent",
    "completed": "ResponseCompletedEvent",
    "incomplete": "ResponseIncompleteEvent",
    "failed": "ResponseFailedEvent",
    "output_item.added": "ResponseOutputItemAddedEvent",
    "output_item.done": "ResponseOutputItemDoneEvent",
    "content_part.added": "ResponseContentPartAddedEvent",
    "content_part.done": "ResponseContentPartDoneEvent",
    "output_text.delta": "ResponseTextDeltaEvent",
    "output_text.done": "ResponseTextDoneEvent",
    "refusal.delta": "ResponseRefusalDeltaEvent",
    "refusal.done": "ResponseRefusalDoneEvent",
    "function_call_arguments.delta": "ResponseFunctionCallArgumentsDeltaEvent",
    "function_call_arguments.done": "ResponseFunctionCallArgumentsDoneEvent",
    "web_search_call.in_progress": "ResponseWebSearchCallInProgressEvent",
    "web_search_call.searching": "ResponseWebSearchCallSearchingEvent",
    "web_search_call.completed": "ResponseWebSearchCallCompletedEvent",
    "reasoning_summary_part.added": "ResponseReasoningSummaryPartAddedEvent",
    "reasoning_summary_part.done": "ResponseReasoningSummaryPartDoneEvent",
    "reasoning_summary_text.delta": "ResponseReasoningSummaryTextDeltaEvent",
    "reasoning_summary_text.done": "ResponseReasoningSummaryTextDoneEvent",
}
