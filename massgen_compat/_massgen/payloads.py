"""What MassGen and a model send each other, on both wires: read, extended and written. Pure.

A request of MassGen is read for its purpose. MassGen's phases show in the tools that it offers
(``new_answer`` and ``vote``, ``vote`` alone, ``new_answer`` alone) and in the answers that it
quotes. A reply is passed on as MassGen wants to read it: MassGen reads attributes of the SDK's
objects, and ``Fields`` gives JSON that look, at a much lower cost than the SDK's own models.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from massgen_compat._run.message import Json, ToolCall
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Phase, Reply
from massgen_compat._upstream.chat_messages import wire_call
from massgen_compat._upstream.tolerant import mapping, sequence, string

DECISIONS: Final = ("new_answer", "vote")
_ANSWER: Final = re.compile(r"^<(agent\d+)\.\d+>", re.MULTILINE)
_ANSWERS: Final = "<CURRENT ANSWERS from the agents>"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPurpose:
    """What a model call of MassGen is for.

    ``shown`` are the labels of the answers that it quotes, ``offered`` the workflow tools among its
    tools. ``coordinates`` is false for the presentation, and for calls that MassGen makes for
    itself, such as summaries.
    """

    phase: Phase
    shown: tuple[str, ...]
    offered: frozenset[str]
    coordinates: bool


def read_purpose(api: Api, body: Json, *, presents: bool, answered: Collection[str]) -> CallPurpose:
    """Read the purpose of a request body.

    ``presents``: the agent was selected to present. ``answered`` are the labels of the agents that
    have an answer. Other labels are ignored: an answer may quote what looks like another one.
    """
    offered = frozenset(tool_name(tool) for tool in sequence(body.get("tools"))) & set(DECISIONS)
    shown = tuple(label for label in _labels(api, body) if label in answered)
    if presents:
        phase = Phase.PRESENT
    else:
        phase = Phase.EVALUATE if shown or offered == frozenset({"vote"}) else Phase.DRAFT
    return CallPurpose(
        phase=phase, shown=shown, offered=offered, coordinates=bool(offered) and not presents
    )


def tool_name(tool: object) -> str:
    """The name of a function tool, in the shape of either wire."""
    fields = mapping(tool)
    return string(mapping(fields.get("function")).get("name")) or string(fields.get("name"))


def messages_key(api: Api) -> str:
    """The key of a request body that has the conversation."""
    return "messages" if api == "chat" else "input"


def said_to(api: Api, body: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The body with one more message of the user at the end of its conversation."""
    key = messages_key(api)
    return {**body, key: [*cast("list[Any]", body[key]), {"role": "user", "content": text}]}


def _labels(api: Api, body: Json) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for raw in sequence(body.get(messages_key(api))):
        message = mapping(raw)
        text = _text(message.get("content"))
        if message.get("role") == "user" and _ANSWERS in text:
            found = dict.fromkeys(_ANSWER.findall(text[text.index(_ANSWERS) :]))
    return tuple(found)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(string(mapping(part).get("text")) for part in sequence(content))


# Replies


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
        """The value of a key, as a mapping gives it."""
        return _viewed(self._data.get(key, default))

    def model_dump(self, **_: Any) -> Json:
        """The plain data; the SDK's objects have a method of this name."""
        return self._data


def _viewed(value: Any) -> Any:
    if isinstance(value, dict):
        return Fields(cast("Json", value))
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [Fields(cast("Json", item)) if isinstance(item, dict) else item for item in items]
    return value


def is_text(api: Api, payload: Json) -> bool:
    """Whether a payload is a piece of text or of reasoning, and nothing else."""
    if api == "responses":
        kind = string(payload.get("type"))
        return kind.endswith(".delta") and "function_call" not in kind and "custom_tool" not in kind
    choices = [mapping(choice) for choice in sequence(payload.get("choices"))]
    if not choices or any(choice.get("finish_reason") for choice in choices):
        return False
    return not any(mapping(choice.get("delta")).get("tool_calls") for choice in choices)


def closing(api: Api, reply: Reply, calls: Sequence[ToolCall]) -> Iterator[Json]:
    """The payloads that end a reply whose text was passed on already: ``calls``, then its end.

    They have no usage, because the meter has counted it already.
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
