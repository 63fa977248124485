"""A run's events as a chat response: the real schema, the official accumulator, one fold."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from jsonschema import ValidationError
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from massgen_compat._run.message import ToolCall
from massgen_compat._run.result import (
    AgentUsage,
    FinalMessage,
    FinishReason,
    RunResult,
    Usage,
    Vote,
)
from massgen_compat._run.turn import Phase
from massgen_compat.events import (
    Answered,
    MessageRefusal,
    MessageText,
    MessageToolCall,
    PresentationStarted,
    RunCompleted,
    RunEvent,
    RunStarted,
    TurnFinished,
    TurnStarted,
    VoteCast,
    WinnerChosen,
)
from massgen_compat.protocol.chat.answer import fold
from massgen_compat.protocol.chat.request import ChatRequest, parse
from tests.protocol.rendering import renderer_of

Conforms = Callable[[str, object], None]

RESULT = RunResult(
    run_id="run_1",
    team="pair",
    messages=(FinalMessage(content="Hello"),),
    winner="b",
    presenter="b",
    answers=(),
    votes=(Vote(voter="a", target="b", reason="clear"), Vote(voter="b", target="b", reason="")),
    agents=(
        AgentUsage(
            agent="a",
            model="gpt-5.2",
            calls=2,
            unreported_calls=0,
            usage=Usage(prompt_tokens=50, completion_tokens=40, reasoning_tokens=30),
        ),
        AgentUsage(agent="b", model="local", calls=3, unreported_calls=3, usage=None),
    ),
    usage=Usage(prompt_tokens=100, completion_tokens=90, reasoning_tokens=40, cached_tokens=20),
    visible_usage=Usage(prompt_tokens=30, completion_tokens=25, reasoning_tokens=5),
    limited_by=None,
)
DELIBERATION: tuple[RunEvent, ...] = (
    TurnStarted(agent="a", round=1, phase=Phase.DRAFT),
    TurnFinished(agent="a", round=1, phase=Phase.DRAFT, usage=None, model="gpt-5.2", effort="low"),
    Answered(agent="a", label="agent1", round=1, number=1, content="Hi"),
    VoteCast(voter="a", target="b", round=2, reason="clear"),
    WinnerChosen(winner="b", votes=(("b", 1), ("a", 0)), limited_by=None),
    PresentationStarted(agent="b"),
)
CALLS = (
    MessageToolCall(index=0, id="call_1", name="get_weather", arguments=""),
    MessageToolCall(index=0, arguments='{"city":'),
    MessageToolCall(index=0, arguments='"Rome"}'),
    MessageToolCall(index=1, id="call_2", name="get_time", arguments="{}"),
)


def ask(**params: Any) -> ChatRequest:
    return parse(
        {"model": "pair", "messages": [{"role": "user", "content": "hi"}], "stream": True} | params
    )


USAGE = {"stream_options": {"include_usage": True}}


def run(
    *message: RunEvent, result: RunResult = RESULT, finish: FinishReason = "stop"
) -> list[RunEvent]:
    return [
        RunStarted(run_id="run_1", team="pair", agents=("a", "b")),
        *DELIBERATION,
        *message,
        RunCompleted(
            result=replace(result, messages=(FinalMessage(content="Hello", finish_reason=finish),))
        ),
    ]


def text(*pieces: str) -> tuple[MessageText, ...]:
    return tuple(MessageText(text=piece) for piece in pieces)


def render(request: ChatRequest, events: list[RunEvent]) -> list[dict[str, Any]]:
    renderer = renderer_of(request, created=1_700_000_000, fingerprint="fp_1")
    return [chunk for event in events for chunk in renderer.feed(event)]


def deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def accumulated(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What the official SDK makes of the stream.

    Its last step, ``get_final_completion``, raises for ``length`` and ``content_filter``.
    """
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.current_completion_snapshot.model_dump()


@dataclass(frozen=True)
class Case:
    name: str
    message: tuple[RunEvent, ...]
    finish: FinishReason
    expected: dict[str, Any]


CASES = [
    Case("text", text("Hel", "lo"), "stop", {"content": "Hello"}),
    Case("truncated text", text("Hel"), "length", {"content": "Hel"}),
    Case("filtered text", text("Hel"), "content_filter", {"content": "Hel"}),
    Case("nothing", (), "stop", {"content": ""}),
    Case("empty pieces", text("", ""), "stop", {"content": ""}),
    Case(
        "a refusal",
        (MessageRefusal(text="I can"), MessageRefusal(text="not.")),
        "stop",
        {"refusal": "I cannot."},
    ),
    Case(
        "tool calls",
        CALLS,
        "tool_calls",
        {
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'},
                },
                {
                    "id": "call_2",
                    "type": "function",
                    "function": {"name": "get_time", "arguments": "{}"},
                },
            ]
        },
    ),
    Case(
        "text before a tool call",
        (*text("Wait."), CALLS[3].__class__(index=0, id="c", name="f", arguments="{}")),
        "tool_calls",
        {
            "content": "Wait.",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
    ),
]
REQUESTS = {
    "plain": ask(),
    "with usage": ask(**USAGE),
    "full trace": ask(massgen={"trace": "full"}, **USAGE),
    "no trace": ask(massgen={"trace": "off"}),
    "no massgen": ask(massgen="off", **USAGE),
    "not streaming": ask(stream=False),
}


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_chunk_and_its_completion_follow_the_published_schemas(
    case: Case, request_name: str, conforms: Conforms
) -> None:
    chunks = render(REQUESTS[request_name], run(*case.message, finish=case.finish))
    completion = fold(chunks)
    for chunk in chunks:
        chunk.pop("massgen", None)
        for choice in chunk["choices"]:
            choice["delta"].pop("reasoning_content", None)
        conforms("CreateChatCompletionStreamResponse", chunk)
    completion.pop("massgen", None)
    completion["choices"][0]["message"].pop("reasoning_content", None)
    conforms("CreateChatCompletionResponse", completion)


