"""The chunks of Chat Completions as the events of a turn."""

from dataclasses import dataclass
from typing import Any

import pytest

from massgen_compat._run.message import ToolCall
from massgen_compat._run.result import FinishReason, Usage
from massgen_compat._run.turn import (
    CallPiece,
    ReasoningPiece,
    RefusalPiece,
    Reply,
    TextPiece,
    TurnPiece,
)
from massgen_compat._upstream.chat import ChatReplyParser
from massgen_compat.errors import UpstreamError, UpstreamMalformed, UpstreamRateLimited

Chunk = dict[str, Any]


def chunk(finish: str | None = None, **delta: Any) -> Chunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def calls(*fragments: dict[str, Any]) -> Chunk:
    return chunk(tool_calls=list(fragments))


def part(arguments: object = None, name: str | None = None, **fields: Any) -> dict[str, Any]:
    return {**fields, "function": {"name": name, "arguments": arguments}}


def read(*chunks: Chunk) -> tuple[list[TurnPiece], Reply]:
    parser = ChatReplyParser()
    pieces = [piece for event in chunks for piece in parser.feed(event)]
    return pieces, parser.finish()


def test_text_usage_and_model() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 7,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    pieces, reply = read(
        chunk(role="assistant", content="", refusal=None),
        {**chunk(content="Hel"), "model": "m-1", "usage": None},
        chunk(content="lo"),
        chunk("stop"),
        {"choices": [], "usage": usage},
    )
    assert pieces == [TextPiece("Hel"), TextPiece("lo")]
    assert reply == Reply(
        text="Hello",
        usage=Usage(prompt_tokens=9, completion_tokens=7, reasoning_tokens=3, cached_tokens=4),
        model="m-1",
        items=({"role": "assistant", "content": "Hello"},),
    )


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"reasoning_content": "so"}, [ReasoningPiece("so")]),
        ({"reasoning": "so"}, [ReasoningPiece("so")]),
        ({"reasoning": "so", "reasoning_content": "so"}, [ReasoningPiece("so")]),
        ({"reasoning": None, "content": None}, []),
        ({"refusal": "No"}, [RefusalPiece("No")]),
        ({"content": [{"type": "text", "text": "Hi"}, {"type": "thinking"}]}, [TextPiece("Hi")]),
        ({"content": 5, "tool_calls": "x", "reasoning_details": {}}, []),
    ],
)
def test_what_a_delta_may_hold(delta: dict[str, Any], expected: list[TurnPiece]) -> None:
    pieces, _ = read(chunk(**delta), chunk("stop"))
    assert pieces == expected


def test_a_refusal_is_replayed() -> None:
    _, reply = read(chunk(refusal="No"), chunk("stop"))
    assert (reply.text, reply.refusal) == ("", "No")
    assert reply.items == ({"role": "assistant", "content": None, "refusal": "No"},)


@dataclass(frozen=True)
class Calls:
    name: str
    chunks: tuple[Chunk, ...]
    pieces: list[TurnPiece]
    ids: tuple[str, ...]


ONE_TWO: list[TurnPiece] = [
    CallPiece(0, "{}", id="a", name="f"),
    CallPiece(1, "[]", id="b", name="g"),
]
CALLS = (
    Calls(
        "OpenAI's",
        (
            calls(part("", "f", index=0, id="a", type="function")),
            calls(part("{", index=0), part("", "g", index=1, id="b")),
            calls(part("}", index=0)),
            calls(part("[]", index=1)),
        ),
        [
            CallPiece(0, "", id="a", name="f"),
            CallPiece(0, "{"),
            CallPiece(1, "", id="b", name="g"),
            CallPiece(0, "}"),
            CallPiece(1, "[]"),
        ],
        ("a", "b"),
    ),
    Calls(
        "all numbered 0",
        (calls(part("{}", "f", index=0, id="a")), calls(part("[]", "g", index=0, id="b"))),
        ONE_TWO,
        ("a", "b"),
    ),
    Calls(
        "whole and not numbered",
        (calls(part("{}", "f", id="a"), part("[]", "g", id="b")),),
        ONE_TWO,
        ("a", "b"),
    ),
    Calls(
        "ids and names in every fragment",
        (calls(part("{", "f", index=0, id="a")), calls(part("}", "f", index=0, id="a"))),
        [CallPiece(0, "{", id="a", name="f"), CallPiece(0, "}")],
        ("a",),
    ),
    Calls(
        "ids in every fragment, no numbers",
        (calls(part("{", "f", id="a")), calls(part("}", id="a"))),
        [CallPiece(0, "{", id="a", name="f"), CallPiece(0, "}")],
        ("a",),
    ),
    Calls(
        "a number in the first fragment only",
        (calls(part("{", "f", id="a")), calls(part("}"))),
        [CallPiece(0, "{", id="a", name="f"), CallPiece(0, "}")],
        ("a",),
    ),
    Calls(
        "no ids",
        (calls(part("{}", "f"), part("[]", "g")),),
        [
            CallPiece(0, "{}", id="call_0", name="f"),
            CallPiece(1, "[]", id="call_1", name="g"),
        ],
        ("call_0", "call_1"),
    ),
    Calls(
        "a name that comes late",
        (calls(part("{", index=0, id="a")), calls(part("}", "f", index=0))),
        [CallPiece(0, "{}", id="a", name="f")],
        ("a",),
    ),
    Calls(
        "arguments as an object",
        (calls(part({"x": "é"}, "f", index=0, id="a")),),
        [CallPiece(0, '{"x":"é"}', id="a", name="f")],
        ("a",),
    ),
    Calls(
        "the legacy form",
        (
            chunk(function_call={"name": "f", "arguments": "{"}),
            chunk("function_call", function_call={"arguments": "}"}),
        ),
        [CallPiece(0, "{", id="call_0", name="f"), CallPiece(0, "}")],
        ("call_0",),
    ),
)


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_calls_are_put_together(case: Calls) -> None:
    pieces, reply = read(*case.chunks, chunk("tool_calls"))
    assert pieces == case.pieces
    told: dict[int, str] = {}
    for piece in pieces:
        assert isinstance(piece, CallPiece)
        told[piece.index] = told.get(piece.index, "") + piece.arguments
    assert [call.arguments for call in reply.tool_calls] == list(told.values())
    assert tuple(call.id for call in reply.tool_calls) == case.ids
    (item,) = reply.items
    assert [call["id"] for call in item["tool_calls"]] == list(case.ids)
    assert [call["function"]["arguments"] for call in item["tool_calls"]] == list(told.values())


