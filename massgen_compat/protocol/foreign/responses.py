"""Translates a body of the Responses API (``input``, ``instructions``, …) into a chat body. Pure.

Such a body has an ``input`` and no ``messages``. The items follow OpenAI's schema of the Responses
API; which of them are translated follows from public reports of what Cursor posts
(gabrii/Cursor-Azure-GPT-5#69, litellm#34029, codex-proxy#507).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from pydantic_core import to_json

from massgen_compat.errors import InvalidRequest, UnsupportedParameter
from massgen_compat.protocol.body import shorten
from massgen_compat.protocol.foreign.parts import chat_content, mapping
from massgen_compat.protocol.validation import ECHO_LIMIT, missing, too_long, type_name

_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_STORED: Final = ("previous_response_id", "conversation", "prompt")
"""Parameters that refer to something stored at OpenAI."""

MAX_ITEMS: Final = 8192
"""More than there may be messages, since several items can become one message."""


def as_chat(payload: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The body as a chat body, and the paths that have changed, as ``BodyPlaces`` wants them.

    Raises ``InvalidRequest`` for items that lack a field, and for references to stored items.
    """
    body = dict(payload)
    places: dict[str, str] = {}
    if body.get("messages") or body.get("input") is None:
        return _with_effort(body, places), places
    for name in _STORED:
        if body.pop(name, None) is not None:
            raise _unsupported(name, "nothing is stored here; send the whole conversation")
    if body.pop("background", None):
        raise _unsupported("background", "a run lasts as long as its request")
    history = _history(body.pop("input"))
    body.pop("messages", None)
    _rename(body, places, "max_output_tokens", "max_completion_tokens")
    text = mapping(body.pop("text", None))
    if text.get("verbosity") is not None and "verbosity" not in body:
        body["verbosity"] = text["verbosity"]
        places["verbosity"] = "text.verbosity"
    if mapping(text.get("format")) and "response_format" not in body:
        body["response_format"] = _response_format(mapping(text["format"]))
        places["response_format"] = places["response_format.json_schema"] = "text.format"
    messages: list[dict[str, Any]] = []
    places["messages"] = "input"
    if (instructions := body.pop("instructions", None)) is not None:
        messages.append({"role": "system", "content": instructions})
        places["messages[0]"] = places["messages[0].content"] = "instructions"
    for message, paths in history.told():
        now = f"messages[{len(messages)}]"
        places |= {f"{now}{below}": sent for below, sent in paths.items()}
        messages.append(message)
    return {**_with_effort(body, places), "messages": messages}, places


def _with_effort(body: dict[str, Any], places: dict[str, str]) -> dict[str, Any]:
    """The body with ``reasoning: {effort}``, which Cursor also puts into chat bodies, renamed."""
    effort = mapping(body.get("reasoning")).get("effort")
    if effort is not None:
        body.pop("reasoning")
        if "reasoning_effort" not in body:
            body["reasoning_effort"] = effort
            places["reasoning_effort"] = "reasoning.effort"
    return body


def _rename(body: dict[str, Any], places: dict[str, str], name: str, chat_name: str) -> None:
    if name not in body:
        return
    value = body.pop(name)
    if chat_name not in body:
        body[chat_name] = value
        places[chat_name] = name


def _response_format(given: Mapping[str, Any]) -> Mapping[str, Any]:
    if given.get("type") != "json_schema":
        return given
    return {"type": "json_schema", "json_schema": {k: v for k, v in given.items() if k != "type"}}


_Told: TypeAlias = tuple[dict[str, Any], dict[str, str]]
"""A message, and for paths inside it (``""`` is the message) the paths in the sent body."""


@dataclass
class _Group:
    """A message with its paths, and the results of its calls, which follow it."""

    message: dict[str, Any]
    paths: dict[str, str]
    results: list[_Told] = field(default_factory=list[_Told])


