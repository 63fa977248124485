"""Translates Anthropic's messages inside a chat body into messages of Chat Completions. Pure.

Cursor sends them for model names that contain ``claude`` (CLIProxyAPI#3805, dario#203): a tool call
is a ``tool_use`` block of the assistant, a result is a ``tool_result`` block of the user.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from pydantic_core import to_json

from massgen_compat.protocol.foreign.parts import chat_content, kind, mapping

_FAILED: Final = {"type": "text", "text": "[The tool reported an error.]"}


def as_chat(payload: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The body with its messages, ``system`` and ``stop_sequences`` in the form of chat.

    Also returns the paths that have changed, as ``BodyPlaces`` wants them.
    """
    body = dict(payload)
    given = body.get("messages")
    if not isinstance(given, list):
        return body, {}
    messages: list[object] = []
    places: dict[str, str] = {}
    if isinstance(body.get("system"), str | list):
        messages.append({"role": "system", "content": chat_content(body.pop("system"))})
        places["messages[0]"] = places["messages[0].content"] = "system"
    for index, message in enumerate(cast("list[object]", given)):
        for place, each in _messages(message, f"messages[{index}]"):
            if place != f"messages[{len(messages)}]":
                places[f"messages[{len(messages)}]"] = place
            messages.append(each)
    if "stop_sequences" in body:
        body.setdefault("stop", body.pop("stop_sequences") or None)
        places["stop"] = "stop_sequences"
    return {**body, "messages": messages}, places


def _messages(message: object, place: str) -> Iterator[tuple[str, object]]:
    """What one message becomes, each with its path in the body.

    A message with results becomes a message for each of them, and one for the rest, if any.
    """
    given = mapping(message)
    content = given.get("content")
    if not isinstance(content, list):
        yield place, message
        return
    blocks = cast("list[object]", content)
    kinds = {kind(block) for block in blocks}
    if given.get("role") == "assistant" and "tool_use" in kinds:
        yield place, _calling(given, blocks)
    elif given.get("role") in {"user", "tool"} and "tool_result" in kinds:
        made = given.get("tool_call_id")
        for index, block in enumerate(blocks):
            if kind(block) == "tool_result":
                yield f"{place}.content[{index}]", _result(mapping(block), made)
        if said := [block for block in blocks if kind(block) != "tool_result"]:
            yield place, {**given, "role": "user", "content": chat_content(said)}
    else:
        yield place, {**given, "content": chat_content(blocks)}


def _calling(message: Mapping[str, Any], blocks: list[object]) -> dict[str, Any]:
    calls = [_call(mapping(block)) for block in blocks if kind(block) == "tool_use"]
    said = [block for block in blocks if kind(block) != "tool_use"]
    known = cast("list[object]", message.get("tool_calls") or [])
    return {**message, "content": chat_content(said) or None, "tool_calls": [*known, *calls]}


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    given = block.get("input")
    arguments = given if isinstance(given, str) else to_json(given or {}).decode()
    function = {"name": block.get("name"), "arguments": arguments}
    return {"id": block.get("id"), "type": "function", "function": function}


def _result(block: Mapping[str, Any], made: object) -> dict[str, Any]:
    content = chat_content(block.get("content"))
    if block.get("is_error"):
        said = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        content = [_FAILED, *cast("list[object]", said)]
    return {"role": "tool", "tool_call_id": block.get("tool_use_id", made), "content": content}