def test_the_schema_check_sees_the_extensions_that_it_is_spared(conforms: Conforms) -> None:
    with pytest.raises(ValidationError, match="'massgen' was unexpected"):
        conforms("CreateChatCompletionResponse", fold(render(ask(), run(*text("x")))))


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_official_accumulator_makes_our_completion_of_our_chunks(
    case: Case, request_name: str
) -> None:
    chunks = render(REQUESTS[request_name], run(*case.message, finish=case.finish))
    ours = ChatCompletion.model_validate(fold(chunks)).model_dump()
    theirs = accumulated(chunks)
    ours.pop("massgen", None)  # the accumulator drops unknown fields of later chunks,
    ours["choices"][0]["message"].pop("annotations")  # and a chunk has no place for annotations
    for call in theirs["choices"][0]["message"]["tool_calls"] or ():
        call.pop("index")
        call["function"].pop("parsed_arguments", None)
    assert without_nulls(theirs) == without_nulls(ours)


def without_nulls(value: Any) -> Any:
    """The value without fields that are null: the SDK's dumps differ in those of later versions."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return {key: without_nulls(item) for key, item in members if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in cast("list[Any]", value)]
    return value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_completion_holds_the_message_with_every_required_field(case: Case) -> None:
    chunks = render(
        ask(stream=False, massgen={"trace": "off"}), run(*case.message, finish=case.finish)
    )
    completion = fold(chunks)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
    }
    assert completion["choices"] == [
        {
            "index": 0,
            "message": message | case.expected,
            "logprobs": None,
            "finish_reason": case.finish,
        }
    ]


def test_a_stream_is_the_role_then_progress_then_text_then_one_finish_then_usage() -> None:
    chunks = render(ask(**USAGE), run(*text("Hel", "lo")))
    assert deltas(chunks) == [
        {"role": "assistant"},
        {"reasoning_content": "a answered.\n"},
        {"reasoning_content": "a voted for b: clear\n"},
        {"reasoning_content": "The team chose b (votes: b 1).\n"},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]] == (
        [None] * 6 + ["stop"]
    )
    assert chunks[-1]["choices"] == []


def test_the_role_leaves_with_the_first_event_and_without_a_content_key() -> None:
    renderer = renderer_of(ask())
    [chunk] = renderer.feed(RunStarted(run_id="run_1", team="pair", agents=("a", "b")))
    assert chunk["choices"][0]["delta"] == {"role": "assistant"}


def test_text_passes_through_as_it_comes() -> None:
    renderer = renderer_of(ask())
    assert deltas(renderer.feed(MessageText(text="H"))) == [{"content": "H"}]


def test_the_frame_is_the_same_in_every_chunk_and_in_the_completion() -> None:
    frame = {
        "id": "chatcmpl-1",
        "created": 1_700_000_000,
        "model": "pair",
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }
    chunks = render(ask(**USAGE), run(*text("x")))
    for value in (*chunks, fold(chunks)):
        assert {key: value[key] for key in frame} == frame


def test_a_heartbeat_is_a_chunk_with_an_empty_delta_that_changes_nothing() -> None:
    renderer = renderer_of(ask(**USAGE))
    first = renderer.feed(RunStarted(run_id="run_1", team="pair", agents=("a",)))
    beat = renderer.heartbeat()
    rest = [c for event in (*text("x"), RunCompleted(result=RESULT)) for c in renderer.feed(event)]
    assert beat["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}]
    assert beat["usage"] is None
    assert fold([*first, beat, *rest]) == fold([*first, *rest])


def test_tool_fragments_carry_id_type_and_name_once() -> None:
    fragments = [
        delta["tool_calls"]
        for delta in deltas(render(ask(), run(*CALLS, finish="tool_calls")))
        if "tool_calls" in delta
    ]
    assert fragments == [
        [
            {
                "index": 0,
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": ""},
            }
        ],
        [{"index": 0, "function": {"arguments": '{"city":'}}],
        [{"index": 0, "function": {"arguments": '"Rome"}'}}],
        [
            {
                "index": 1,
                "id": "call_2",
                "type": "function",
                "function": {"name": "get_time", "arguments": "{}"},
            }
        ],
    ]


def test_a_stream_that_broke_off_has_no_completion() -> None:
    with pytest.raises(ValueError, match="no finish chunk"):
        fold(render(ask(), run(*text("x")))[:-1])


def test_tool_calls_of_the_result_are_not_rendered_twice() -> None:
    call = ToolCall(id="call_2", name="get_time", arguments="{}")
    chunks = render(
        ask(),
        run(
            replace(CALLS[3], index=0),
            result=replace(RESULT, messages=(FinalMessage(content=None, tool_calls=(call,)),)),
        ),
    )
    assert len(fold(chunks)["choices"][0]["message"]["tool_calls"]) == 1
