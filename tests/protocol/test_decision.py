"""The team's decision in the trace, and how it comes back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat.events import Answered, PresentationStarted, RunEvent, WinnerChosen
from massgen_compat.protocol.chat.request import parse
from massgen_compat.protocol.trace import TraceWriter, shown

TOOLS = [{"type": "function", "function": {"name": "read"}}]
RESULT = {"role": "tool", "tool_call_id": "c", "content": "x"}
USER = {"role": "user", "content": "hi"}


def calling(**more: Any) -> dict[str, Any]:
    call = {"id": "c", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    return {"role": "assistant", "content": None, "tool_calls": [call], **more}


def decision(*messages: dict[str, Any]) -> str | None:
    return parse({"model": "m", "messages": messages, "tools": TOOLS}).run.decision


def told(*, with_decision: bool, draft: str = "Read a first.") -> str:
    narrator = TraceWriter("status", with_decision=with_decision)
    events: list[RunEvent] = [
        Answered(agent="ada", round=1, label="agent1", content=draft, number=1),
        Answered(agent="ben", round=1, label="agent2", content="Guess.", number=1),
        WinnerChosen(winner="ada", votes=(("ada", 2),), limited_by=None),
        PresentationStarted(agent="ben"),
    ]
    return "".join(map(narrator.tell, events))


def test_the_trace_shows_the_winning_draft_where_tools_are_offered() -> None:
    assert "Read a first." not in told(with_decision=False)
    trace = told(with_decision=True)
    assert "The team chose ada" in trace.split("Read a first.")[0]
    assert "Guess." not in trace


@given(st.text().map(str.strip).filter(bool))
def test_a_decision_comes_back_as_it_was_whatever_it_says(draft: str) -> None:
    trace = told(with_decision=True, draft=draft)
    assert decision(USER, calling(reasoning_content=trace), RESULT) == draft


@pytest.mark.parametrize("echo", [None, "", "ada answered.\n", ["a list"], {"text": "x"}, 3])
def test_other_reasoning_is_no_decision(echo: object) -> None:
    assert decision(USER, calling(reasoning_content=echo), RESULT) is None


def test_the_decision_holds_until_the_user_speaks_again() -> None:
    first = calling(reasoning_content=f"ada answered.\n{shown('Read a.')}")
    later = calling(reasoning_content="")
    assert decision(USER, first, RESULT, later, RESULT) == "Read a."
    newer = calling(reasoning_content=shown("Read b."))
    assert decision(USER, first, RESULT, newer, RESULT) == "Read b."
    assert decision(USER, first, RESULT, USER) is None
