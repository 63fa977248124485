"""``n``, ``logprobs`` and the legacy functions: what else a choice may be asked to be."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from massgen_compat._run.turn import Phase
from tests.conformance.exchange import Exchange
from tests.conformance.providers import without_logprobs
from tests.conformance.rules import Row, Rule, refusal, table
from tests.conformance.stage import ANSWER, HELLO, TOOLS, Stage, stage

FUNCTIONS = [each["function"] for each in TOOLS]
USAGE = {"stream_options": {"include_usage": True}}


def choices(count: int) -> Callable[[Exchange], None]:
    def check(answer: Exchange) -> None:
        assert sorted(answer.indices) == list(range(count))
        for index in range(count):
            choice = answer.choice(index)
            assert choice["message"]["content"] == ANSWER
            assert choice["finish_reason"] == "stop"

    return check


def in_order(answer: Exchange) -> None:
    assert answer.indices == list(range(3))


def roles_and_ends(answer: Exchange) -> None:
    """One role chunk and one finish chunk for each choice, and nothing of it before or after."""
    if not answer.streamed:
        return
    for index in range(3):
        parts = answer.of_choice(index)
        assert ["role" in part["delta"] for part in parts].count(True) == 1
        assert parts[0]["delta"]["role"] == "assistant"
        assert [part["finish_reason"] for part in parts].count("stop") == 1
        assert parts[-1]["delta"] == {}


def usage_once(answer: Exchange) -> None:
    """The usage of all choices, told once; what is visible is three times the text."""
    if answer.streamed:
        assert [bool(chunk.get("usage")) for chunk in answer.chunks].count(True) == 1
        assert answer.chunks[-1]["choices"] == []
    spent = answer.usage["completion_tokens"]
    hidden = answer.usage["completion_tokens_details"]["reasoning_tokens"]
    assert spent - hidden == 3 * len(ANSWER.split())


def one_deliberation(answer: Exchange) -> None:
    """The team decides once; only the final message is written three times."""
    phases = [asked.phase for asked in answer.asked]
    agents = {"one": 0, "three": 3}[answer.sent["model"].split("-")[0]]
    assert phases.count(Phase.DRAFT) == agents
    assert phases.count(Phase.PRESENT) == 3


def each_calls(answer: Exchange) -> None:
    for index in range(2):
        (call,) = answer.choice(index)["message"]["tool_calls"]
        assert call["function"]["name"] == "weather"
        assert answer.choice(index)["finish_reason"] == "tool_calls"
    ids = [answer.choice(index)["message"]["tool_calls"][0]["id"] for index in range(2)]
    assert len(set(ids)) == 2


def function_called(reason: str) -> Callable[[Exchange], None]:
    def check(answer: Exchange) -> None:
        call = answer.message["function_call"]
        assert call["name"] == "weather"
        assert json.loads(call["arguments"]) == {"city": "Zürich \n"}
        assert "tool_calls" not in answer.message
        assert answer.message["content"] is None
        assert answer.finish_reason == reason

    return check


def no_function(answer: Exchange) -> None:
    assert "function_call" not in answer.message
    assert answer.message["content"] == ANSWER
    assert answer.finish_reason == "stop"


RULES = [
    Rule(section="1.4.32", source="spec", says="n is 1", check=choices(1), params={"n": 1}),
    Rule(section="1.4.32", source="spec", says="n is 3", check=choices(3), params={"n": 3}),
    Rule(section="1.4.32", source="own", says="n is 8", check=choices(8), params={"n": 8}),
    Rule(
        section="1.3.21",
        source="sdk",
        says="the choices begin in order",
        check=in_order,
        params={"n": 3},
    ),
    Rule(
        section="1.3.17",
        source="rec",
        says="each choice has a role and an end",
        check=roles_and_ends,
        params={"n": 3},
    ),
    Rule(
        section="1.2.14",
        source="spec",
        says="usage counts every choice, once",
        check=usage_once,
        params={"n": 3, **USAGE},
    ),
    Rule(
        section="1.4.32",
        source="own",
        says="the team deliberates once",
        check=one_deliberation,
        params={"n": 3},
    ),
    Rule(
        section="1.4.32",
        source="spec",
        says="each choice has calls of its own",
        check=each_calls,
        script="call",
        params={"n": 2, "tools": TOOLS},
    ),
    Rule(
        section="1.4.35",
        source="spec",
        says="a function is called",
        check=function_called("function_call"),
        script="call",
        params={"functions": FUNCTIONS},
    ),
    Rule(
        section="1.4.35",
        source="spec",
        says="a function is called under auto",
        check=function_called("function_call"),
        script="call",
        params={"functions": FUNCTIONS, "function_call": "auto"},
    ),
    Rule(
        section="1.4.35",
        source="spec",
        says="a named function is called",
        check=function_called("stop"),
        script="call",
        params={"functions": FUNCTIONS, "function_call": {"name": "weather"}},
    ),
    Rule(
        section="1.4.35",
        source="spec",
        says="of several calls the first is made",
        check=function_called("function_call"),
        script="calls",
        params={"functions": FUNCTIONS},
    ),
    Rule(
        section="1.4.35",
        source="spec",
        says="functions need not be called",
        check=no_function,
        params={"functions": FUNCTIONS, "function_call": "none"},
    ),
]


@table(RULES)
def test_a_choice(row: Row, served: Stage) -> None:
    row.rule.check(row.ask(served))


@pytest.mark.parametrize("cast", ["one", "three"])
def test_a_function_call_can_be_sent_back(cast: str, served: Stage) -> None:
    """Rule 1.4.35 [spec]: as the message came, with the result in role ``function``."""
    first = served.chat(cast, "call", functions=FUNCTIONS)
    result = {"role": "function", "name": "weather", "content": "20 °C"}
    answer = served.chat(
        cast, "text", functions=FUNCTIONS, messages=[*HELLO, first.message, result]
    )
    no_function(answer)


FAULTS: Mapping[str, tuple[Mapping[str, Any], str | None, str | None]] = {
    "n above ours": ({"n": 9}, "integer_above_max_value", "n"),
    "n of none": ({"n": 0}, "integer_below_min_value", "n"),
    "top_logprobs without logprobs": ({"top_logprobs": 2}, None, "top_logprobs"),
    "top_logprobs with logprobs false": (
        {"top_logprobs": 2, "logprobs": False},
        None,
        "top_logprobs",
    ),
    "too many": (
        {"top_logprobs": 21, "logprobs": True},
        "integer_above_max_value",
        "top_logprobs",
    ),
    "no functions": ({"functions": []}, "empty_array", "functions"),
    "a call without functions": ({"function_call": "auto"}, None, "function_call"),
    "a bad function": (
        {"functions": [{"name": "a b"}]},
        "invalid_value",
        "functions[0].name",
    ),
    "an unknown function": (
        {"functions": FUNCTIONS, "function_call": {"name": "x"}},
        "invalid_value",
        "function_call.name",
    ),
    "a function's result without a call": (
        {"messages": [*HELLO, {"role": "function", "name": "weather", "content": "x"}]},
        None,
        "messages.[1].role",
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_before_anything_is_spent(
    name: str, stream: object, served: Stage
) -> None:
    params, code, param = FAULTS[name]
    answer = served.chat("three", stream=stream, **params)
    refusal(answer, 400, code, param)
    assert answer.asked == ()


# Log probabilities


LOGPROBS: Sequence[tuple[Mapping[str, Any], str, int]] = [
    ({"logprobs": True}, ANSWER, 0),
    ({"logprobs": True, "top_logprobs": 0}, ANSWER, 0),
    ({"logprobs": True, "top_logprobs": 3}, ANSWER, 3),
    ({"logprobs": True, "stop": "END"}, "It scatters: short waves ", 0),
    ({"logprobs": True, "n": 2}, ANSWER, 0),
]


@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("params", "text", "top"), LOGPROBS, ids=json.dumps)
def test_the_tokens_are_those_of_the_text(
    params: Mapping[str, Any],
    text: str,
    top: int,
    stream: object,
    cast: str,
    served: Stage,
) -> None:
    """Rule 1.4.39 [spec]."""
    answer = served.chat(cast, stream=stream, **params)
    for index in answer.indices:
        choice = answer.choice(index)
        assert choice["message"]["content"] == text
        told = choice["logprobs"]
        assert told["refusal"] is None
        assert "".join(entry["token"] for entry in told["content"]) == text
        assert all(bool(entry["top_logprobs"]) == bool(top) for entry in told["content"])
    for asked in answer.asked:
        presents = asked.phase is Phase.PRESENT
        wanted = asked.body.get("logprobs") is True or bool(asked.body.get("include"))
        assert wanted == presents
        assert asked.body.get("top_logprobs", 0) == (top if presents else 0)


@pytest.mark.parametrize("stream", [False, True])
def test_without_logprobs_there_are_none(stream: object, served: Stage) -> None:
    assert served.chat("one", stream=stream, logprobs=False).choice()["logprobs"] is None


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_without_logprobs_leaves_them_null(stream: object) -> None:
    with stage({"text": {"present": ANSWER}}, provider=without_logprobs) as each:
        for cast in ("one", "three"):
            answer = each.chat(cast, stream=stream, logprobs=True)
            assert answer.message["content"] == ANSWER
            assert answer.choice()["logprobs"] is None
