"""Rules 1.4, what a request means: every parameter is honoured, named as ignored, or refused."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from massgen_compat._run.turn import Phase
from massgen_compat.protocol.parameters import PARAMETERS
from tests.conformance.exchange import Exchange
from tests.conformance.rules import STREAM, WHOLE, Row, Rule, refusal, table
from tests.conformance.stage import ANSWER, HELLO, MEMBERS, TOOLS, Stage, tool

LEVELS = {row.name: row.level for row in PARAMETERS}
NEUTRAL = {row.name: row.neutral for row in PARAMETERS}

VALID: Mapping[str, Sequence[Any]] = {
    "frequency_penalty": [-2, -2.0, 0, 2],
    "logit_bias": [{}, {"50256": -100, "11": 100}],
    "max_completion_tokens": [1, 16, 2**31 - 1],
    "max_tokens": [1, 16],
    "metadata": [{}, {"k" * 64: "v" * 512}, {f"k{number}": "" for number in range(16)}],
    "modalities": [["text"]],
    "n": [1, 2, 8],
    "parallel_tool_calls": [True, False],
    "prediction": [{"type": "content", "content": "x"}],
    "presence_penalty": [-2, 0.5, 2],
    "prompt_cache_key": ["k"],
    "prompt_cache_options": [{"ttl": "30m"}],
    "prompt_cache_retention": ["in_memory", "24h"],
    "reasoning_effort": ["none", "minimal", "low", "medium", "high", "xhigh", "max"],
    "response_format": [{"type": "text"}],
    "safety_identifier": ["s" * 64],
    "seed": [0, -(2**63), 2**63 - 1],
    "service_tier": ["auto", "default", "flex", "scale", "priority"],
    "stop": ["\n", ["x"], ["a1", "b2", "c3", "d4"], []],
    "store": [True, False],
    "stream": [True, False],
    "stream_options": [{}, {"include_usage": True}, {"include_obfuscation": False}],
    "temperature": [0, 1, 1.5, 2],
    "top_p": [0, 0.1, 1],
    "user": ["u", "u" * 64],
    "verbosity": ["low", "medium", "high"],
}
"""Valid values of the parameters that need no other: bounds, every word of an enumeration."""

ELSEWHERE = {"messages", "model", "tools", "tool_choice", "logprobs", "top_logprobs"} | {
    "functions",
    "function_call",
}
"""Parameters with rules of their own below, or in a module of their own."""

REFUSED: Mapping[str, Any] = {
    "audio": {"voice": "alloy", "format": "wav"},
    "moderation": {"model": "omni-moderation-latest"},
    "web_search_options": {},
}


NO_PLACE: Mapping[str, Any] = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "presence_penalty": 0,
    "seed": None,
}
"""Parameters that the Responses API does not have [spec], and the value that asks for nothing.
They are named as ignored where an agent is reached through that API."""


def test_every_parameter_has_its_rows() -> None:
    assert set(VALID) | ELSEWHERE | set(REFUSED) == set(LEVELS)


AGENTS = {"messages", "frequency_penalty", "presence_penalty", "reasoning_effort", "seed"} | {
    "temperature",
    "top_p",
}
MESSAGE = {"logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "top_logprobs"} | {
    "verbosity"
}


def test_who_honours_what_is_as_specified() -> None:
    """Rules 2: a sampling parameter is for everybody, a bound for the message."""
    assert {name for name, level in LEVELS.items() if level == "every_agent"} == AGENTS
    assert {name for name, level in LEVELS.items() if level == "presenter"} == MESSAGE


@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in VALID.items() for value in values],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_valid_value_is_accepted_and_does_what_the_table_says(
    cast: str, name: str, value: object, served: Stage
) -> None:
    answer = served.chat(cast, **{name: value})
    assert answer.status == 200, answer.raw[:600]
    ignored = answer.headers.get("x-massgen-ignored-params", "").split(",")
    asks = value not in NEUTRAL[name]
    lost = "responses" in MEMBERS[cast] and name in NO_PLACE and value != NO_PLACE[name]
    lost = lost or (asks and name == "prompt_cache_key")  # the agents here are not OpenAI's
    assert (name in ignored) == ((asks and LEVELS[name] == "ignored") or lost)
    for asked in answer.asked:
        if asked.api == "chat" and asks:
            everywhere = LEVELS[name] == "every_agent"
            presenting = LEVELS[name] == "presenter" and asked.phase is Phase.PRESENT
            if everywhere or presenting:
                assert asked.body[name] == value
            elif LEVELS[name] == "ignored" or LEVELS[name] == "presenter":
                assert name not in asked.body


@pytest.mark.parametrize("name", sorted(LEVELS.keys() - {"model", "messages"}))
def test_null_is_the_same_as_absent(name: str, served: Stage) -> None:
    """Rule 1.4.30 [spec]."""
    plain, answer = served.chat("one"), served.chat("one", **{name: None})
    assert answer.status == 200, answer.raw[:600]
    assert "x-massgen-ignored-params" not in answer.headers
    assert answer.choice() == plain.choice()
    assert [asked.body for asked in answer.asked] == [asked.body for asked in plain.asked]


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_change_the_answer_unseen_is_refused(name: str, served: Stage) -> None:
    answer = served.chat("three", **{name: REFUSED[name]})
    refusal(answer, 400, "unsupported_parameter", name, name)
    assert answer.asked == ()


BELOW, ABOVE = "decimal_below_min_value", "decimal_above_max_value"
INT_BELOW, INT_ABOVE = "integer_below_min_value", "integer_above_max_value"
LONG_LIST, LONG_TEXT = "array_above_max_length", "string_above_max_length"
TYPE, VALUE = "invalid_type", "invalid_value"

FAULTS: Sequence[tuple[Mapping[str, Any], str | None, str | None]] = [
    ({"temperature": -0.1}, BELOW, "temperature"),
    ({"temperature": 2.1}, ABOVE, "temperature"),
    ({"temperature": "1"}, TYPE, "temperature"),
    ({"temperature": True}, TYPE, "temperature"),
    ({"top_p": -0.1}, BELOW, "top_p"),
    ({"top_p": 1.1}, ABOVE, "top_p"),
    ({"presence_penalty": -2.1}, BELOW, "presence_penalty"),
    ({"presence_penalty": 2.1}, ABOVE, "presence_penalty"),
    ({"frequency_penalty": -2.1}, BELOW, "frequency_penalty"),
    ({"frequency_penalty": 2.1}, ABOVE, "frequency_penalty"),
    ({"max_tokens": 0}, INT_BELOW, "max_tokens"),
    ({"max_tokens": 1.5}, TYPE, "max_tokens"),
    ({"max_completion_tokens": 0}, INT_BELOW, "max_completion_tokens"),
    ({"max_completion_tokens": 2**31}, INT_ABOVE, "max_completion_tokens"),
    ({"n": 0}, INT_BELOW, "n"),
    ({"n": 9}, INT_ABOVE, "n"),
    ({"n": 129}, INT_ABOVE, "n"),
    ({"n": "2"}, TYPE, "n"),
    ({"seed": 2**63}, INT_ABOVE, "seed"),
    ({"seed": -(2**63) - 1}, INT_BELOW, "seed"),
    ({"seed": "x"}, TYPE, "seed"),
    ({"top_logprobs": 21, "logprobs": True}, INT_ABOVE, "top_logprobs"),
    ({"top_logprobs": -1, "logprobs": True}, INT_BELOW, "top_logprobs"),
    ({"logprobs": "yes"}, TYPE, "logprobs"),
    ({"logit_bias": {"1": 101}}, INT_ABOVE, "logit_bias.1"),
    ({"logit_bias": {"1": -101}}, INT_BELOW, "logit_bias.1"),
    ({"logit_bias": [1]}, TYPE, "logit_bias"),
    ({"stop": ["a", "b", "c", "d", "e"]}, LONG_LIST, "stop"),
    ({"stop": 1}, TYPE, "stop"),
    ({"stop": [1]}, TYPE, "stop[0]"),
    ({"metadata": {f"k{number}": "" for number in range(17)}}, "object_above_max_properties",
     "metadata"),
    ({"metadata": {"k": "v" * 513}}, LONG_TEXT, "metadata.k"),
    ({"metadata": {"k" * 65: ""}}, "property_name_above_max_length", "metadata." + "k" * 65),
    ({"metadata": {"k": 1}}, TYPE, "metadata.k"),
    ({"metadata": "x"}, TYPE, "metadata"),
    ({"reasoning_effort": "extreme"}, VALUE, "reasoning_effort"),
    ({"verbosity": "loud"}, VALUE, "verbosity"),
    ({"service_tier": "gold"}, VALUE, "service_tier"),
    ({"prompt_cache_retention": "1h"}, VALUE, "prompt_cache_retention"),
    ({"modalities": ["smell"]}, VALUE, "modalities[0]"),
    ({"modalities": []}, "empty_array", "modalities"),
    ({"modalities": ["text", "audio"]}, "unsupported_parameter", "modalities"),
    ({"stream": "yes"}, TYPE, "stream"),
    ({"stream_options": []}, TYPE, "stream_options"),
    ({"stream_options": {"include_usage": "yes"}}, TYPE, "stream_options.include_usage"),
    ({"store": "yes"}, TYPE, "store"),
    ({"user": 1}, TYPE, "user"),
    ({"parallel_tool_calls": "no", "tools": TOOLS}, TYPE, "parallel_tool_calls"),
    ({"tools": []}, "empty_array", "tools"),
    ({"tools": "weather"}, TYPE, "tools"),
    ({"tools": [{"type": "robot"}]}, VALUE, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "missing_required_parameter", "tools[0].function"),
    ({"tools": [{"type": "function", "function": {}}]}, "missing_required_parameter",
     "tools[0].function.name"),
    ({"tools": [tool("has space")]}, VALUE, "tools[0].function.name"),
    ({"tools": [tool("x" * 65)]}, LONG_TEXT, "tools[0].function.name"),
    ({"tools": [tool("f"), tool("f")]}, VALUE, "tools[1].function.name"),
    ({"tool_choice": "auto"}, None, "tool_choice"),
    ({"tool_choice": "sometimes", "tools": TOOLS}, VALUE, "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "x"}}, "tools": TOOLS}, VALUE,
     "tool_choice.function.name"),
    ({"response_format": "json"}, TYPE, "response_format"),
    ({"response_format": {"type": "yaml"}}, VALUE, "response_format.type"),
    ({"response_format": {}}, "missing_required_parameter", "response_format.type"),
    ({"massgen": {"nope": 1}}, "unknown_parameter", "massgen.nope"),
    ({"massgen": "on"}, VALUE, "massgen"),
    ({"model": 5}, TYPE, "model"),
    ({"messages": "hi"}, TYPE, "messages"),
    ({"messages": []}, "empty_array", "messages"),
    ({"messages": None}, TYPE, "messages"),
    ({"messages": ["hi"]}, TYPE, "messages[0]"),
    ({"messages": [{"content": "hi"}]}, "missing_required_parameter", "messages[0].role"),
    ({"messages": [{"role": "robot", "content": "x"}]}, VALUE, "messages[0].role"),
    ({"messages": [{"role": "user", "content": 5}]}, TYPE, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, VALUE,
     "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "missing_required_parameter",
     "messages[0].content[0].type"),
    ({"messages": [{"role": "system", "content": [{"type": "image_url",
      "image_url": {"url": "https://x.example/a.png"}}]}]}, VALUE, "messages[0].content[0].type"),
    ({"messages": [*HELLO, {"role": "tool", "tool_call_id": "c1", "content": "x"}]}, None,
     "messages.[1].role"),
    ({"messages": [*HELLO, {"role": "tool", "content": "x"}]}, "missing_required_parameter",
     "messages[1].tool_call_id"),
]  # fmt: skip
"""Wrong values, the code and the parameter that the real API names."""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("params", "code", "param"), FAULTS, ids=lambda value: json.dumps(value)[:60]
)
def test_a_wrong_value_is_named_before_anything_is_spent(
    params: Mapping[str, Any], code: str | None, param: str | None, stream: object, served: Stage
) -> None:
    answer = served.chat("three", **{"stream": stream, **params})
    refusal(answer, 400, code, param)
    assert answer.asked == ()


# What the parameters do


def text_is(expected: str) -> Callable[[Exchange], None]:
    def check(answer: Exchange) -> None:
        assert answer.message["content"] == expected
        assert answer.finish_reason == "stop"

    return check


CAPS = {"max_tokens", "max_completion_tokens", "max_output_tokens"}


def bounded(name: str, bound: int) -> Callable[[Exchange], None]:
    """The final message alone is bounded, under the name that its API has, and its end is told."""

    def check(answer: Exchange) -> None:
        assert answer.finish_reason == "length"
        for asked in answer.asked:
            sent = {key: asked.body[key] for key in CAPS & asked.body.keys()}
            here = name if asked.api == "chat" else "max_output_tokens"
            assert sent == ({here: bound} if asked.phase is Phase.PRESENT else {})

    return check


def presenter(answer: Exchange) -> Mapping[str, Any]:
    """The request for the final message."""
    return next(asked.body for asked in answer.asked if asked.phase is Phase.PRESENT)


def nested(given: Any) -> Any:
    """A tool or a choice as Chat Completions spells it: Responses has its fields one level up."""
    if isinstance(given, str) or "function" in given:
        return given
    return {"type": "function", "function": {"name": given["name"]}}


def chooses(expected: object, *names: str) -> Callable[[Exchange], None]:
    def check(answer: Exchange) -> None:
        assert answer.status == 200, answer.raw[:500]
        sent = presenter(answer)
        assert nested(sent.get("tool_choice", "auto")) == expected
        assert [nested(each)["function"]["name"] for each in sent["tools"]] == list(names)

    return check


def one_call(answer: Exchange) -> None:
    assert [call["function"]["name"] for call in answer.message["tool_calls"]] == ["weather"]
    assert answer.finish_reason == "tool_calls"


def custom_call(answer: Exchange) -> None:
    assert [
        {"type": call["type"], "custom": call["custom"]} for call in answer.message["tool_calls"]
    ] == [{"type": "custom", "custom": {"name": "weather", "input": "Zürich"}}]


def agents_may_not_call(answer: Exchange) -> None:
    """The client's tools are known to drafting agents, and not theirs to call or to be made to."""
    for asked in answer.asked:
        if asked.phase is not Phase.PRESENT:
            assert asked.body.get("tool_choice", "auto") in ("auto", "required")
            offered = {nested(each)["function"]["name"] for each in asked.body.get("tools", ())}
            assert not offered & {"weather", "time"}