@dataclass
class _History:
    """The messages so far. A result is put behind its call, wherever it stands in the body."""

    groups: list[_Group] = field(default_factory=list[_Group])
    calls: dict[str, _Group] = field(default_factory=dict[str, _Group])

    @property
    def last(self) -> dict[str, Any]:
        """The last message; an empty one if results follow it."""
        return self.groups[-1].message if self.groups and not self.groups[-1].results else {}

    def say(self, message: dict[str, Any], at: str) -> None:
        """Add a message, which stands at the path ``at``."""
        self.groups.append(_Group(message, {"": at}))

    def call(self, call: dict[str, Any], at: str) -> None:
        """Add a call to the last message, if that can have it, or to a new one of the assistant."""
        if self.last.get("role") != "assistant" or not _takes_calls(self.last):
            message: dict[str, Any] = {"role": "assistant", "content": None}
            self.groups.append(_Group(message, {"": at, ".role": at}))
        calls, group = self.last.setdefault("tool_calls", []), self.groups[-1]
        own = f".tool_calls[{len(calls)}]"
        group.paths |= {own: at, f"{own}.{call['type']}": at, f"{own}.id": f"{at}.call_id"}
        calls.append(call)
        if isinstance(call["id"], str):
            self.calls[call["id"]] = group

    def result(self, call_id: object, output: object, at: str) -> None:
        """Add a result behind the message with its call; if there is no such call, at the end."""
        message = {"role": "tool", "tool_call_id": call_id, "content": output}
        paths = {"": at, ".role": at, ".tool_call_id": f"{at}.call_id", ".content": f"{at}.output"}
        group = self.calls.get(call_id) if isinstance(call_id, str) else None
        if group is None:
            self.groups.append(_Group(message, paths))
        else:
            group.results.append((message, paths))

    def told(self) -> list[_Told]:
        """All messages in order, each with its paths."""
        return [
            pair for group in self.groups for pair in ((group.message, group.paths), *group.results)
        ]


def _takes_calls(message: Mapping[str, Any]) -> bool:
    """Whether a call can join the calls that the message has."""
    return "tool_calls" not in message or isinstance(message["tool_calls"], list)


def _history(given: object) -> _History:
    history = _History()
    if isinstance(given, str):
        history.groups.append(
            _Group({"role": "user", "content": given}, {"": "input", ".content": "input"})
        )
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
        _add(history, mapping(item), f"input[{index}]")
    return history


def _add(history: _History, item: Mapping[str, Any], at: str) -> None:
    sort = item.get("type") or "message"
    match sort:
        case "message":
            _say(history, item, at)
        case "function_call" | "custom_tool_call":
            call = _call(item, at, str(sort))
            history.call(call, at)
        case "function_call_output" | "custom_tool_call_output":
            needed = _required(item, at, "call_id")
            history.result(needed["call_id"], _output(item.get("output")), at)
        case "reasoning" | "compaction":
            pass  # encrypted by another provider: nobody here can read it
        case "item_reference" if str(item.get("id", "")).startswith("rs_"):
            pass
        case "item_reference":
            raise _unsupported(f"{at}.type", "nothing is stored here; send the item itself")
        case str() if sort.endswith(("_call", "_call_output", "_list_tools")):
            pass  # a tool that the other provider ran; the message after it has the outcome
        case _:
            raise InvalidRequest(
                f"Invalid value: '{shorten(str(sort), ECHO_LIMIT)}'. Supported values are: "
                "'message', 'function_call', 'function_call_output', 'custom_tool_call', "
                "'custom_tool_call_output', and 'reasoning'.",
                param=f"{at}.type",
                code="invalid_value",
            )


def _say(history: _History, item: Mapping[str, Any], at: str) -> None:
    message = {key: value for key, value in item.items() if key not in {"type", "id", "status"}}
    message["content"] = chat_content(item.get("content"))
    before = history.last
    if message.get("role") == "assistant" and before.get("tool_calls") and "tool_calls" not in item:
        before["content"] = _joined(before.get("content"), message["content"])
    else:
        history.say(message, at)


def _joined(said: object, more: object) -> object:
    """Two contents as one: text between the calls of one reply belongs to one chat message."""
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
    """The content of a result. An object, which only some clients send, becomes JSON text."""
    return to_json(given).decode() if isinstance(given, dict) else chat_content(given)


def _unsupported(param: str, why: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"Unsupported parameter: '{param}' is not supported here: {why}.", param=param
    )
