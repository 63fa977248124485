"""Stop sequences: the final message is cut at the first one, however it arrives."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._run.result import FinalMessage, FinishReason, RunResult
from massgen_compat.events import (
    MessageRefusal,
    MessageText,
    MessageToolCall,
    RunCompleted,
    RunEvent,
    RunStarted,
)
from massgen_compat.protocol.chat.answer import fold
from massgen_compat.protocol.chat.request import parse
from tests.protocol.rendering import renderer_of

MESSAGE = [{"role": "user", "content": "x"}]


def choice_of(stop: object, *message: RunEvent, finish: FinishReason = "stop") -> dict[str, Any]:
    renderer = renderer_of(parse({"model": "t", "messages": MESSAGE, "stop": stop}))
    result = RunResult(
        run_id="r",
        team="t",
        messages=(FinalMessage(content=None, finish_reason=finish),),
        winner="a",
        presenter="a",
        answers=(),
        votes=(),
        agents=(),
        usage=None,
        visible_usage=None,
        limited_by=None,
    )
    started = RunStarted(run_id="r", team="t", agents=("a",))
    events = (started, *message, RunCompleted(result=result))
    return fold([chunk for event in events for chunk in renderer.feed(event)])["choices"][0]


def content(stop: object, *pieces: str) -> str:
    return choice_of(stop, *(MessageText(text=piece) for piece in pieces))["message"]["content"]


@dataclass(frozen=True)
class Cut:
    name: str
    stop: str | list[str]
    pieces: tuple[str, ...]
    shown: str


CUTS = [
    Cut("no stop sequence", [], ("a", "b"), "ab"),
    Cut("none that occurs", "END", ("a", "b"), "ab"),
    Cut("within a piece", "END", ("one END two",), "one "),
    Cut("across pieces", "END", ("one E", "N", "D two", "three"), "one "),
    Cut("at the very start", ["\n"], ("\nabc",), ""),
    Cut("a start that comes to nothing", "END", ("one EN", "emy"), "one ENemy"),
    Cut("a start at the end of the message", "END", ("one EN",), "one EN"),
    Cut("a start within a start", "aab", ("aa", "aab"), "aa"),
    Cut("the sequence that ends first", ["abcd", "bc"], ("abcd",), "a"),
    Cut("the longer of two that end together", ["cd", "bcd"], ("abcd",), "a"),
    Cut("the first of several", ["x", "y"], ("ayx",), "a"),
]


@pytest.mark.parametrize("case", CUTS, ids=lambda case: case.name)
def test_a_message_ends_before_its_first_stop_sequence(case: Cut) -> None:
    assert content(case.stop, *case.pieces) == case.shown


@given(
    st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4),
    st.lists(st.text("abc", max_size=4), max_size=12),
)
def test_the_cut_does_not_depend_on_how_the_text_is_divided(
    stop: list[str], pieces: list[str]
) -> None:
    assert content(stop, *pieces) == content(stop, "".join(pieces))
    assert not any(sequence in content(stop, *pieces) for sequence in stop)


def test_a_cut_message_finishes_with_stop_whatever_came_after() -> None:
    choice = choice_of(
        "END",
        MessageText(text="one END"),
        MessageRefusal(text="no"),
        MessageToolCall(index=0, id="c", name="f", arguments="{}"),
        finish="tool_calls",
    )
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == "one "
    assert choice["message"]["refusal"] is None
    assert "tool_calls" not in choice["message"]


def test_an_uncut_message_keeps_its_finish_reason() -> None:
    assert (
        choice_of("END", MessageText(text="one EN"), finish="length")["finish_reason"] == "length"
    )


def test_text_that_was_held_back_stands_before_a_tool_call() -> None:
    call = MessageToolCall(index=0, id="c", name="f", arguments="{}")
    choice = choice_of("END", MessageText(text="one EN"), call, finish="tool_calls")
    assert choice["message"]["content"] == "one EN"
    assert choice["finish_reason"] == "tool_calls"