WEATHER = {"type": "function", "function": {"name": "weather"}}
TIME = {"type": "function", "function": {"name": "time"}}

EFFECTS = [
    Rule(
        section="1.4.32",
        source="spec",
        says="stop ends the text before the sequence",
        check=text_is("It scatters: short waves "),
        params={"stop": "END"},
    ),
    Rule(
        section="1.4.32",
        source="spec",
        says="the first of several stops counts",
        check=text_is("It scatters"),
        params={"stop": ["END", ": short", "zzz", "scatters: short waves END more"]},
    ),
    Rule(
        section="1.4.32",
        source="spec",
        says="a stop that does not occur changes nothing",
        check=text_is(ANSWER),
        params={"stop": ["ENDE", "🌈🌈"]},
    ),
    Rule(
        section="1.4.31",
        source="spec",
        says="max_completion_tokens bounds the final message",
        check=bounded("max_completion_tokens", 5),
        script="cut-short",
        params={"max_completion_tokens": 5},
    ),
    Rule(
        section="1.4.31",
        source="spec",
        says="max_tokens bounds the final message",
        check=bounded("max_tokens", 5),
        script="cut-short",
        params={"max_tokens": 5},
    ),
    Rule(
        section="1.4.31",
        source="spec",
        says="max_completion_tokens supersedes max_tokens",
        check=bounded("max_completion_tokens", 6),
        script="cut-short",
        params={"max_tokens": 5, "max_completion_tokens": 6},
    ),
    Rule(
        section="1.4.33",
        source="spec",
        says="tools without a choice are auto",
        check=chooses("auto", "weather", "time"),
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.4.33",
        source="spec",
        says="required reaches the presenter",
        check=chooses("required", "weather", "time"),
        script="call",
        params={"tools": TOOLS, "tool_choice": "required"},
    ),
    Rule(
        section="1.4.33",
        source="spec",
        says="a named tool reaches the presenter",
        check=chooses(WEATHER, "weather", "time"),
        script="call",
        params={"tools": TOOLS, "tool_choice": WEATHER},
    ),
    Rule(
        section="1.4.33",
        source="spec",
        says="none reaches the presenter",
        check=chooses("none", "weather", "time"),
        params={"tools": TOOLS, "tool_choice": "none"},
    ),
    Rule(
        section="1.4.33",
        source="spec",
        says="allowed tools are the only ones",
        check=chooses("required", "weather"),
        script="call",
        params={
            "tools": TOOLS,
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [WEATHER]},
            },
        },
    ),
    Rule(
        section="1.4.33",
        source="own",
        says="a forced call is forced on the presenter alone",
        check=agents_may_not_call,
        script="call",
        params={"tools": TOOLS, "tool_choice": "required"},
    ),
    Rule(
        section="1.4.34",
        source="spec",
        says="without parallel calls there is one, whatever the model does",
        check=one_call,
        script="calls",
        params={"tools": TOOLS, "parallel_tool_calls": False},
    ),
    Rule(
        section="1.4.34",
        source="spec",
        says="a custom tool is called with text",
        check=custom_call,
        script="custom-call",
        params={"tools": [{"type": "custom", "custom": {"name": "weather"}}]},
    ),
]


