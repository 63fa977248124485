"""Reads a request in OpenAI's wire format, of both APIs, as messages and tools. Pure.

It reads what a script needs to know and is lenient about everything else: it does not prove that
the real API would accept a request. It skips images, audio and files.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, cast, get_args

from pydantic_core import from_json

from massgen_compat._run.message import (
    Json,
    Message,
    Part,
    Role,
    Text,
    Tool,
    ToolCall,
    text_message,
)
from massgen_compat._run.team import Api
from massgen_compat.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """A request: its ``body`` as it came, and what a script sees of it."""

    api: Api
    model: str
    stream: bool
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    body: Json = field(hash=False)


def read_request(api: Api, raw: bytes) -> WireRequest:
    """Read the body of a request. Raises ``InvalidRequest`` where OpenAI answers 400."""
    body = _body(raw)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("you must provide a model parameter")
    messages = _chat_messages(body) if api == "chat" else _responses_messages(body)
    return WireRequest(
        api=api,
        model=model,
        stream=body.get("stream") is True,
        messages=tuple(messages),
        tools=tuple(_tools(body)),
        body=body,
    )


def _body(raw: bytes) -> dict[str, Any]:
    try:
        body = from_json(raw, allow_inf_nan=False)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise InvalidRequest("We could not parse the JSON body of your request.")
    return cast("dict[str, Any]", body)


def _objects(body: Json, key: str, *, required: bool = False) -> list[Json]:
    value: object = body.get(key)
    if value is None and required:
        raise InvalidRequest(
            f"Missing required parameter: '{key}'.", param=key, code="missing_required_parameter"
        )
    items = cast("Sequence[object]", value or ())
    if not isinstance(items, list | tuple) or not all(isinstance(item, dict) for item in items):
        raise InvalidRequest(
            f"Invalid type for '{key}': expected an array of objects.",
            param=key,
            code="invalid_type",
        )
    return cast("list[Json]", items)


# Chat Completions


def _chat_messages(body: Json) -> Iterator[Message]:
    messages = _objects(body, "messages", required=True)
    if not messages:
        raise InvalidRequest(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            param="messages",
            code="empty_array",
        )
    return map(_chat_message, messages, range(len(messages)))


def _chat_message(message: Json, index: int) -> Message:
    return Message(
        role=_role(message.get("role"), f"messages[{index}].role"),
        content=_parts(message.get("content")),
        tool_calls=tuple(map(_chat_call, _objects(message, "tool_calls"))),
        tool_call_id=_string(message.get("tool_call_id")) or None,
    )


def _chat_call(call: Json) -> ToolCall:
    custom = _mapping(call.get("custom"))
    called = custom or _mapping(call.get("function"))
    return ToolCall(
        id=_string(call.get("id")),
        name=_string(called.get("name")),
        arguments=_string(called.get("input" if custom else "arguments")),
        custom=bool(custom),
    )


# Responses


def _responses_messages(body: Json) -> Iterator[Message]:
    instructions = _string(body.get("instructions"))
    if instructions:
        yield text_message("system", instructions)
    if isinstance(body.get("input"), str):
        yield text_message("user", body["input"])
        return
    items = [
        _item(item, index) for index, item in enumerate(_objects(body, "input", required=True))
    ]
    for role, group in groupby(items, key=lambda message: message.role):
        messages = list(group)
        yield from [_joined(messages)] if role == "assistant" else messages


def _joined(items: Sequence[Message]) -> Message:
    """The items of one reply as one message: on this wire text and calls are separate items."""
    return Message(
        role="assistant",
        content=tuple(part for item in items for part in item.content),
        tool_calls=tuple(call for item in items for call in item.tool_calls),
    )


def _item(item: Json, index: int) -> Message:
    match item.get("type", "message"):
        case "message":
            role = _role(item.get("role"), f"input[{index}].role")
            return Message(role=role, content=_parts(item.get("content")))
        case "function_call" | "custom_tool_call" as kind:
            custom = kind == "custom_tool_call"
            call = ToolCall(
                id=_string(item.get("call_id")),
                name=_string(item.get("name")),
                arguments=_string(item.get("input" if custom else "arguments")),
                custom=custom,
            )
            return Message(role="assistant", tool_calls=(call,))
        case "function_call_output" | "custom_tool_call_output":
            content = _parts(item.get("output"))
            return Message(
                role="tool", content=content, tool_call_id=_string(item.get("call_id")) or None
            )
        case _:
            return Message(role="assistant")


# Both


_ROLES: Mapping[str, Role] = {role: role for role in get_args(Role)}


def _role(value: object, param: str) -> Role:
    role = _ROLES.get(value) if isinstance(value, str) else None
    if role is None:
        raise InvalidRequest(
            f"Invalid value for '{param}'. Supported values are: {', '.join(_ROLES)}.",
            param=param,
            code="invalid_value",
        )
    return role


def _parts(content: object) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),) if content else ()
    parts = cast("Sequence[object]", content) if isinstance(content, list) else ()
    texts = (_string(_mapping(part).get("text")) for part in parts)
    return tuple(Text(text) for text in texts if text)


def _tools(body: Json) -> Iterator[Tool]:
    """The caller's tools. Chat Completions has their fields one level deeper than Responses."""
    for tool in _objects(body, "tools"):
        kind = tool.get("type")
        if kind not in {"function", "custom"}:
            continue
        fields = _mapping(tool.get(kind)) or tool
        yield Tool(
            name=_string(fields.get("name")),
            description=_string(fields.get("description")),
            parameters=_mapping(fields.get("parameters")),
            strict=fields.get("strict") is True,
            input_format=_mapping(fields.get("format")) if kind == "custom" else None,
        )


def _mapping(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
