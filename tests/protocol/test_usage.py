"""Usage and the ``massgen`` object: their numbers hold, and they stand in their places only."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from massgen_compat._run.result import AgentUsage, FinalMessage, RunResult, Usage, Vote
from massgen_compat.events import MessageText, RunCompleted, RunStarted
from massgen_compat.protocol.chat.answer import fold
from massgen_compat.protocol.chat.request import parse
from tests.protocol.rendering import renderer_of

Conforms = Callable[[str, object], None]

SPENT = Usage(prompt_tokens=50, completion_tokens=40, reasoning_tokens=30, cached_tokens=5)
RESULT = RunResult(
    run_id="run_1",
    team="pair",
    messages=(FinalMessage(content="Hello"),),
    winner="b",
    presenter="a",
    answers=(),
    votes=(Vote(voter="a", target="b", reason="clear"),),
    agents=(
        AgentUsage(
            agent="a",
            model="gpt-5.2",
            calls=2,
            unreported_calls=0,
            usage=SPENT,
            cost_usd=0.1 + 0.2,
        ),
        AgentUsage(agent="b", model="local", calls=3, unreported_calls=3, usage=None),
    ),
    usage=Usage(prompt_tokens=100, completion_tokens=90, reasoning_tokens=40, cached_tokens=20),
    visible_usage=Usage(prompt_tokens=30, completion_tokens=25, reasoning_tokens=5),
    limited_by="max_calls",
)


def chunks_of(result: RunResult, **params: Any) -> list[dict[str, Any]]:
    payload = {"model": "pair", "messages": [{"role": "user", "content": "x"}]} | params
    renderer = renderer_of(parse(payload))
    events = (
        RunStarted(run_id="run_1", team="pair", agents=("a", "b")),
        MessageText(text="Hello"),
        RunCompleted(result=result),
    )
    return [chunk for event in events for chunk in renderer.feed(event)]


def usage_of(result: RunResult) -> dict[str, Any]:
    return fold(chunks_of(result))["usage"]


def test_usage_is_the_run_s_total_and_reasoning_is_all_but_the_visible_message() -> None:
    assert usage_of(RESULT) == {
        "prompt_tokens": 100,
        "completion_tokens": 90,
        "total_tokens": 190,
        "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 90 - (25 - 5),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


@dataclass(frozen=True)
class Odd:
    name: str
    usage: Usage
    visible: Usage | None
    reasoning: int


ODD = [
    Odd("an unknown visible part", SPENT, None, 30),
    Odd(
        "more reasoning than completion",
        SPENT,
        Usage(prompt_tokens=0, completion_tokens=5, reasoning_tokens=9),
        40,
    ),
    Odd(
        "a visible part larger than the whole",
        SPENT,
        Usage(prompt_tokens=0, completion_tokens=99),
        0,
    ),
    Odd("more cached than prompt", replace(SPENT, cached_tokens=999), SPENT, 30),
    Odd("nothing at all", Usage(prompt_tokens=0, completion_tokens=0), None, 0),
]


@pytest.mark.parametrize("case", ODD, ids=lambda case: case.name)
def test_the_parts_never_exceed_the_whole_whatever_a_provider_reports(case: Odd) -> None:
    usage = usage_of(replace(RESULT, usage=case.usage, visible_usage=case.visible))
    assert usage["completion_tokens_details"]["reasoning_tokens"] == case.reasoning
    assert 0 <= case.reasoning <= usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_without_include_usage_no_chunk_of_a_stream_has_a_usage_key_and_all_have_choices() -> None:
    chunks = chunks_of(RESULT, stream=True)
    assert all("usage" not in chunk and len(chunk["choices"]) == 1 for chunk in chunks)


def test_with_include_usage_only_the_last_chunk_has_usage_and_the_others_null() -> None:
    chunks = chunks_of(RESULT, stream=True, stream_options={"include_usage": True})
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == usage_of(RESULT)


def test_an_unknown_usage_is_null_in_a_stream_and_absent_in_a_completion(
    conforms: Conforms,
) -> None:
    unknown = replace(RESULT, usage=None)
    chunks = chunks_of(unknown, stream=True, stream_options={"include_usage": True}, massgen="off")
    assert chunks[-1]["usage"] is None
    conforms("CreateChatCompletionStreamResponse", chunks[-1])
    completion = fold(chunks)
    assert "usage" not in completion
    conforms("CreateChatCompletionResponse", completion)


def test_the_massgen_object_tells_how_the_team_decided_and_what_each_agent_spent() -> None:
    assert fold(chunks_of(RESULT))["massgen"] == {
        "run_id": "run_1",
        "team": "pair",
        "winner": "b",
        "presenter": "a",
        "votes": [{"voter": "a", "target": "b", "reason": "clear"}],
        "limited_by": "max_calls",
        "cost_usd": None,
        "agents": [
            {
                "id": "a",
                "model": "gpt-5.2",
                "calls": 2,
                "unreported_calls": 0,
                "usage": {
                    "prompt_tokens": 50,
                    "completion_tokens": 40,
                    "total_tokens": 90,
                    "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 0},
                    "completion_tokens_details": {
                        "reasoning_tokens": 30,
                        "audio_tokens": 0,
                        "accepted_prediction_tokens": 0,
                        "rejected_prediction_tokens": 0,
                    },
                },
                "cost_usd": 0.3,
            },
            {
                "id": "b",
                "model": "local",
                "calls": 3,
                "unreported_calls": 3,
                "usage": None,
                "cost_usd": None,
            },
        ],
    }


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": True}}])
def test_the_massgen_object_stands_on_the_last_chunk_only(options: dict[str, Any]) -> None:
    chunks = chunks_of(RESULT, stream=True, **options)
    assert [("massgen" in chunk) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


def test_massgen_off_leaves_it_out_everywhere() -> None:
    chunks = chunks_of(RESULT, stream=True, massgen="off")
    assert not any("massgen" in chunk for chunk in chunks)
    assert "massgen" not in fold(chunks)