@table(EFFECTS)
def test_the_effect_of_a_parameter(row: Row, served: Stage) -> None:
    row.rule.check(row.ask(served))


# Messages


def message(role: str, content: object = "x", **fields: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **fields}


CALLED = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
RESULT = message("tool", "20 °C", tool_call_id="call_1")
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
PARTS = [{"type": "text", "text": "Why is "}, {"type": "text", "text": "it blue?"}]

MESSAGES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "a developer's message": [message("developer"), *HELLO],
    "a system message": [message("system"), *HELLO],
    "a system message alone": [message("system")],
    "system messages anywhere": [*HELLO, message("system"), *HELLO, message("system")],
    "names": [message("system", name="s"), message("user", name="ada")],
    "several users in a row": [*HELLO, *HELLO],
    "an assistant first": [message("assistant"), *HELLO],
    "an assistant last": [*HELLO, message("assistant")],
    "parts": [message(role, PARTS) for role in ("system", "developer", "assistant", "user")],
    "an image": [message("user", [*PARTS, IMAGE])],
    "a refusal": [*HELLO, message("assistant", None, refusal="No."), *HELLO],
    "a refusal part": [*HELLO, message("assistant", [{"type": "refusal", "refusal": "No."}])],
    "a tool's result": [*HELLO, message("assistant", None, tool_calls=[CALLED]), RESULT],
    "a result in parts": [
        *HELLO,
        message("assistant", None, tool_calls=[CALLED]),
        {**RESULT, "content": PARTS},
    ],
    "a call beside an empty text": [
        *HELLO,
        message("assistant", "", tool_calls=[CALLED]),
        {**RESULT, "content": ""},
    ],
    "a call without content": [
        *HELLO,
        {"role": "assistant", "tool_calls": [CALLED]},
        RESULT,
    ],
    "a call with content []": [*HELLO, message("assistant", [], tool_calls=[CALLED]), RESULT],
    "tool_calls: []": [*HELLO, message("assistant", tool_calls=[])],
    "tool_calls: null": [*HELLO, message("assistant", tool_calls=None, function_call=None)],
    "an echoed response": [
        *HELLO,
        message(
            "assistant",
            refusal=None,
            annotations=[],
            audio=None,
            function_call=None,
            tool_calls=None,
            reasoning_content="Hm.",
            reasoning="Hm.",
            provider_specific_fields={"a": 1},
        ),
        *HELLO,
    ],
    "a function's result": [
        *HELLO,
        message("assistant", None, function_call={"name": "weather", "arguments": "{}"}),
        message("function", "20 °C", name="weather"),
    ],
}
"""Conversations that clients send. The real API refuses ``tool_calls: []``, which some echo."""


