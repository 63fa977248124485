"""A body of the Responses API (``input``, ``instructions``, …) as one of Chat Completions. Pure.

Recognised by an ``input`` where ``messages`` should be. Sources: OpenAI's schema of the Responses
API for the items; public reports of what Cursor posts (gabrii/Cursor-Azure-GPT-5#69, litellm#34029,
codex-proxy#507) for which of them matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pydantic_core import to_json

from massgen_compat.errors import InvalidRequest, UnsupportedParameter
from massgen_compat.protocol.foreign.parts import chat_content, mapping
from massgen_compat.protocol.text import shorten
from massgen_compat.protocol.validation import ECHO_LIMIT, missing, too_long, type_name

_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_STORED: Final = ("previous_response_id", "conversation", "prompt")
"""What refers to something stored at OpenAI."""

MAX_ITEMS: Final = 8192
"""Several items can become one message, so these are more than there may be messages."""


def as_chat(payload: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[int, ...] | None]:
    """The body, and the place in ``input`` of each of its messages; ``None`` for a chat body.

    Raises ``InvalidRequest`` for items without their fields and for references to stored ones.
    """
    body = dict(payload)
    if body.get("messages") or body.get("input") is None:
        return _with_effort(body), None
    for name in _STORED:
        if body.pop(name, None) is not None:
            raise _unsupported(name, "nothing is stored here; send the whole conversation")
    if body.pop("background", None):
        raise _unsupported("background", "a run lasts as long as its request")
    history = _history(body.pop("input"))
    body.pop("messages", None)
    _rename(body, "max_output_tokens", "max_completion_tokens")
    text = mapping(body.pop("text", None))
    if text.get("verbosity") is not None:
        body.setdefault("verbosity", text["verbosity"])
    if mapping(text.get("format")):
        body.setdefault("response_format", _response_format(mapping(text["format"])))
    messages, origin = history.told()
    if (instructions := body.pop("instructions", None)) is not None:
        messages = [{"role": "system", "content": instructions}, *messages]
        origin = [0, *origin]
    return {**_with_effort(body), "messages": messages}, tuple(origin)


def _with_effort(body: dict[str, Any]) -> dict[str, Any]:
    """``reasoning: {effort}``, which Cursor sends at the top of chat bodies, too."""
    effort = mapping(body.get("reasoning")).get("effort")
    if effort is not None:
        body.pop("reasoning")
        body.setdefault("reasoning_effort", effort)
    return body


def _rename(body: dict[str, Any], name: str, chat_name: str) -> None:
    if name in body:
        body.setdefault(chat_name, body.pop(name))


def _response_format(given: Mapping[str, Any]) -> Mapping[str, Any]:
    if given.get("type") != "json_schema":
        return given
    return {"type": "json_schema", "json_schema": {k: v for k, v in given.items() if k != "type"}}


@dataclass
class _Group:
    """A message, its place in ``input``, and the results that stand behind it."""

    message: dict[str, Any]
    place: int
    results: list[tuple[dict[str, Any], int]] = field(
        default_factory=list[tuple[dict[str, Any], int]]
    )


@dataclass
class _History:
    """The messages so far. A result joins its call, wherever the body has it."""

    groups: list[_Group] = field(default_factory=list[_Group])
    calls: dict[str, _Group] = field(default_factory=dict[str, _Group])

    @property
    def last(self) -> dict[str, Any]:
        """The last message, an empty one where that is a result."""
        return self.groups[-1].message if self.groups and not self.groups[-1].results else {}

    def say(self, message: dict[str, Any], index: int) -> None:
        self.groups.append(_Group(message, index))

    def call(self, call: dict[str, Any], index: int) -> None:
        """Add a call to the message of the assistant that it belongs to."""
        if self.last.get("role") != "assistant" or not _takes_calls(self.last):
            self.say({"role": "assistant", "content": None}, index)
        self.last.setdefault("tool_calls", []).append(call)
        if isinstance(call["id"], str):
            self.calls[call["id"]] = self.groups[-1]

    def result(self, call_id: object, output: object, index: int) -> None:
        """Add a result behind its call and the results that it already has; else at the end."""
        message = {"role": "tool", "tool_call_id": call_id, "content": output}
        group = self.calls.get(call_id) if isinstance(call_id, str) else None
        if group is None:
            self.say(message, index)
        else:
            group.results.append((message, index))

    def told(self) -> tuple[list[dict[str, Any]], list[int]]:
        """The messages in their order, and the place of each."""
        told = [
            pair for group in self.groups for pair in ((group.message, group.place), *group.results)
        ]
        return [message for message, _ in told], [place for _, place in told]


def _takes_calls(message: Mapping[str, Any]) -> bool:
    """Whether a call can join the calls that the message has."""
    return "tool_calls" not in message or isinstance(message["tool_calls"], list)


def _history(given: object) -> _History:
    history = _History()
    if isinstance(given, str):
        history.say({"role": "user", "content": given}, 0)
        return history
    if not isinstance(given, list | tuple):
        raise InvalidRequest(
            "Invalid type for 'input': expected one of a string or array of input items, but got "
            f"{type_name(given)} instead.",
            param="input",
            code="invalid_type",
        )
    items = cast("Sequence[object]", given)
    if len(items) > MAX_ITEMS:
        raise too_long("input", MAX_ITEMS, len(items))
    for index, item in enumerate(items):
        _add(history, mapping(item), index)
    return history


def _add(history: _History, item: Mapping[str, Any], index: int) -> None:
    sort = item.get("type") or "message"
    match sort:
        case "message":
            _say(history, item, index)
        case "function_call" | "custom_tool_call":
            call = _call(item, f"input[{index}]", str(sort))
            history.call(call, index)
        case "function_call_output" | "custom_tool_call_output":
            needed = _required(item, f"input[{index}]", "call_id")
            history.result(needed["call_id"], _output(item.get("output")), index)
        case "reasoning" | "compaction":
            pass  # sealed by another provider
        case "item_reference" if str(item.get("id", "")).startswith("rs_"):
            pass
        case "item_reference":
            raise _unsupported(
                f"input[{index}].type", "nothing is stored here; send the item itself"
            )
        case str() if sort.endswith(("_call", "_call_output", "_list_tools")):
            pass  # a tool that the other provider ran itself; its message tells what came of it
        case _:
            raise InvalidRequest(
                f"Invalid value: '{shorten(str(sort), ECHO_LIMIT)}'. Supported values are: "
                "'message', 'function_call', 'function_call_output', 'custom_tool_call', "
                "'custom_tool_call_output', and 'reasoning'.",
                param=f"input[{index}].type",
                code="invalid_value",
            )


def _say(history: _History, item: Mapping[str, Any], index: int) -> None:
    message = {key: value for key, value in item.items() if key not in {"type", "id", "status"}}
    message["content"] = chat_content(item.get("content"))
    before = history.last
    if message.get("role") == "assistant" and before.get("tool_calls") and "tool_calls" not in item:
        before["content"] = _joined(before.get("content"), message["content"])
    else:
        history.say(message, index)


def _joined(said: object, more: object) -> object:
    """Text between calls of one reply, which stand in one message of Chat Completions."""
    if not said:
        return more
    return [*_as_parts(said), *_as_parts(more)]


def _as_parts(content: object) -> list[object]:
    if isinstance(content, list):
        return cast("list[object]", content)
    return [{"type": "text", "text": content}] if content else []


def _call(item: Mapping[str, Any], at: str, sort: str) -> dict[str, Any]:
    said = _CALLS[sort]
    needed = _required(item, at, "call_id", "name", said)
    if sort == "custom_tool_call":
        custom = {"name": needed["name"], "input": needed[said]}
        return {"id": needed["call_id"], "type": "custom", "custom": custom}
    function = {"name": needed["name"], "arguments": needed[said]}
    return {"id": needed["call_id"], "type": "function", "function": function}


def _required(item: Mapping[str, Any], at: str, *names: str) -> Mapping[str, Any]:
    for name in names:
        if item.get(name) is None:
            raise missing(f"{at}.{name}")
    return item


def _output(given: object) -> object:
    """A result: text, parts, or what a client put there as JSON."""
    return to_json(given).decode() if isinstance(given, dict) else chat_content(given)


def _unsupported(param: str, why: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"Unsupported parameter: '{param}' is not supported here: {why}.", param=param
    )
