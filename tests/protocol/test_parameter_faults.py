"""Parameters that are wrong: each fault has OpenAI's words, its path and its code."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.chat.request import MAX_LOGIT_BIAS, MAX_MODEL, parse
from massgen_compat.protocol.chat.tools import (
    MAX_PARAMETER_DEPTH,
    MAX_PARAMETER_PARTS,
    MAX_PARAMETER_TEXT,
    MAX_TOOLS,
)

USER = {"role": "user", "content": "hi"}


def function(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels - 1):
        schema = {"items": schema}
    return schema


TOO_LARGE: list[dict[str, Any]] = [
    nested(MAX_PARAMETER_DEPTH + 1),
    {"properties": {f"p{n}": {} for n in range(MAX_PARAMETER_PARTS)}},
    {"enum": [[]] * MAX_PARAMETER_PARTS},
    {"enum": ["x" * 1000] * (MAX_PARAMETER_TEXT // 1000)},
    {"properties": {"x" * MAX_PARAMETER_TEXT: {}}},
    nested(MAX_PARAMETER_DEPTH) | {"description": "x" * MAX_PARAMETER_TEXT},
]


@dataclass(frozen=True)
class Fault:
    message: str
    param: str | None
    code: str | None
    request: dict[str, Any] = field(default_factory=dict[str, Any])


FAULTS = [
    Fault("expected a string, but got an integer", "model", "invalid_type", {"model": 5}),
    Fault(
        "Expected a string with maximum length 256, but got a string with length 257",
        "model",
        "string_above_max_length",
        {"model": "m" * (MAX_MODEL + 1)},
    ),
    Fault(
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 "
        "instead.",
        "temperature",
        "decimal_above_max_value",
        {"temperature": 3},
    ),
    Fault(
        "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1 "
        "instead.",
        "temperature",
        "decimal_below_min_value",
        {"temperature": -1},
    ),
    Fault(
        "expected a decimal, but got a string", "temperature", "invalid_type", {"temperature": "1"}
    ),
    Fault(
        "expected a decimal, but got a boolean",
        "temperature",
        "invalid_type",
        {"temperature": True},
    ),
    Fault("finite decimal", "temperature", "invalid_type", {"temperature": float("nan")}),
    Fault("finite decimal", "top_p", "invalid_type", {"top_p": float("inf")}),
    Fault("<= 1, but got 1.5", "top_p", "decimal_above_max_value", {"top_p": 1.5}),
    Fault(
        ">= -2, but got -3", "presence_penalty", "decimal_below_min_value", {"presence_penalty": -3}
    ),
    Fault(
        "<= 2, but got 2.5",
        "frequency_penalty",
        "decimal_above_max_value",
        {"frequency_penalty": 2.5},
    ),
    Fault(
        "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 "
        "instead.",
        "max_tokens",
        "integer_below_min_value",
        {"max_tokens": 0},
    ),
    Fault(
        ">= 1, but got -5",
        "max_completion_tokens",
        "integer_below_min_value",
        {"max_completion_tokens": -5},
    ),
    Fault("expected an integer, but got a decimal number", "seed", "invalid_type", {"seed": 1.5}),
    Fault(
        "9223372036854775807, but got 9223372036854775808",
        "seed",
        "integer_above_max_value",
        {"seed": 2**63},
    ),
    Fault("a number of more than 256 bits", "seed", "integer_above_max_value", {"seed": 10**5000}),
    Fault("expected an integer, but got a boolean", "n", "invalid_type", {"n": True}),
    Fault(">= 1, but got 0", "n", "integer_below_min_value", {"n": 0}),
    Fault("<= 20, but got 21", "top_logprobs", "integer_above_max_value", {"top_logprobs": 21}),
    Fault(
        "<= 100, but got 101", "logit_bias.1", "integer_above_max_value", {"logit_bias": {"1": 101}}
    ),
    Fault(
        "at most 1024 properties",
        "logit_bias",
        "object_above_max_properties",
        {"logit_bias": {str(token): 1 for token in range(MAX_LOGIT_BIAS + 1)}},
    ),
    Fault("maximum length 4", "stop", "array_above_max_length", {"stop": ["a"] * 5}),
    Fault("empty string", "stop[1]", "empty_string", {"stop": ["a", ""]}),
    Fault("one of a string or array of strings", "stop", "invalid_type", {"stop": 5}),
    Fault("a metadata object, but got a string", "metadata", "invalid_type", {"metadata": "x"}),
    Fault("a string, but got an integer", "metadata.k", "invalid_type", {"metadata": {"k": 7}}),
    Fault(
        "with at most 16 properties, but got an object with 17 properties",
        "metadata",
        "object_above_max_properties",
        {"metadata": {str(number): "v" for number in range(17)}},
    ),
    Fault(
        "maximum length 512",
        "metadata.k",
        "string_above_max_length",
        {"metadata": {"k": "v" * 513}},
    ),
    Fault(
        "Invalid property name in 'metadata': 'kkk...kkk' is too long.",
        "metadata." + "k" * 65,
        "property_name_above_max_length",
        {"metadata": {"k" * 65: "v"}},
    ),
    Fault(
        "Invalid value: 'bogus'. Supported values are: 'low', 'medium', and 'high'.",
        "verbosity",
        "invalid_value",
        {"verbosity": "bogus"},
    ),
    Fault(
        "expected one of 'low', 'medium', or 'high', but got an object",
        "verbosity",
        "invalid_type",
        {"verbosity": {}},
    ),
    Fault("'none', 'minimal',", "reasoning_effort", "invalid_value", {"reasoning_effort": "lots"}),
    Fault(
        "'in_memory', 'in-memory', and '24h'",
        "prompt_cache_retention",
        "invalid_value",
        {"prompt_cache_retention": "1h"},
    ),
    Fault("'text' and 'audio'", "modalities[0]", "invalid_value", {"modalities": ["smell"]}),
    Fault("an array of strings", "modalities", "invalid_type", {"modalities": "text"}),
    Fault("expected a boolean, but got a string", "stream", "invalid_type", {"stream": "yes"}),
    Fault(
        "expected an object, but got a boolean",
        "stream_options",
        "invalid_type",
        {"stream_options": True},
    ),
    Fault(
        "expected a boolean",
        "stream_options.include_usage",
        "invalid_type",
        {"stream_options": {"include_usage": 1}},
    ),
    Fault("expected an object", "response_format", "invalid_type", {"response_format": "json"}),
    Fault("expected a string", "user", "invalid_type", {"user": {"a": 1}}),
    Fault("lone surrogate", "user", "invalid_value", {"user": "\ud800"}),
    Fault(
        "Invalid 'tools': empty array. Expected an array with minimum length 1",
        "tools",
        "empty_array",
        {"tools": []},
    ),
    *(
        Fault(
            "Invalid schema for function 'deep': it has more than 10000 parts, 64 levels or "
            "1000000 characters.",
            place,
            "invalid_function_parameters",
            given,
        )
        for schema in TOO_LARGE
        for place, given in (
            (
                "tools[1].function.parameters",
                {"tools": [function("flat", {}), function("deep", schema)]},
            ),
            ("functions[0].parameters", {"functions": [{"name": "deep", "parameters": schema}]}),
        )
    ),
    Fault("an array of objects, but got a string", "tools", "invalid_type", {"tools": "x"}),
    Fault("an array of function definitions", "functions", "invalid_type", {"functions": "x"}),
    Fault(
        "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are "
        "specified.",
        "tool_choice",
        None,
        {"tool_choice": "none"},
    ),
    Fault("only allowed when 'functions' are", "function_call", None, {"function_call": "auto"}),
    Fault(
        "Unknown parameter: 'massgen.engine'.",
        "massgen.engine",
        "unknown_parameter",
        {"massgen": {"engine": "x"}},
    ),
    Fault(
        "'massgen.limit'; did you mean `limits`?",
        "massgen.limit",
        "unknown_parameter",
        {"massgen": {"limit": {}}},
    ),
    Fault(
        "'massgen.limits.max_call'; did you mean `max_calls`?",
        "massgen.limits.max_call",
        "unknown_parameter",
        {"massgen": {"limits": {"max_call": 3}}},
    ),
    Fault(
        "'off', 'status', and 'full'",
        "massgen.trace",
        "invalid_value",
        {"massgen": {"trace": "all"}},
    ),
    Fault(
        "Invalid value: 'on'. Supported values are: 'off'.",
        "massgen",
        "invalid_value",
        {"massgen": "on"},
    ),
    Fault(
        "one of 'off' or object, but got a boolean", "massgen", "invalid_type", {"massgen": False}
    ),
    Fault(
        "too many properties",
        "massgen",
        "object_above_max_properties",
        {"massgen": dict.fromkeys(map(str, range(99)))},
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.code}: {fault.message[:40]}")
def test_a_faulty_parameter_is_named_with_openais_code(fault: Fault) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse({"model": "m", "messages": [USER]} | fault.request)
    assert fault.message in caught.value.message
    assert (caught.value.param, caught.value.code) == (fault.param, fault.code)


def test_faults_are_reported_in_the_order_of_the_real_api() -> None:
    faulty: dict[str, object] = {"verbosity": 1, "stream": "y", "seed": 1.5, "n": 0, "messages": 1}
    reported: list[str | None] = []
    while faulty:
        with pytest.raises(InvalidRequest) as caught:
            parse({"model": "m", "messages": [USER]} | faulty)
        reported.append(caught.value.param)
        del faulty[str(caught.value.param)]
    assert reported == ["messages", "n", "seed", "stream", "verbosity"]


def test_what_is_echoed_of_a_request_is_short_and_printable() -> None:
    hostile = "x\r\n\ud800" + "A" * 1_000_000
    for request in ({"verbosity": hostile}, {"massgen": {hostile: 1}}, {"metadata": {hostile: 1}}):
        with pytest.raises(InvalidRequest) as caught:
            parse({"model": "m", "messages": [USER]} | request)
        assert len(caught.value.message) < 500
        assert len(caught.value.param or "") < 200
        assert caught.value.message.isprintable()
        caught.value.message.encode()


def test_tools_of_many_servers_are_taken() -> None:
    """512 tools, one of them with a schema as large as allowed."""
    wide = {"properties": {f"p{n}": {"type": "string"} for n in range(MAX_PARAMETER_PARTS - 2)}}
    tools = [function(f"tool{n}", nested(MAX_PARAMETER_DEPTH)) for n in range(MAX_TOOLS - 1)]
    request = {"model": "team", "messages": [USER], "tools": [*tools, function("wide", wide)]}
    assert len(parse(request).run.tools) == MAX_TOOLS
