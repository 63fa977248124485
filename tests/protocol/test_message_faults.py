"""Messages that are wrong: each fault has OpenAI's words, its path and its code."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.chat.messages import MAX_PARTS, MAX_TOOL_CALLS
from massgen_compat.protocol.chat.request import MAX_MESSAGES, parse

USER = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="


def call(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: object = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


@dataclass(frozen=True)
class Fault:
    message: str
    param: str | None
    code: str | None
    request: dict[str, Any] = field(default_factory=dict[str, Any])


def said(content: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def assistant(**fields: object) -> dict[str, Any]:
    return {"messages": [USER, {"role": "assistant", **fields}]}


FAULTS = [
    # what is missing
    Fault("you must provide a model parameter", None, None, {"model": None}),
    Fault("you must provide a model parameter", None, None, {"model": "", "messages": 5}),
    Fault("Missing required parameter: 'messages'.", "messages", "missing_required_parameter"),
    Fault(
        "Missing required parameter: 'messages[0].role'.",
        "messages[0].role",
        "missing_required_parameter",
        {"messages": [{"content": "hi"}]},
    ),
    Fault(
        "Missing required parameter: 'messages[0].content[1].type'.",
        "messages[0].content[1].type",
        "missing_required_parameter",
        said([{"type": "text", "text": "a"}, {"text": "b"}]),
    ),
    Fault(
        "Missing required parameter: 'messages[0].content[0].text'.",
        "messages[0].content[0].text",
        "missing_required_parameter",
        said([{"type": "text"}]),
    ),
    Fault(
        "Missing required parameter: 'messages[0].tool_call_id'.",
        "messages[0].tool_call_id",
        "missing_required_parameter",
        {"messages": [{"role": "tool", "content": "x"}]},
    ),
    Fault(
        "Missing required parameter: 'messages[1].tool_calls[0].function'.",
        "messages[1].tool_calls[0].function",
        "missing_required_parameter",
        assistant(tool_calls=[{"id": "c", "type": "function"}]),
    ),
    Fault(
        "Missing required parameter: 'messages[0].content'.",
        "messages[0].content",
        "missing_required_parameter",
        {"messages": [{"role": "developer"}]},
    ),
    Fault(
        "Missing required parameter: 'response_format.type'.",
        "response_format.type",
        "missing_required_parameter",
        {"messages": [USER], "response_format": {}},
    ),
    # contents
    Fault(
        "Invalid value for 'content': expected a string, got null.",
        "messages.[1].content",
        None,
        {"messages": [USER, {"role": "user", "content": None}]},
    ),
    Fault(
        "Invalid value for 'content': expected a string, got null.",
        "messages.[0].content",
        None,
        {"messages": [{"role": "system"}]},
    ),
    Fault(
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, "
        "but got an integer instead.",
        "messages[0].content",
        "invalid_type",
        said(7),
    ),
    Fault(
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, "
        "but got null instead.",
        "messages[0].content",
        "invalid_type",
        {"messages": [{"role": "developer", "content": None}]},
    ),
    Fault(
        "Invalid type for 'messages[0].content[0]': expected an object, but got a string instead.",
        "messages[0].content[0]",
        "invalid_type",
        said(["hi"]),
    ),
    Fault(
        "Invalid value: 'image'. Supported values are: 'text', 'image_url', 'input_audio', and "
        "'file'.",
        "messages[0].content[0].type",
        "invalid_value",
        said([{"type": "image", "text": "x"}]),
    ),
    Fault(
        "Invalid value: 'image_url'. Supported values are: 'text'.",
        "messages[0].content[0].type",
        "invalid_value",
        {"messages": [{"role": "system", "content": [{"type": "image_url"}]}]},
    ),
    Fault(
        "Invalid value: 'video'. Supported values are: 'text' and 'refusal'.",
        "messages[1].content[0].type",
        "invalid_value",
        assistant(content=[{"type": "video", "id": "x"}]),
    ),
    Fault(
        "Invalid type for 'messages[0].content[0].image_url': expected an object, but got a "
        "string instead.",
        "messages[0].content[0].image_url",
        "invalid_type",
        said([{"type": "image_url", "image_url": PNG}]),
    ),
    Fault(
        "Invalid value for 'messages[0].content[0].image_url.url': expected an 'https://' or a "
        "'data:image/' URL.",
        "messages[0].content[0].image_url.url",
        "invalid_value",
        said([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]),
    ),
    Fault(
        "Invalid value for 'messages[0].content[0].image_url.url': expected an 'https://' or a "
        "'data:image/' URL.",
        "messages[0].content[0].image_url.url",
        "invalid_value",
        said([{"type": "image_url", "image_url": {"url": "http://169.254.169.254/x.png"}}]),
    ),
    Fault(
        "Invalid value: 'huge'. Supported values are: 'auto', 'low', 'high', and 'original'.",
        "messages[0].content[0].image_url.detail",
        "invalid_value",
        said([{"type": "image_url", "image_url": {"url": PNG, "detail": "huge"}}]),
    ),
    Fault(
        "Invalid value: 'ogg'. Supported values are: 'wav' and 'mp3'.",
        "messages[0].content[0].input_audio.format",
        "invalid_value",
        said([{"type": "input_audio", "input_audio": {"data": "", "format": "ogg"}}]),
    ),
    Fault(
        "Invalid value for 'messages[0].content[0].file': expected a 'file_id' or 'file_data'.",
        "messages[0].content[0].file",
        "invalid_value",
        said([{"type": "file", "file": {"filename": "a.pdf"}}]),
    ),
    Fault(
        "Invalid 'messages[0].content': the string has a lone surrogate.",
        "messages[0].content",
        "invalid_value",
        said("a\ud800"),
    ),
    # messages
    Fault(
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an "
        "empty array instead.",
        "messages",
        "empty_array",
        {"messages": []},
    ),
    Fault(
        "Invalid type for 'messages': expected an array of objects, but got a string instead.",
        "messages",
        "invalid_type",
        {"messages": "ping"},
    ),
    Fault(
        "Invalid type for 'messages[1]': expected an object, but got null instead.",
        "messages[1]",
        "invalid_type",
        {"messages": [USER, None]},
    ),
    Fault(
        "Invalid value: 'bogus'. Supported values are: 'system', 'assistant', 'user', 'function', "
        "'tool', and 'developer'.",
        "messages[1].role",
        "invalid_value",
        {"messages": [USER, {"role": "bogus", "content": "x"}]},
    ),
    Fault(
        "Invalid type for 'messages[0].role': expected one of 'system', 'assistant', 'user', "
        "'function', 'tool', or 'developer', but got an array instead.",
        "messages[0].role",
        "invalid_type",
        {"messages": [{"role": ["user"], "content": "x"}]},
    ),
    Fault(
        "Invalid 'messages': array too long. Expected an array with maximum length 2048, but got "
        "an array with length 2049 instead.",
        "messages",
        "array_above_max_length",
        {"messages": [USER] * (MAX_MESSAGES + 1)},
    ),
    Fault(
        "Invalid 'messages[0].content': array too long. Expected an array with maximum length "
        "1024, but got an array with length 1025 instead.",
        "messages[0].content",
        "array_above_max_length",
        said([{"type": "text", "text": "x"}] * (MAX_PARTS + 1)),
    ),
    Fault(
        "Invalid 'messages[0].name': empty string. Expected a string with minimum length 1, but "
        "got an empty string instead.",
        "messages[0].name",
        "empty_string",
        {"messages": [{**USER, "name": ""}]},
    ),
    # tool calls of the history
    Fault(
        "Invalid type for 'messages[1].tool_calls': expected an array of objects, but got a "
        "string instead.",
        "messages[1].tool_calls",
        "invalid_type",
        assistant(content="x", tool_calls="x"),
    ),
    Fault(
        "Invalid value: 'hosted'. Supported values are: 'function' and 'custom'.",
        "messages[1].tool_calls[0].type",
        "invalid_value",
        assistant(tool_calls=[{"id": "c", "type": "hosted"}]),
    ),
    Fault(
        "Invalid 'messages[1].tool_calls': array too long. Expected an array with maximum length "
        "128, but got an array with length 129 instead.",
        "messages[1].tool_calls",
        "array_above_max_length",
        assistant(tool_calls=[call(str(number)) for number in range(MAX_TOOL_CALLS + 1)]),
    ),
    Fault(
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
        "with 'tool_calls'.",
        "messages.[1].role",
        None,
        {"messages": [USER, result("c1")]},
    ),
    Fault(
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
        "with 'tool_calls'.",
        "messages.[4].role",
        None,
        {
            "messages": [
                USER,
                {"role": "assistant", "tool_calls": [call("c1")]},
                result("c1"),
                USER,
                result("c1"),
            ]
        },
    ),
    Fault(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each 'tool_call_id'. The following tool_call_ids did not have response messages: c2",
        "messages.[3].role",
        None,
        {
            "messages": [
                USER,
                {"role": "assistant", "tool_calls": [call("c1"), call("c2")]},
                result("c1"),
                USER,
            ]
        },
    ),
    Fault(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each 'tool_call_id'. The following tool_call_ids did not have response messages: c1",
        "messages.[1].role",
        None,
        assistant(tool_calls=[call("c1")]),
    ),
    Fault(
        "Invalid parameter: Duplicate value for 'tool_call_id' of 'c1', in messages[2] and "
        "messages[3].",
        "messages.[3].tool_call_id",
        None,
        {
            "messages": [
                USER,
                {"role": "assistant", "tool_calls": [call("c1"), call("c2")]},
                result("c1"),
                result("c1"),
            ]
        },
    ),
    Fault(
        "Invalid parameter: the ids of the 'tool_calls' of a message must differ.",
        "messages.[1].role",
        None,
        assistant(tool_calls=[call("c1"), call("c1")]),
    ),
    Fault(
        "Invalid parameter: messages with role 'function' must be a response to a preceeding "
        "message with 'function_call'.",
        "messages.[1].role",
        None,
        {"messages": [USER, {"role": "function", "name": "f", "content": "x"}]},
    ),
    Fault(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each 'tool_call_id'. The following tool_call_ids did not have response messages: "
        "call_legacy_0",
        "messages.[1].role",
        None,
        {
            "messages": [
                {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
                USER,
            ]
        },
    ),
    Fault(
        "Unsupported parameter: 'messages[1].audio' is not supported here: a team answers in text "
        "only.",
        "messages[1].audio",
        "unsupported_parameter",
        assistant(content="x", audio={"id": "audio_1"}),
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.param}: {fault.message[:40]}")
def test_a_faulty_conversation_is_refused_in_openais_words(fault: Fault) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse({"model": "m"} | fault.request)
    assert caught.value.message == fault.message
    assert (caught.value.param, caught.value.code) == (fault.param, fault.code)
