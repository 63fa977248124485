"""Events have a JSON form, from which the same events are read back."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._run.result import Usage
from massgen_compat._run.turn import Phase
from massgen_compat.events import MessageText, RunEvent, TurnFinished, from_json, to_json
from tests.fakes import QUESTION, Model
from tests.telemetry.test_telemetry import events_of, massgen

EVENTS = get_args(RunEvent)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
OBJECT = st.dictionaries(st.text(), JSON)


def strategy(event: type[RunEvent]) -> st.SearchStrategy[RunEvent]:
    if event is MessageText:  # its log probabilities are any JSON
        pieces = st.lists(OBJECT, max_size=2).map(tuple)
        return st.builds(MessageText, text=st.text(), choice=st.integers(0, 7), logprobs=pieces)
    return st.from_type(event)


@pytest.mark.parametrize("event", EVENTS, ids=[each.__name__ for each in EVENTS])
@given(data=st.data())
def test_what_is_written_is_read_back(event: type[RunEvent], data: st.DataObject) -> None:
    told = data.draw(strategy(event))
    written = to_json(told, run_id="run_1", time=1_700_000_000.25)
    read: dict[str, Any] = json.loads(json.dumps(written, allow_nan=False))
    assert from_json(read) == told
    assert read["type"] == told.type
    assert read["time"] == 1_700_000_000.25
    assert "run_id" in read


@pytest.mark.anyio
async def test_the_events_of_a_run_are_read_back() -> None:
    events = await events_of(massgen([], 3, Model()), QUESTION)
    written = [to_json(event, run_id="run_1", time=0.0) for event in events]
    assert [from_json(each) for each in written] == events


def test_the_form_is_this() -> None:
    """Others keep it: a change here is one that they have to be told."""
    usage = Usage(prompt_tokens=3, completion_tokens=2)
    event = TurnFinished(
        agent="ada", round=1, phase=Phase.DRAFT, usage=usage, model=None, effort="high"
    )
    assert to_json(event, run_id="run_1", time=2.5) == {
        "type": "turn_finished",
        "run_id": "run_1",
        "time": 2.5,
        "agent": "ada",
        "round": 1,
        "phase": "draft",
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "reasoning_tokens": 0,
            "cached_tokens": 0,
        },
        "model": None,
        "effort": "high",
        "effort_asked": None,
    }


def test_members_of_a_later_version_are_left_out() -> None:
    event = MessageText(text="hi")
    assert from_json({**to_json(event, run_id="r", time=0.0), "later": [1]}) == event


@pytest.mark.parametrize(
    "data",
    [{}, {"type": "later"}, {"type": "message_text"}, {"type": "message_text", "text": 1}],
    ids=["no type", "unknown type", "missing field", "wrong type"],
)
def test_what_is_no_event_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"type|text"):
        from_json(data)
