"""Messages are written as input items of the Responses API. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, assert_never

from massgen_compat._run.message import Audio, File, Image, Json, Message, Part, Refusal, Text
from massgen_compat._upstream.tolerant import string

CALLS: Final = frozenset({"function_call", "custom_tool_call"})
"""The types of items that are calls of the caller's tools."""


def input_items(messages: Iterable[Message]) -> Iterator[dict[str, Any]]:
    """The conversation as the value of ``input``. A reply of the same provider is sent back as it
    came, see ``replayed``."""
    custom: set[str] = set()
    for message in messages:
        custom.update(call.id for call in message.tool_calls if call.custom)
        if message.items:
            yield from replayed(message.items)
        elif message.role == "tool":
            made = message.tool_call_id or ""
            kind = "custom_tool_call_output" if made in custom else "function_call_output"
            yield {"type": kind, "call_id": made, "output": _output(message.content)}
        elif message.role == "assistant":
            yield from _assistant(message)
        else:
            yield {"role": message.role, "content": [_input_part(part) for part in message.content]}


def replayed(items: Iterable[Json]) -> Iterator[dict[str, Any]]:
    """The items of a reply, as they are sent back: verbatim and in order, ``phase`` included.

    There are three exceptions, all of them on record:

    - Nulls, and the empty ``content`` of a reasoning item, are left out.
    - If a reasoning item came without its encrypted content, the provider cannot find it again,
      because ``store`` is false, and refuses the ids of items that belong to it. Then only calls
      and messages are sent, without their ids.
    - Reasoning that nothing follows, as in a reply that was cut short, is left out: the provider
      refuses it ("without its required following item").
    """
    given = tuple(items)
    while given and _is_reasoning(given[-1]):
        given = given[:-1]
    whole = all(item.get("encrypted_content") for item in given if _is_reasoning(item))
    for item in given:
        sent = {name: value for name, value in item.items() if value is not None}
        if _is_reasoning(item) and not sent.get("content"):
            sent.pop("content", None)
        if whole:
            yield sent
        elif item.get("type") in {"message", *CALLS}:
            sent.pop("id", None)
            yield sent


def _is_reasoning(item: Json) -> bool:
    return string(item.get("type")) == "reasoning"


def _assistant(message: Message) -> Iterator[dict[str, Any]]:
    said = [part for part in message.content if isinstance(part, Text | Refusal)]
    if any(isinstance(part, Refusal) for part in said):
        content = [_output_part(part) for part in said]
        yield {"type": "message", "role": "assistant", "status": "completed", "content": content}
    elif said or not message.tool_calls:
        text = "\n\n".join(part.text for part in said)
        yield {"role": "assistant", "content": text}
    for call in message.tool_calls:
        kind, said = (
            ("custom_tool_call", "input") if call.custom else ("function_call", "arguments")
        )
        yield {"type": kind, "call_id": call.id, "name": call.name, said: call.arguments}


def _output(content: Sequence[Part]) -> str | list[dict[str, Any]]:
    """The result of a tool: one string, or a list of parts if it has more than text."""
    if all(isinstance(part, Text) for part in content):
        return "\n\n".join(part.text for part in content if isinstance(part, Text))
    return [_input_part(part) for part in content]


def _output_part(part: Text | Refusal) -> dict[str, Any]:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    return {"type": "output_text", "text": part.text, "annotations": []}


def _input_part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text) | Refusal(text):
            return {"type": "input_text", "text": text}
        case Image(url, detail):
            sent = {"type": "input_image", "image_url": url}
            return sent if detail is None else {**sent, "detail": detail}
        case Audio(data, kind):
            return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
        case File():
            fields = {
                "file_id": part.file_id,
                "file_data": part.data,
                "filename": part.filename,
            }
            return {"type": "input_file", **{k: v for k, v in fields.items() if v is not None}}
        case _:
            assert_never(part)
