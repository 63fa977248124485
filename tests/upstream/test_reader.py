"""Whole bodies, cut and mangled: the events depend on what was sent, never on how it arrived."""

import json
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._run.team import Api
from massgen_compat._run.turn import Reply, TextPiece, TurnEvent
from massgen_compat._upstream.reader import ReplyReader
from massgen_compat.errors import MassGenError, UpstreamMalformed


def events_of(api: Api, *chunks: bytes) -> list[TurnEvent | tuple[type[Exception], str]]:
    """What a body reads as; an error is the last thing."""
    reader = ReplyReader(api, max_event_bytes=100_000)
    found: list[TurnEvent | tuple[type[Exception], str]] = []
    try:
        for chunk in chunks:
            found.extend(reader.feed(chunk))  # keeps what came before an error
        found.extend(reader.close())
    except MassGenError as error:
        found.append((type(error), error.message))
    return found


def sse(*events: object, end: str = "\n\n") -> bytes:
    return b"".join(
        f"data: {json.dumps(event, ensure_ascii=False)}{end}".encode() for event in events
    )


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


FRAGMENT = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x": "é"}'}}
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Grüße 🙂"}]}
BODIES: dict[str, tuple[Api, bytes]] = {
    "chat": (
        "chat",
        b"\xef\xbb\xbf: hello\n\n"
        + sse(chunk(content="Grüße"), chunk(content=" 🙂"), chunk(tool_calls=[FRAGMENT]))
        + sse(chunk("tool_calls"), end="\r\n\r\n")
        + sse({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
        + b"data: [DONE]\n\n",
    ),
    "chat with an error": ("chat", sse(chunk(content="Hm"), {"error": {"code": 429}})),
    "chat, whole": (
        "chat",
        json.dumps({"choices": [{"message": {"content": "Grüße 🙂"}}]}, indent=1).encode(),
    ),
    "chat, cut": ("chat", sse(chunk(content="Grüße"))),
    "responses": (
        "responses",
        sse(
            {"type": "response.output_text.delta", "output_index": 0, "delta": "Grü"},
            {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
            {"type": "response.completed", "response": {"output": [MESSAGE]}},
            end="\r\r",
        ),
    ),
    "responses, whole": (
        "responses",
        json.dumps({"status": "completed", "output": [MESSAGE]}, ensure_ascii=False).encode(),
    ),
}


def test_the_bodies_read_as_they_should() -> None:
    last = {name: events_of(*body)[-1] for name, body in BODIES.items()}
    texts = {name: event.text for name, event in last.items() if isinstance(event, Reply)}
    assert texts == dict.fromkeys(
        ("chat", "chat, whole", "responses", "responses, whole"), "Grüße 🙂"
    )


@pytest.mark.parametrize("name", BODIES)
def test_every_single_cut_gives_the_same_events(name: str) -> None:
    api, body = BODIES[name]
    expected = events_of(api, body)
    assert events_of(api, *(bytes([byte]) for byte in body)) == expected
    for place in range(len(body)):
        assert events_of(api, body[:place], body[place:]) == expected


@given(st.sampled_from(sorted(BODIES)), st.sets(st.integers(0, 1000), max_size=12))
def test_any_cuts_give_the_same_events(name: str, cuts: set[int]) -> None:
    api, body = BODIES[name]
    places = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})
    pieces = [body[start:end] for start, end in pairwise(places)]
    assert events_of(api, *pieces) == events_of(api, body)


@given(st.sampled_from(get_args(Api)), st.binary(max_size=300))
def test_any_bytes_are_malformed_at_worst(api: Api, body: bytes) -> None:
    found = events_of(api, body, b"\n\n")
    assert [event[0] for event in found if isinstance(event, tuple)] == [UpstreamMalformed]
    assert len(found) == 1


@given(st.sampled_from(sorted(BODIES)), st.integers(0, 1000), st.binary(min_size=1, max_size=3))
def test_a_damaged_body_ends_in_a_reply_or_an_error_of_ours(
    name: str, place: int, noise: bytes
) -> None:
    api, body = BODIES[name]
    place %= len(body)
    found = events_of(api, body[:place] + noise + body[place + len(noise) :])
    assert isinstance(found[-1], Reply | tuple)
    assert not any(isinstance(event, Reply | tuple) for event in found[:-1])


NAMES = st.sampled_from(
    [
        *("type", "delta", "item", "output_index", "response", "output", "status", "choices"),
        *("message", "content", "tool_calls", "index", "id", "function", "name", "arguments"),
        *("finish_reason", "usage", "error", "code", "summary", "text"),
    ]
)
KINDS = st.sampled_from(
    [
        *("message", "function_call", "reasoning", "output_text", "error"),
        *("response.completed", "response.output_item.done", "response.output_item.added"),
        "response.output_text.delta",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.sampled_from(get_args(Api)),
    st.lists(st.dictionaries(NAMES, JSON | KINDS, max_size=6), max_size=5),
)
def test_json_of_any_shape_ends_in_a_reply_or_an_error_of_ours(
    api: Api, events: list[dict[str, Any]]
) -> None:
    found = events_of(api, sse(*events))
    assert isinstance(found[-1], Reply | tuple)


def test_deep_json_is_malformed() -> None:
    body = b"data: " + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n\n"
    assert events_of("chat", body)[-1] == (
        UpstreamMalformed,
        "the provider sent something that is not JSON",
    )


def test_nothing_counts_after_the_reply() -> None:
    late = sse(chunk(content="B"), {"error": {"code": 500}}) + b"data: oops\n\ndata: [DONE]\n\n"
    body = sse(chunk("stop", content="A")) + b"data: [DONE]\n\n" + late
    first, reply = events_of("chat", body)
    assert first == TextPiece("A")
    assert isinstance(reply, Reply)
    assert reply.text == "A"