@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize("name", MESSAGES)
def test_a_conversation_is_understood(name: str, cast: str, served: Stage) -> None:
    """Rule 1.4.29 [spec] and rule 1.2.10 [iss]."""
    answer = served.chat(cast, messages=MESSAGES[name])
    assert answer.status == 200, answer.raw[:600]
    assert answer.message["content"] == ANSWER


def test_a_role_is_kept_on_the_way_to_the_models(served: Stage) -> None:
    answer = served.chat("one", messages=[message("developer", "Be brief."), *HELLO])
    roles = {each["role"] for each in presenter(answer)["messages"]}
    assert roles & {"developer", "system"}
    assert "Be brief." in json.dumps(presenter(answer))


def test_streaming_options_without_a_stream_are_tolerated(served: Stage) -> None:
    answer = served.chat("one", stream_options={"include_usage": True})
    assert answer.completion["usage"]["total_tokens"] > 0


@table(
    [
        Rule(
            section="1.4.37",
            source="spec",
            says="the tier that was used is told",
            check=lambda answer: answer.frame["service_tier"] == "default",
            params={"service_tier": "priority"},
            modes=(*WHOLE, *STREAM),
        )
    ]
)
def test_a_tier_is_echoed(row: Row, served: Stage) -> None:
    assert row.rule.check(row.ask(served))
