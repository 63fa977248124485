"""Conversations as real clients send them: roles, parts, calls and results keep their places."""

from dataclasses import dataclass
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessage

from massgen_compat._run.message import (
    Audio,
    File,
    Image,
    Message,
    Refusal,
    Text,
    ToolCall,
    text_message,
)
from massgen_compat.protocol.chat.request import parse

USER = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="


def call(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: object = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def parsed(*messages: object) -> tuple[Message, ...]:
    return parse({"model": "m", "messages": list(messages)}).run.messages


@dataclass(frozen=True)
class Accepted:
    name: str
    messages: tuple[dict[str, Any], ...]
    expected: tuple[Message, ...]


ACCEPTED = [
    Accepted("a string", (USER,), (text_message("user", "hi"),)),
    Accepted("an empty string", ({"role": "user", "content": ""},), (Message(role="user"),)),
    Accepted("no parts", ({"role": "user", "content": []},), (Message(role="user"),)),
    Accepted("a space", ({"role": "user", "content": " "},), (text_message("user", " "),)),
    Accepted(
        "several text parts, as from Qwen Code",
        (
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
        ),
        (Message(role="user", content=(Text("a"), Text("b"))),),
    ),
    Accepted(
        "every kind of part",
        (
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see", "cache_control": {"type": "ephemeral"}},
                    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "HTTPS://example.org/a.png"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                    {"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}},
                ],
            },
        ),
        (
            Message(
                role="user",
                content=(
                    Text("see"),
                    Image(url=PNG, detail="low"),
                    Image(url="HTTPS://example.org/a.png"),
                    Audio(data="AAAA", format="mp3"),
                    File(file_id="file-1"),
                    File(data="AAAA", filename="a.pdf"),
                ),
            ),
        ),
    ),
    Accepted(
        "system and developer messages in their places, and repeated roles",
        (
            {"role": "developer", "content": [{"type": "text", "text": "d"}]},
            USER,
            USER,
            {"role": "system", "content": "s", "name": "app"},
        ),
        (
            text_message("developer", "d"),
            text_message("user", "hi"),
            text_message("user", "hi"),
            Message(role="system", content=(Text("s"),), name="app"),
        ),
    ),
    Accepted(
        "tool calls and their results in any order, with a name, as from Cursor",
        (
            USER,
            {"role": "assistant", "content": [], "tool_calls": [call("c1"), call("c2", "g")]},
            {**result("c2", [{"type": "text", "text": "two"}]), "name": "g"},
            result("c1", ""),
        ),
        (
            text_message("user", "hi"),
            Message(
                role="assistant",
                tool_calls=(
                    ToolCall(id="c1", name="f", arguments="{}"),
                    ToolCall(id="c2", name="g", arguments="{}"),
                ),
            ),
            Message(role="tool", content=(Text("two"),), name="g", tool_call_id="c2"),
            Message(role="tool", tool_call_id="c1"),
        ),
    ),
    Accepted(
        "an assistant without a content key, as from litellm, whose call ids come back later",
        (
            USER,
            {"role": "assistant", "tool_calls": [call("c1")]},
            result("c1"),
            {"role": "assistant", "content": None, "tool_calls": [call("c1")]},
            result("c1"),
        ),
        (
            text_message("user", "hi"),
            Message(role="assistant", tool_calls=(ToolCall(id="c1", name="f", arguments="{}"),)),
            Message(role="tool", content=(Text("ok"),), tool_call_id="c1"),
            Message(role="assistant", tool_calls=(ToolCall(id="c1", name="f", arguments="{}"),)),
            Message(role="tool", content=(Text("ok"),), tool_call_id="c1"),
        ),
    ),
    Accepted(
        "an echoed response message with all its null and unknown fields",
        (
            {
                "role": "assistant",
                "content": "hello",
                "refusal": None,
                "annotations": [],
                "audio": None,
                "function_call": None,
                "tool_calls": None,
                "reasoning_content": "a votes for b",
                "reasoning": "x",
                "reasoning_details": [{}],
                "provider_specific_fields": {},
            },
            USER,
        ),
        (text_message("assistant", "hello"), text_message("user", "hi")),
    ),
    Accepted(
        "an empty list of tool calls",
        ({"role": "assistant", "content": "x", "tool_calls": []}, USER),
        (text_message("assistant", "x"), text_message("user", "hi")),
    ),
    Accepted(
        "refusals, as a field and as a part",
        (
            {"role": "assistant", "content": None, "refusal": "no"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "never"}]},
        ),
        (
            Message(role="assistant", content=(Refusal("no"),)),
            Message(role="assistant", content=(Refusal("never"),)),
        ),
    ),
    Accepted(
        "a legacy function call and its result",
        (
            USER,
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "f", "arguments": "{}"},
            },
            {"role": "function", "name": "f", "content": "23"},
        ),
        (
            text_message("user", "hi"),
            Message(
                role="assistant",
                tool_calls=(ToolCall(id="call_legacy_1", name="f", arguments="{}"),),
            ),
            Message(role="tool", content=(Text("23"),), name="f", tool_call_id="call_legacy_1"),
        ),
    ),
    Accepted("a NUL", ({"role": "user", "content": "\0"},), (text_message("user", "\0"),)),
]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_a_conversation_keeps_its_messages_roles_and_places(case: Accepted) -> None:
    assert parsed(*case.messages) == case.expected


def test_a_message_object_of_the_sdk_can_be_appended_to_a_conversation_as_it_is() -> None:
    echoed = ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": "x", "annotations": [], "reasoning_content": "r"}
    )
    assert parsed(USER, echoed, USER)[1] == text_message("assistant", "x")


def test_the_caller_s_payload_is_not_changed() -> None:
    payload = {"model": "m", "messages": (USER,)}
    parse(payload)
    assert payload == {"model": "m", "messages": (USER,)}
