"""The events of the Responses API as those of a turn."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from massgen_compat._run.message import ToolCall
from massgen_compat._run.result import FinishReason, Usage
from massgen_compat._run.turn import (
    CallPiece,
    HostedToolUsed,
    ReasoningPiece,
    RefusalPiece,
    Reply,
    TextPiece,
    TurnPiece,
)
from massgen_compat._upstream.responses import ResponsesReplyParser
from massgen_compat.errors import (
    ContextLengthExceeded,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnreachable,
)

Event = dict[str, Any]


def read(*events: Event) -> tuple[list[TurnPiece], Reply]:
    parser = ResponsesReplyParser()
    pieces = [piece for event in events for piece in parser.feed(event)]
    assert parser.done
    return pieces, parser.finish()


def added(place: int, **item: Any) -> Event:
    return {"type": "response.output_item.added", "output_index": place, "item": item}


def done(place: int, **item: Any) -> Event:
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def text(place: int, delta: str, part: int = 0) -> Event:
    return {
        "type": "response.output_text.delta",
        "output_index": place,
        "content_index": part,
        "delta": delta,
    }


def arguments(place: int, delta: str) -> Event:
    kind = "response.function_call_arguments.delta"
    return {"type": kind, "output_index": place, "delta": delta}


def end(status: str = "completed", **fields: Any) -> Event:
    return {"type": f"response.{status}", "response": {"status": status, "output": [], **fields}}


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(parts)}


CALL: dict[str, Any] = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "vote"}


def test_everything_at_once() -> None:
    said = message({"type": "output_text", "text": "Hi."})
    thought: dict[str, Any] = {"type": "reasoning", "summary": [], "encrypted_content": "last"}
    call = {**CALL, "arguments": '{"a":1}'}
    other = {**CALL, "call_id": "call_2", "arguments": "{}"}
    usage = {
        "input_tokens": 9,
        "output_tokens": 7,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 3},
    }
    pieces, reply = read(
        {"type": "response.created", "response": {"status": "in_progress"}},
        added(0, type="reasoning", encrypted_content="first"),
        done(0, **thought),
        added(1, type="web_search_call"),
        done(1, type="web_search_call", status="completed"),
        added(2, type="message", content=[]),
        text(2, "H"),
        text(2, "i."),
        done(2, **said),
        added(3, **CALL, arguments=""),
        added(4, **{**CALL, "call_id": "call_2"}),
        arguments(3, '{"a"'),
        arguments(4, "{}"),
        arguments(3, ":1}"),
        done(4, **other),
        done(3, **call),
        end(model="gpt-5.2-x", reasoning={"effort": "medium"}, usage=usage),
        text(2, "too late"),
    )
    assert pieces == [
        HostedToolUsed("web_search_call"),
        TextPiece("H"),
        TextPiece("i."),
        CallPiece(0, "", id="call_1", name="vote"),
        CallPiece(1, "", id="call_2", name="vote"),
        CallPiece(0, '{"a"'),
        CallPiece(1, "{}"),
        CallPiece(0, ":1}"),
    ]
    assert reply == Reply(
        text="Hi.",
        tool_calls=(
            ToolCall(id="call_1", name="vote", arguments='{"a":1}'),
            ToolCall(id="call_2", name="vote", arguments="{}"),
        ),
        finish_reason="tool_calls",
        usage=Usage(prompt_tokens=9, completion_tokens=7, reasoning_tokens=3, cached_tokens=4),
        model="gpt-5.2-x",
        effort="medium",
        items=(thought, {"type": "web_search_call", "status": "completed"}, said, call, other),
    )


def test_reasoning_and_refusals_have_pieces_of_their_own() -> None:
    pieces, reply = read(
        {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "so"},
        {"type": "response.reasoning_summary_text.delta", "output_index": 1, "delta": "First"},
        {
            "type": "response.reasoning_summary_text.delta",
            "output_index": 1,
            "summary_index": 1,
            "delta": "second",
        },
        {"type": "response.refusal.delta", "output_index": 2, "delta": "No."},
        end(),
    )
    assert pieces == [
        ReasoningPiece("so"),
        ReasoningPiece("\n\nFirst"),
        ReasoningPiece("\n\nsecond"),
        RefusalPiece("No."),
    ]
    assert (reply.text, reply.refusal, reply.finish_reason) == ("", "No.", "stop")


def test_two_messages_are_two_paragraphs() -> None:
    pieces, reply = read(text(0, "Let me"), text(0, " see."), text(1, "It is 4."), end())
    assert pieces[-1] == TextPiece("\n\nIt is 4.")
    assert reply.text == "Let me see.\n\nIt is 4."


def test_what_no_delta_carried_is_told_when_the_item_is_done() -> None:
    pieces, reply = read(
        text(0, "He"),
        done(0, **message({"type": "output_text", "text": "Hello"})),
        done(1, **message({"type": "refusal", "refusal": "No"})),
        done(2, type="reasoning", summary=[{"type": "summary_text", "text": "Sum"}]),
        done(3, **CALL, arguments='{"x":2}'),
        done(4, type="code_interpreter_call"),
        end(),
    )
    assert pieces == [
        TextPiece("He"),
        TextPiece("llo"),
        RefusalPiece("No"),
        ReasoningPiece("Sum"),
        CallPiece(0, "", id="call_1", name="vote"),
        CallPiece(0, '{"x":2}'),
        HostedToolUsed("code_interpreter_call"),
    ]
    assert reply.text == "Hello"


def test_an_item_that_contradicts_its_deltas_changes_nothing() -> None:
    other = message({"type": "output_text", "text": "Other"})
    pieces, reply = read(text(0, "Hello"), done(0, **other), end())
    assert (pieces, reply.text) == ([TextPiece("Hello")], "Hello")


def test_a_whole_response_is_read_as_well() -> None:
    pieces, reply = read(
        {
            "object": "response",
            "status": "completed",
            "error": None,
            "model": "m",
            "output": [message({"type": "output_text", "text": "Hi"}), {**CALL, "arguments": ""}],
        }
    )
    assert pieces == [TextPiece("Hi"), CallPiece(0, "", id="call_1", name="vote")]
    assert reply.usage is None
    assert len(reply.items) == 2


def test_a_server_that_counts_nothing_is_understood() -> None:
    pieces, _ = read(
        {"type": "response.output_item.added", "item": {**CALL, "id": "a"}},
        {"type": "response.function_call_arguments.delta", "item_id": "a", "delta": "{"},
        {"type": "response.function_call_arguments.delta", "item_id": "b", "delta": "lost"},
        {"type": "response.output_item.done", "item": {**CALL, "id": "a", "arguments": "{}"}},
        end(),
    )
    assert pieces == [
        CallPiece(0, "", id="call_1", name="vote"),
        CallPiece(0, "{"),
        CallPiece(0, "}"),
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"incomplete_details": {"reason": "new"}}, "length"),
        ({"incomplete_details": None}, "length"),
    ],
)
def test_an_incomplete_response_says_why(fields: Event, expected: FinishReason) -> None:
    call = done(0, **CALL, arguments='{"a')
    _, reply = read(call, end("incomplete", **fields))
    assert reply.finish_reason == expected


@dataclass(frozen=True)
class Failure:
    events: tuple[Event, ...]
    kind: type[Exception]


FAILURES = (
    Failure((end("failed", error={"code": "server_error", "message": "m"}),), UpstreamUnreachable),
    Failure((end("failed", error={"code": "rate_limit_exceeded"}),), UpstreamRateLimited),
    Failure((end("failed", error={"code": "invalid_prompt"}),), UpstreamRejected),
    Failure((end("failed", error=None),), UpstreamMalformed),
    Failure((end("cancelled"),), UpstreamMalformed),
    Failure(({"type": "error", "code": "context_length_exceeded"},), ContextLengthExceeded),
    Failure(({"type": "error", "error": {"code": "rate_limit_exceeded"}},), UpstreamRateLimited),
    Failure(({"error": {"code": "server_error"}},), UpstreamUnreachable),
    Failure(({"object": "response", "status": "queued", "output": []},), UpstreamMalformed),
    Failure((added(0, type="function_call"),), UpstreamMalformed),
)


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: str(case.events)[:60])
def test_a_failure_is_an_error(case: Failure) -> None:
    with pytest.raises((UpstreamError, ContextLengthExceeded)) as caught:
        read(*case.events)
    assert type(caught.value) is case.kind


def test_a_response_without_its_end_is_cut() -> None:
    parser = ResponsesReplyParser()
    assert list(parser.feed(text(0, "Hi"))) == [TextPiece("Hi")]
    assert not parser.complete
    with pytest.raises(UpstreamMalformed, match="ended before"):
        parser.finish()


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"input_tokens": 5}, {"input_tokens": "5", "output_tokens": 1}, [1], True],
)
def test_a_missing_number_is_never_zero(usage: object) -> None:
    _, reply = read(end(usage=usage))
    assert reply.usage is None


def test_unknown_events_and_fields_are_passed_over() -> None:
    odd: Iterable[Event] = (
        {"type": "response.brand_new", "delta": "x"},
        {"type": 5},
        {},
        {"type": "response.output_text.delta", "delta": {"no": "text"}},
        {"type": "response.output_item.done", "output_index": 0, "item": None},
        {"type": "response.output_item.added", "item": [1]},
    )
    pieces, reply = read(*odd, end(output="none", model=5, reasoning="low"))
    assert pieces == []
    assert (reply.text, reply.model, reply.effort) == ("", None, None)
