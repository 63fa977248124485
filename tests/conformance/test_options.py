"""The ``massgen`` object of a request: ours, a closed world, and only ever a smaller run."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from massgen_compat import TeamSettings
from massgen_compat._run.turn import Phase
from tests.conformance.exchange import Exchange
from tests.conformance.rules import refusal
from tests.conformance.stage import ANSWER, Stage, stage


@pytest.fixture(scope="module")
def open_minded() -> Iterator[Stage]:
    """Teams with the default settings: a trace, and a ``massgen`` object in the response."""
    with stage({"text": {"present": ANSWER}}, settings=TeamSettings()) as each:
        yield each


def told(answer: Exchange) -> str:
    return answer.message.get("reasoning_content") or ""


def own(answer: Exchange) -> Any:
    last = answer.chunks[-1] if answer.streamed else answer.body
    return last.get("massgen")


@pytest.mark.parametrize("stream", [False, True])
def test_off_leaves_out_the_object_and_nothing_else(stream: object, open_minded: Stage) -> None:
    loud = open_minded.chat("three", stream=stream, massgen=None)
    quiet = open_minded.chat("three", stream=stream, massgen="off")
    assert own(loud)["winner"] == "agent0"
    assert own(quiet) is None
    assert told(quiet).count("\n") == told(loud).count("\n") > 0


@pytest.mark.parametrize("stream", [False, True])
def test_the_trace_is_as_asked(stream: object, open_minded: Stage) -> None:
    traces = {
        trace: told(open_minded.chat("three", stream=stream, massgen={"trace": trace}))
        for trace in ("off", "status", "full")
    }
    assert traces["off"] == ""
    assert "The team chose agent0" in traces["status"]
    assert "no model involved" in traces["full"]
    assert len(traces["full"]) > len(traces["status"])


def test_some_of_the_agents_are_fewer_calls(open_minded: Stage) -> None:
    answer = open_minded.chat("three", massgen={"team": {"agents": ["agent1", "agent2"]}})
    assert [agent["id"] for agent in own(answer)["agents"]] == ["agent1", "agent2"]
    assert sum(asked.phase is Phase.DRAFT for asked in answer.asked) == 2
    alone = open_minded.chat("three", massgen={"team": {"agents": ["agent2"]}})
    assert len(alone.asked) == 1


def test_the_winners_answer_can_be_the_message(open_minded: Stage) -> None:
    params = {"massgen": {"team": {"final_answer_strategy": "winner_reuse"}}}
    answer = open_minded.chat("three", **params)
    assert not [asked for asked in answer.asked if asked.phase is Phase.PRESENT]
    assert answer.message["content"]


def test_a_limit_of_calls_ends_the_deliberation_and_says_so(open_minded: Stage) -> None:
    answer = open_minded.chat("three", massgen={"limits": {"max_calls": 4}})
    assert len(answer.asked) <= 4
    assert own(answer)["limited_by"]
    assert answer.finish_reason in {"stop", "length"}


FAULTS: Mapping[str, tuple[Any, str, str]] = {
    "an unknown option": ({"temperature": 1}, "unknown_parameter", "massgen.temperature"),
    "an unknown limit": ({"limits": {"x": 1}}, "unknown_parameter", "massgen.limits.x"),
    "an unknown trace": ({"trace": "loud"}, "invalid_value", "massgen.trace"),
    "no calls at all": (
        {"limits": {"max_calls": 0}},
        "integer_below_min_value",
        "massgen.limits.max_calls",
    ),
    "no agents": ({"team": {"agents": []}}, "empty_array", "massgen.team.agents"),
    "an agent of nobody's": (
        {"team": {"agents": ["agent0", "eve"]}},
        "invalid_value",
        "massgen.team.agents[1]",
    ),
    "another strategy": (
        {"team": {"final_answer_strategy": "synthesize"}},
        "invalid_value",
        "massgen.team.final_answer_strategy",
    ),
    "a path": ({"config": "/etc/passwd"}, "unknown_parameter", "massgen.config"),
    "an address": ({"base_url": "http://x"}, "unknown_parameter", "massgen.base_url"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", FAULTS)
def test_what_it_does_not_know_is_refused(name: str, stream: object, served: Stage) -> None:
    value, code, param = FAULTS[name]
    answer = served.chat("three", stream=stream, massgen=value)
    refusal(answer, 400, code, param)
    assert answer.asked == ()
