"""The table of parameters against the official SDK's, and what each level does to a request."""

from importlib.metadata import version
from typing import Any

import pytest
from openai.types.chat import completion_create_params as sdk

from massgen_compat.errors import InvalidRequest, UnsupportedParameter
from massgen_compat.protocol.chat.request import ChatPayload, ChatRequest, parse
from massgen_compat.protocol.parameters import MAX_IGNORED, PARAMETERS

LEVELS = {row.name: row.level for row in PARAMETERS}
SDK_NAMES = set(sdk.CompletionCreateParamsNonStreaming.__annotations__) | set(
    sdk.CompletionCreateParamsBase.__annotations__
)

VALUES: dict[str, Any] = {
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [{"name": "f"}],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 10,
    "max_tokens": 10,
    "metadata": {"a": "b"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "omni-moderation-latest"},
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": -0.5,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"ttl": "30m"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "json_object"},
    "safety_identifier": "s",
    "seed": 7,
    "service_tier": "flex",
    "stop": ["END"],
    "store": True,
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.2,
    "tool_choice": "auto",
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "top_logprobs": 2,
    "top_p": 0.9,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {},
}
NEUTRAL: dict[str, Any] = {
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "response_format": {"type": "text"},
    "service_tier": "auto",
    "store": False,
    "top_logprobs": 0,
}
NEEDS = {"tool_choice": "tools", "function_call": "functions"}


def request(**params: object) -> ChatRequest:
    return parse({"model": "m", "messages": [{"role": "user", "content": "hi"}], **params})


def names(level: str) -> list[str]:
    return [row.name for row in PARAMETERS if row.level == level and row.name in VALUES]


def test_every_parameter_of_the_sdk_has_a_row() -> None:
    assert SDK_NAMES - set(LEVELS) == set()


@pytest.mark.skipif(version("openai") < "3.54", reason="an older openai has fewer parameters")
def test_the_table_has_no_parameter_that_the_newest_sdk_has_not() -> None:
    assert set(LEVELS) - SDK_NAMES == set()


def test_no_parameter_has_two_rows_or_is_left_out_of_these_tests() -> None:
    assert len(LEVELS) == len(PARAMETERS)
    assert set(VALUES) | {"model", "messages"} == set(LEVELS)


@pytest.mark.parametrize("name", names("every_agent"))
def test_a_parameter_for_every_agent_reaches_all_of_them(name: str) -> None:
    run = request(**{name: VALUES[name]}).run
    assert run.agent_params == {name: VALUES[name]}
    assert run.presenter_params == {}


@pytest.mark.parametrize("name", names("presenter"))
def test_a_parameter_of_the_final_message_reaches_the_presenter_only(name: str) -> None:
    needed = {"logprobs": True} if name == "top_logprobs" else {}
    run = request(**{name: VALUES[name]}, **needed).run
    assert run.presenter_params == {name: VALUES[name], **needed}
    assert run.agent_params == {}


@pytest.mark.parametrize("name", names("ignored"))
def test_an_ignored_parameter_is_named_and_goes_nowhere(name: str) -> None:
    parsed = request(**{name: VALUES[name]})
    assert parsed.ignored == (name,)
    assert (parsed.run.agent_params, parsed.run.presenter_params) == ({}, {})


@pytest.mark.parametrize("name", names("refused"))
def test_a_parameter_whose_neglect_changes_the_answer_is_refused(name: str) -> None:
    needed = {NEEDS[name]: VALUES[NEEDS[name]]} if name in NEEDS else {}
    with pytest.raises(UnsupportedParameter, match=r"is not supported here: .+") as caught:
        request(**{name: VALUES[name], **needed})
    assert caught.value.code == "unsupported_parameter"
    assert caught.value.param in {name, *needed}


def test_parameters_of_the_server_shape_the_response() -> None:
    parsed = request(stream=True, stream_options={"include_usage": True}, stop="END")
    options = parsed.rendering.options
    assert (parsed.stream, options.include_usage, options.stop) == (True, True, ("END",))
    assert (parsed.run.agent_params, parsed.run.presenter_params) == ({}, {})
    assert parsed.ignored == ()


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_value_that_asks_for_nothing_is_neither_refused_nor_named(name: str) -> None:
    assert request(**{name: NEUTRAL[name]}) == request()


@pytest.mark.parametrize("name", VALUES)
def test_an_explicit_null_is_the_same_as_an_absent_parameter(name: str) -> None:
    assert request(**{name: None}) == request()


def test_max_completion_tokens_supersedes_max_tokens() -> None:
    run = request(max_tokens=5, max_completion_tokens=9).run
    assert run.presenter_params == {"max_completion_tokens": 9}


def test_unknown_parameters_are_named_and_never_forwarded() -> None:
    parsed = request(api_base="http://evil", extra_headers={"a": "b"}, top_k=5, unset=None)
    assert parsed.ignored == ("api_base", "extra_headers", "top_k")
    assert (parsed.run.agent_params, parsed.run.presenter_params) == ({}, {})


def test_unknown_parameters_can_be_refused_or_passed_over() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "user": "u"}
    assert parse({**body, "top_k": 5}, unknown_params="ignore").ignored == ("user",)
    with pytest.raises(InvalidRequest) as caught:
        parse({**body, "top_k": 5}, unknown_params="reject")
    assert caught.value.message == "Unrecognized request argument supplied: top_k"
    assert (caught.value.param, caught.value.code) == (None, None)
    with pytest.raises(InvalidRequest, match=r"arguments supplied: top_k, top_a$"):
        parse({**body, "top_k": 5, "top_a": 1}, unknown_params="reject")
    assert parse(body, unknown_params="reject").ignored == ("user",)


def test_names_of_unknown_parameters_are_fit_for_a_header_and_few() -> None:
    hostile = {"a\r\nSet-Cookie: x": 1, "ü,\ud800\x00": 1, "k" * 5000: 1, "": 1}
    ignored = request(**hostile, **{f"x{number}": 1 for number in range(1000)}).ignored
    assert ignored[:4] == ("a??Set-Cookie??x", "????", "k" * 64, "?")
    assert len(ignored) == MAX_IGNORED


def test_obfuscation_that_is_asked_for_is_named_as_ignored() -> None:
    parsed = request(stream=True, stream_options={"include_obfuscation": True})
    assert parsed.ignored == ("stream_options.include_obfuscation",)


def test_every_accepted_parameter_is_validated() -> None:
    unchecked = {"audio", "moderation", "prediction", "web_search_options"}
    assert set(LEVELS) - set(ChatPayload.model_fields) == unchecked
