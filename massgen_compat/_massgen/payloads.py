"""What a model sends, as MassGen wants to read it, on both wires. Pure.

MassGen reads attributes of the SDK's objects; ``Fields`` gives JSON that look, much cheaper than
the SDK's models do (and as MassGen's own websocket transport does it).
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from massgen_compat._run.message import Json, ToolCall
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Reply
from massgen_compat._upstream.chat_messages import wire_call
from massgen_compat._upstream.tolerant import mapping, sequence, string


class Fields:
    """A JSON object whose keys are attributes; a missing one is an ``AttributeError``."""

    def __init__(self, data: Json) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._data:
            raise AttributeError(name)
        return _viewed(self._data[name])

    def __getitem__(self, key: str) -> Any:
        return _viewed(self._data[key])

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __bool__(self) -> bool:
        return bool(self._data)

    def get(self, key: str, default: Any = None) -> Any:
        """As of a mapping."""
        return _viewed(self._data.get(key, default))

    def model_dump(self, **_: Any) -> Json:
        """As of the SDK's objects: the plain data."""
        return self._data


def _viewed(value: Any) -> Any:
    if isinstance(value, dict):
        return Fields(cast("Json", value))
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [Fields(cast("Json", item)) if isinstance(item, dict) else item for item in items]
    return value


def is_text(api: Api, payload: Json) -> bool:
    """Whether a payload is a piece of text or reasoning and nothing else."""
    if api == "responses":
        kind = string(payload.get("type"))
        return kind.endswith(".delta") and "function_call" not in kind and "custom_tool" not in kind
    choices = [mapping(choice) for choice in sequence(payload.get("choices"))]
    if not choices or any(choice.get("finish_reason") for choice in choices):
        return False
    return not any(mapping(choice.get("delta")).get("tool_calls") for choice in choices)


def closing(api: Api, reply: Reply, calls: Sequence[ToolCall]) -> Iterator[Json]:
    """The end of a reply whose text was passed on already: its calls, its end, no usage.

    Usage is counted where the reply came from.
    """
    if api == "chat":
        yield from _chat_closing(calls, reply)
    else:
        yield from _responses_closing(calls, reply)


def _chat_closing(calls: Sequence[ToolCall], reply: Reply) -> Iterator[Json]:
    def choice(delta: Json, finish: str | None) -> Json:
        chosen = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"object": "chat.completion.chunk", "model": reply.model, "choices": [chosen]}

    if calls:
        wire = [{"index": index, **wire_call(call)} for index, call in enumerate(calls)]
        yield choice({"tool_calls": wire}, None)
    finish = "length" if reply.finish_reason == "length" else "stop"
    yield choice({}, "tool_calls" if calls else finish)


def _responses_closing(calls: Sequence[ToolCall], reply: Reply) -> Iterator[Json]:
    items: list[Json] = [item for item in reply.items if item.get("type") != "function_call"]
    for index, call in enumerate(calls, start=len(items)):
        item = {
            "type": "function_call",
            "id": f"fc_{call.id}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        where = {"output_index": index, "item_id": item["id"]}
        added = {**item, "arguments": "", "status": "in_progress"}
        yield {"type": "response.output_item.added", "output_index": index, "item": added}
        said = {"type": "response.function_call_arguments.delta", **where}
        yield {**said, "delta": call.arguments}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
        items.append(item)
    response = {"id": "resp", "object": "response", "model": reply.model, "output": items}
    yield {"type": "response.completed", "response": {**response, "status": "completed"}}