def test_what_a_provider_adds_to_a_call_or_message_is_replayed() -> None:
    _, reply = read(
        calls(part("{}", "f", index=0, id="a", extra_content={"google": {"sig": "x"}})),
        chunk(
            reasoning_details=[{"type": "reasoning.text", "index": 0, "text": "so ", "id": None}]
        ),
        chunk(
            reasoning_details=[
                {"type": "reasoning.text", "index": 0, "text": "then", "signature": "s"},
                {"type": "reasoning.encrypted", "index": 1, "data": "gA"},
            ]
        ),
        chunk("tool_calls"),
    )
    (item,) = reply.items
    assert item["tool_calls"][0]["extra_content"] == {"google": {"sig": "x"}}
    assert item["reasoning_details"] == [
        {
            "type": "reasoning.text", "index": 0, "text": "so then", "id": None, "signature": "s",
        },
        {"type": "reasoning.encrypted", "index": 1, "data": "gA"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "called", "expected"),
    [
        ("stop", False, "stop"),
        ("stop", True, "tool_calls"),
        ("tool_calls", True, "tool_calls"),
        ("tool_calls", False, "stop"),
        ("tool_use", True, "tool_calls"),
        ("function_call", True, "tool_calls"),
        ("length", False, "length"),
        ("length", True, "length"),
        ("max_tokens", False, "length"),
        ("content_filter", True, "content_filter"),
        ("eos", False, "stop"),
    ],
)
def test_finish_reasons(reason: str, expected: FinishReason, *, called: bool) -> None:
    fragments = [calls(part("{}", "f", index=0, id="a"))] if called else []
    _, reply = read(*fragments, chunk(reason))
    assert reply.finish_reason == expected


def test_a_whole_completion_is_read_as_well() -> None:
    message = {
        "role": "assistant",
        "content": None,
        "annotations": [],
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}],
    }
    parser = ChatReplyParser()
    body = {"object": "chat.completion", "choices": [{"message": message, "finish_reason": None}]}
    assert list(parser.feed(body)) == [CallPiece(0, "", id="a", name="f")]
    assert parser.done
    reply = parser.finish()
    assert reply.tool_calls == (ToolCall(id="a", name="f", arguments=""),)
    assert reply.finish_reason == "tool_calls"


def test_only_the_first_choice_counts() -> None:
    second = {"choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "length"}]}
    pieces, reply = read(second, chunk("stop", content="A"))
    assert (pieces, reply.finish_reason) == ([TextPiece("A")], "stop")


def test_reasoning_beside_the_completion_becomes_part_of_it() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 35,
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    _, reply = read(chunk("stop", content="A"), {"choices": [], "usage": usage})
    assert reply.usage == Usage(prompt_tokens=10, completion_tokens=25, reasoning_tokens=20)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 5}, {"prompt_tokens": -1}, "x"])
def test_a_missing_number_is_never_zero(usage: object) -> None:
    _, reply = read({**chunk("stop", content="A"), "usage": usage})
    assert reply.usage is None


def test_an_empty_reply_is_no_error_and_has_nothing_to_replay() -> None:
    _, reply = read(chunk("length"))
    assert (reply.text, reply.items, reply.finish_reason) == ("", (), "length")


@pytest.mark.parametrize(
    ("chunks", "kind"),
    [
        ([chunk(content="A")], UpstreamMalformed),
        ([], UpstreamMalformed),
        ([chunk("error")], UpstreamMalformed),
        ([calls(part("{}", index=0, id="a")), chunk("tool_calls")], UpstreamMalformed),
        ([{"error": {"code": 429, "message": "m"}}], UpstreamRateLimited),
        ([{"error": "broken"}], UpstreamMalformed),
    ],
)
def test_a_failure_is_an_error(chunks: list[Chunk], kind: type[UpstreamError]) -> None:
    with pytest.raises(UpstreamError) as caught:
        read(*chunks)
    assert type(caught.value) is kind
