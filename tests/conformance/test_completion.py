"""Rules 1.2, the response: what has to be there, what must not, and how a choice ends."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.conformance.exchange import Exchange
from tests.conformance.rules import BOTH, STREAM, WHOLE, Row, Rule, table
from tests.conformance.stage import ANSWER, TOOLS, Stage

REQUIRED = {"id", "object", "created", "model", "choices"}
NAMED = {"type": "function", "function": {"name": "weather"}}
USAGE = {"stream_options": {"include_usage": True}}


def says(expected: str) -> Callable[[Exchange], None]:
    def check(answer: Exchange) -> None:
        assert answer.message["content"] == expected

    return check


def ends(reason: str) -> Callable[[Exchange], None]:
    def check(answer: Exchange) -> None:
        assert answer.finish_reason == reason

    return check


def required_keys(answer: Exchange) -> None:
    assert set(answer.completion) >= REQUIRED
    assert answer.completion["object"] == "chat.completion"
    for choice in answer.completion["choices"]:
        assert set(choice) >= {"index", "message", "finish_reason", "logprobs"}
        assert set(choice["message"]) >= {"role", "content", "refusal"}


def nulls_are_there(answer: Exchange) -> None:
    choice = answer.completion["choices"][0]
    assert choice["logprobs"] is None
    assert choice["message"]["refusal"] is None


def identifier(answer: Exchange) -> None:
    assert re.fullmatch("chatcmpl-[A-Za-z0-9]{20,}", answer.frame["id"])


def created_in_seconds(answer: Exchange) -> None:
    assert isinstance(answer.frame["created"], int)
    assert abs(answer.frame["created"] - time.time()) < 600


def named_model(answer: Exchange) -> None:
    assert answer.frame["model"] == answer.sent["model"]


def fingerprint(answer: Exchange) -> None:
    assert re.fullmatch(r"fp_\w+", answer.frame["system_fingerprint"])


def tier(answer: Exchange) -> None:
    assert answer.frame["service_tier"] == "default"


def annotations(answer: Exchange) -> None:
    assert answer.message["annotations"] == []


def role(answer: Exchange) -> None:
    assert answer.message["role"] == "assistant"


def no_calls(answer: Exchange) -> None:
    assert "tool_calls" not in answer.message
    assert "function_call" not in answer.message


def called(*names: str) -> Callable[[Exchange], None]:
    def check(answer: Exchange) -> None:
        calls: list[dict[str, Any]] = answer.message["tool_calls"]
        assert [call["function"]["name"] for call in calls] == list(names)
        assert {call["type"] for call in calls} == {"function"}
        assert len({call["id"] for call in calls}) == len(calls)
        assert all(set(call) == {"id", "type", "function"} for call in calls)
        assert all(re.fullmatch(r"call_\w{8,}", call["id"]) for call in calls)
        assert calls[0]["function"]["arguments"] == '{"city":"Zürich \\n"}'

    return check


def null_content(answer: Exchange) -> None:
    assert answer.message["content"] is None


def refused(answer: Exchange) -> None:
    assert answer.message["refusal"] == "I cannot do that."
    assert answer.message["content"] is None
    assert answer.finish_reason == "stop"


def both_details(answer: Exchange) -> None:
    usage = answer.usage
    assert set(usage["prompt_tokens_details"]) == {"cached_tokens", "audio_tokens"}
    assert set(usage["completion_tokens_details"]) == {
        "reasoning_tokens",
        "audio_tokens",
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
    }


def usage_adds_up(answer: Exchange) -> None:
    usage = answer.usage
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    details = usage["completion_tokens_details"]
    assert 0 <= details["reasoning_tokens"] <= usage["completion_tokens"]
    assert 0 <= usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]
    visible = usage["completion_tokens"] - details["reasoning_tokens"]
    assert visible == len(ANSWER.split())


def unknown_usage_is_absent(answer: Exchange) -> None:
    assert answer.usage is None
    assert "usage" not in answer.completion


RULES = [
    Rule(
        section="1.2.7",
        source="spec",
        says="the required keys are there",
        check=required_keys,
        modes=WHOLE,
    ),
    Rule(
        section="1.2.7",
        source="spec",
        says="nulls are written out",
        check=nulls_are_there,
        modes=WHOLE,
    ),
    Rule(
        section="1.2.7",
        source="rec",
        says="annotations is always a list",
        check=annotations,
        modes=WHOLE,
    ),
    Rule(section="1.2.7", source="spec", says="the role is assistant", check=role),
    Rule(section="1.2.7", source="rec", says="service_tier is default", check=tier),
    Rule(
        section="1.2.7",
        source="rec",
        says="usage has both details",
        check=both_details,
        modes=WHOLE,
    ),
    Rule(
        section="1.2.7",
        source="rec",
        says="usage has both details",
        check=both_details,
        params=USAGE,
        modes=STREAM,
    ),
    Rule(section="1.2.8", source="rec", says="ids are chatcmpl- and letters", check=identifier),
    Rule(section="1.2.8", source="spec", says="created is in seconds", check=created_in_seconds),
    Rule(section="1.2.8", source="own", says="the model is the one asked for", check=named_model),
    Rule(section="1.2.9", source="spec", says="the fingerprint is a string", check=fingerprint),
    Rule(section="1.2.10", source="spec", says="the text is the presenter's", check=says(ANSWER)),
    Rule(section="1.2.10", source="iss", says="without calls there is no list", check=no_calls),
    Rule(
        section="1.2.10",
        source="iss",
        says="with tools and no call there is no list",
        check=no_calls,
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.2.10",
        source="spec",
        says="a call alone has content null",
        check=null_content,
        script="call",
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.2.10",
        source="spec",
        says="a call is whole",
        check=called("weather"),
        script="call",
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.2.10",
        source="spec",
        says="two calls are whole",
        check=called("weather", "time"),
        script="calls",
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.2.10",
        source="spec",
        says="text may stand beside a call",
        check=says("One moment."),
        script="text-and-call",
        params={"tools": TOOLS},
    ),
    Rule(section="1.2.11", source="spec", says="text ends with stop", check=ends("stop")),
    Rule(
        section="1.2.11",
        source="spec",
        says="what is filtered ends with content_filter",
        check=ends("content_filter"),
        script="filtered",
    ),
    Rule(
        section="1.2.12",
        source="iss",
        says="a call under auto ends with tool_calls",
        check=ends("tool_calls"),
        script="call",
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.2.12",
        source="iss",
        says="a call under required ends with tool_calls",
        check=ends("tool_calls"),
        script="call",
        params={"tools": TOOLS, "tool_choice": "required"},
    ),
    Rule(
        section="1.2.12",
        source="iss",
        says="a named call ends with stop",
        check=ends("stop"),
        script="call",
        params={"tools": TOOLS, "tool_choice": NAMED},
    ),
    Rule(
        section="1.2.13",
        source="sdk",
        says="what is truncated ends with length",
        check=ends("length"),
        script="cut-short",
        params={"max_completion_tokens": 2},
    ),
    Rule(section="1.2.14", source="spec", says="usage adds up", check=usage_adds_up, modes=WHOLE),
    Rule(
        section="1.2.14",
        source="spec",
        says="usage adds up",
        check=usage_adds_up,
        params=USAGE,
        modes=STREAM,
    ),
    Rule(
        section="1.2.14",
        source="own",
        says="hidden thinking is no visible text",
        check=usage_adds_up,
        script="thoughtful",
        modes=WHOLE,
    ),
    Rule(
        section="1.2.14",
        source="own",
        says="unknown usage is absent",
        check=unknown_usage_is_absent,
        script="no-usage",
        modes=WHOLE,
    ),
    Rule(
        section="1.4.36",
        source="spec",
        says="a refusal is no content",
        check=refused,
        script="refusal",
        modes=BOTH,
    ),
]


@table(RULES)
def test_the_response(row: Row, served: Stage) -> None:
    row.rule.check(row.ask(served))


def test_every_response_has_an_id_of_its_own(served: Stage) -> None:
    body = {"model": "one-text", "messages": [{"role": "user", "content": "hi"}]}
    assert len({served.send(body).body["id"] for _ in range(5)}) == 5


def test_equal_requests_have_the_same_fingerprint(served: Stage) -> None:
    body = {"model": "three-text", "messages": [{"role": "user", "content": "hi"}]}
    assert len({served.send(body).body["system_fingerprint"] for _ in range(2)}) == 1


def test_a_call_can_be_sent_back_as_it_came(served: Stage) -> None:
    """Clients append the message verbatim: what we send has to be what we accept."""
    for cast in ("one", "three"):
        for script in ("call", "calls", "text-and-call"):
            first = served.chat(cast, script, tools=TOOLS)
            results = [
                {"role": "tool", "tool_call_id": call["id"], "content": "20 °C"}
                for call in first.message["tool_calls"]
            ]
            history = [*first.sent["messages"], first.message, *results]
            assert served.chat(cast, "text", tools=TOOLS, messages=history).status == 200


def without_ids(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as a stream can tell it, without what is new every time."""
    told = {key: value for key, value in message.items() if key not in {"annotations", "role"}}
    calls = [{**call, "id": ""} for call in told.pop("tool_calls", ())]
    return {**told, "calls": calls}


def test_the_parts_of_the_body_are_those_of_the_stream(served: Stage) -> None:
    for cast in ("one", "three"):
        for script in ("text", "refusal", "call", "calls", "text-and-call", "filtered"):
            whole = served.chat(cast, script, tools=TOOLS)
            streamed = served.chat(cast, script, tools=TOOLS, stream=True, **USAGE)
            assert without_ids(streamed.message) == without_ids(whole.message)
            assert streamed.finish_reason == whole.finish_reason
            assert streamed.usage == whole.usage
