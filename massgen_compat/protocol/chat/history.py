"""The messages of a request as a conversation. Nothing is flattened, dropped or reordered.

The legacy ``function_call`` and its result become a tool call and its result, with a made-up id.
The order of the messages is checked here: every result has its call, every call has its result.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final, assert_never

from massgen_compat._run.message import Audio, File, Image, Message, Part, Refusal, Text, ToolCall
from massgen_compat.errors import InvalidRequest, UnsupportedParameter
from massgen_compat.protocol.body import shorten
from massgen_compat.protocol.chat.messages import (
    AssistantMessage,
    AudioPart,
    CustomToolCall,
    DeveloperMessage,
    FilePart,
    FunctionMessage,
    FunctionToolCall,
    ImagePart,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
    WireMessage,
    WirePart,
)


def conversation(
    messages: Sequence[WireMessage], custom_tools: Collection[str] = ()
) -> tuple[Message, ...]:
    """The messages as the library's own ``Message`` values.

    ``custom_tools`` are the names of tools whose calls hold free text, also where the client sends
    such a call back as one of a function. Raises ``InvalidRequest``, with the index of the message,
    for a message that is out of place or lacks content, and ``UnsupportedParameter`` for audio.
    """
    conversed: list[Message] = []
    legacy_call: str | None = None
    for index, message in enumerate(messages):
        match message:
            case AssistantMessage():
                legacy_call = f"call_legacy_{index}" if message.function_call else None
                conversed.append(_assistant(message, index, legacy_call, custom_tools))
            case FunctionMessage():
                conversed.append(_function_result(message, index, legacy_call))
                legacy_call = None
            case _:
                conversed.append(_plain(message, index))
    _check_order(conversed)
    return tuple(_with_short_ids(message) for message in conversed)


def _plain(
    message: SystemMessage | DeveloperMessage | UserMessage | ToolMessage, index: int
) -> Message:
    if message.content is None and not isinstance(message, ToolMessage):
        raise _no_content(index)
    return Message(
        role=message.role,
        content=_parts(message.content or ""),
        name=message.name,
        tool_call_id=message.tool_call_id if isinstance(message, ToolMessage) else None,
    )


def _assistant(
    message: AssistantMessage, index: int, legacy_call: str | None, custom_tools: Collection[str]
) -> Message:
    if message.audio is not None:
        raise UnsupportedParameter(
            f"Unsupported parameter: 'messages[{index}].audio' is not supported here: "
            "a team answers in text only.",
            param=f"messages[{index}].audio",
        )
    calls = [_call(call, custom_tools) for call in message.tool_calls or ()]
    if message.function_call and legacy_call:
        called = message.function_call
        calls.append(ToolCall(id=legacy_call, name=called.name, arguments=called.arguments))
    refusal = (Refusal(message.refusal),) if message.refusal else ()
    return Message(
        role="assistant",
        content=_parts(message.content or "") + refusal,
        name=message.name,
        tool_calls=tuple(calls),
    )


def _call(call: FunctionToolCall | CustomToolCall, custom_tools: Collection[str]) -> ToolCall:
    if isinstance(call, CustomToolCall):
        called = call.custom
        return ToolCall(id=call.id, name=called.name, arguments=called.input, custom=True)
    name = call.function.name
    said = call.function.arguments
    return ToolCall(id=call.id, name=name, arguments=said, custom=name in custom_tools)


def _function_result(message: FunctionMessage, index: int, legacy_call: str | None) -> Message:
    if legacy_call is None:
        raise _misplaced(
            "messages with role 'function' must be a response to a preceeding message with "
            "'function_call'.",
            index,
        )
    return Message(
        role="tool",
        content=_parts(message.content or ""),
        name=message.name,
        tool_call_id=legacy_call,
    )


def _parts(content: str | Sequence[WirePart]) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(_part(part) for part in content)


def _part(part: WirePart) -> Part:
    match part:
        case TextPart():
            return Text(part.text)
        case RefusalPart():
            return Refusal(part.refusal)
        case ImagePart(image_url=image):
            return Image(url=image.url, detail=image.detail)
        case AudioPart(input_audio=audio):
            return Audio(data=audio.data, format=audio.format)
        case FilePart(file=file):
            return File(file_id=file.file_id, data=file.file_data, filename=file.filename)
        case _:
            assert_never(part)


LONGEST_ID: Final = 40
"""Characters. OpenAI refuses longer ids of calls, which other providers make."""


def _with_short_ids(message: Message) -> Message:
    if any(len(call.id) > LONGEST_ID for call in message.tool_calls):
        calls = (replace(call, id=_short_id(call.id)) for call in message.tool_calls)
        return replace(message, tool_calls=tuple(calls))
    if message.tool_call_id is not None and len(message.tool_call_id) > LONGEST_ID:
        return replace(message, tool_call_id=_short_id(message.tool_call_id))
    return message


def _short_id(given: str) -> str:
    """A short id instead of a long one. It is the same in every request."""
    if len(given) <= LONGEST_ID:
        return given
    digest = hashlib.blake2b(given.encode(errors="replace"), digest_size=16).hexdigest()
    return f"call_{digest}"


def _check_order(messages: Sequence[Message]) -> None:
    waiting: set[str] = set()
    answered: dict[str, int] = {}
    for index, message in enumerate(messages):
        if message.role == "tool" and message.tool_call_id is not None:
            _check_result(message.tool_call_id, index, waiting, answered)
            waiting.discard(message.tool_call_id)
            answered[message.tool_call_id] = index
            continue
        if waiting:
            raise _unanswered(waiting, index)
        answered = {}
        waiting = {call.id for call in message.tool_calls}
        if len(waiting) < len(message.tool_calls):
            raise _misplaced("the ids of the 'tool_calls' of a message must differ.", index)
    if waiting:
        raise _unanswered(waiting, len(messages) - 1)


def _check_result(call: str, index: int, waiting: set[str], answered: dict[str, int]) -> None:
    if call in answered:
        raise InvalidRequest(
            f"Invalid parameter: Duplicate value for 'tool_call_id' of '{shorten(call, 100)}', in "
            f"messages[{answered[call]}] and messages[{index}].",
            param=f"messages.[{index}].tool_call_id",
        )
    if call not in waiting:
        raise _misplaced(
            "messages with role 'tool' must be a response to a preceeding message with "
            "'tool_calls'.",
            index,
        )


def _misplaced(problem: str, index: int) -> InvalidRequest:
    return InvalidRequest(f"Invalid parameter: {problem}", param=f"messages.[{index}].role")


def _unanswered(waiting: set[str], index: int) -> InvalidRequest:
    """The error for calls without results; like the real API's it names the message after them."""
    ids = shorten(", ".join(sorted(waiting)[:10]), 300)
    return InvalidRequest(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each 'tool_call_id'. The following tool_call_ids did not have response messages: "
        f"{ids}",
        param=f"messages.[{index}].role",
    )


def _no_content(index: int) -> InvalidRequest:
    return InvalidRequest(
        "Invalid value for 'content': expected a string, got null.",
        param=f"messages.[{index}].content",
    )
