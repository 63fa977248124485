"""Messages on the wire of Chat Completions: they are written, and tool calls are read. Pure.

A content of text alone is written as one string, because many servers accept nothing else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, assert_never

from pydantic_core import to_json

from massgen_compat._run.message import (
    Audio,
    File,
    Image,
    Json,
    Message,
    Part,
    Refusal,
    Text,
    ToolCall,
)
from massgen_compat._run.turn import CallPiece
from massgen_compat._upstream.tolerant import count, mapping, string
from massgen_compat.errors import UpstreamMalformed

_OF_REPLIES: Final = frozenset(
    {"annotations", "audio", "function_call", "reasoning", "reasoning_content"}
)
"""Fields of a reply that are not sent back. DeepSeek refuses ``reasoning_content`` (its docs)."""


def chat_messages(messages: Iterable[Message]) -> Iterator[dict[str, Any]]:
    """The conversation as the value of ``messages``.

    On this wire the result of a tool is text. Its other parts, such as images, follow in a message
    of the user, after the results that answer the same message.
    """
    shown: list[Part] = []
    for message in messages:
        if message.role != "tool" and shown:
            yield chat_message(Message(role="user", content=tuple(shown)))
            shown = []
        if message.role == "tool":
            others = tuple(part for part in message.content if not isinstance(part, Text))
            if others:
                shown += [Text(_SHOWN_BELOW.format(call=message.tool_call_id)), *others]
                texts = tuple(part for part in message.content if isinstance(part, Text))
                message = replace(message, content=(*texts, Text(_SEE_BELOW)))  # noqa: PLW2901
        yield chat_message(message)
    if shown:
        yield chat_message(Message(role="user", content=tuple(shown)))


_SEE_BELOW: Final = "[The rest of this result is not text; it follows in the next user message.]"
_SHOWN_BELOW: Final = "[From the result of the tool call {call}:]"


def chat_message(message: Message) -> dict[str, Any]:
    """One message. A reply of the same provider is sent back as it came."""
    if message.items:
        return replayed(message.items[0])
    sent: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.name is not None:
        sent["name"] = message.name
    if message.tool_call_id is not None:
        sent["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        sent["tool_calls"] = [wire_call(call) for call in message.tool_calls]
    return sent


def wire_call(call: ToolCall) -> dict[str, Any]:
    """An entry of ``tool_calls``."""
    if call.custom:
        custom = {"name": call.name, "input": call.arguments}
        return {"id": call.id, "type": "custom", "custom": custom}
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def replayed(item: Json) -> dict[str, Any]:
    """A provider's message as it is sent back: without nulls, and fields that only replies have.

    ``content`` stays also where it is null.
    """
    return {
        name: value
        for name, value in item.items()
        if name not in _OF_REPLIES and (value is not None or name == "content")
    }


def _content(message: Message) -> str | list[dict[str, Any]] | None:
    parts = message.content
    if not parts and message.tool_calls:
        return None
    if all(isinstance(part, Text) for part in parts):
        return "\n\n".join(part.text for part in parts if isinstance(part, Text))
    return [_part(part) for part in parts]


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Refusal(text):
            return {"type": "refusal", "refusal": text}
        case Image(url, detail):
            image = {"url": url} if detail is None else {"url": url, "detail": detail}
            return {"type": "image_url", "image_url": image}
        case Audio(data, kind):
            return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
        case File():
            fields = {
                "file_id": part.file_id,
                "file_data": part.data,
                "filename": part.filename,
            }
            return {"type": "file", "file": {k: v for k, v in fields.items() if v is not None}}
        case _:
            assert_never(part)


@dataclass(slots=True)
class _Call:
    """A call while it is written. ``given`` is its id as the provider sent it, ``id`` the one that
    is used; ``extra`` has the fields that a provider adds."""

    index: int
    given: str = ""
    id: str = ""
    name: str = ""
    custom: bool = False
    arguments: list[str] = field(default_factory=list[str])
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    def made(self) -> ToolCall:
        """The call as it stands now."""
        said = "".join(self.arguments)
        return ToolCall(id=self.id, name=self.name, arguments=said, custom=self.custom)


class CallAssembly:
    """Puts the tool calls of one message together, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_number: dict[int, _Call] = {}

    def feed(self, fragment: Json) -> Iterator[CallPiece]:
        """Add a fragment. Its pieces are given as soon as the call has a name."""
        custom = mapping(fragment.get("custom"))
        called = custom or mapping(fragment.get("function"))
        given, name = string(fragment.get("id")), string(called.get("name"))
        call = self._call(count(fragment.get("index")), given, name)
        call.custom = call.custom or bool(custom)
        arguments = _text(called.get("input" if custom else "arguments"))
        call.arguments.append(arguments)
        call.given = call.given or given
        call.extra |= {
            key: value
            for key, value in fragment.items()
            if value is not None and key not in {"index", "id", "type", "function", "custom"}
        }
        if call.name:
            if arguments:
                yield CallPiece(call.index, arguments)
        elif name:
            call.name, call.id = name, call.given or f"call_{call.index}"
            yield CallPiece(call.index, "".join(call.arguments), id=call.id, name=name)

    def calls(self) -> tuple[ToolCall, ...]:
        """The finished calls. Raises ``UpstreamMalformed`` for one that never got a name."""
        if any(not call.name for call in self._calls):
            raise UpstreamMalformed("the provider sent a tool call without a name")
        return tuple(call.made() for call in self._calls)

    def wire(self) -> list[dict[str, Any]]:
        """The calls as they are sent back, with the fields that the provider has added: Gemini
        refuses calls without its ``extra_content``."""
        return [{**wire_call(call.made()), **call.extra} for call in self._calls]

    def _call(self, number: int | None, given: str, name: str) -> _Call:
        """The call that a fragment belongs to, or a new one."""
        if number is not None:
            call = self._by_number.get(number)
            if call is not None and not (given and call.given and name and given != call.given):
                return call
            self._by_number[number] = self._new()
            return self._by_number[number]
        if given:
            same = (call for call in self._calls if call.given == given)
            return next(same, None) or self._new()
        if self._calls and not name:
            return self._calls[-1]
        return self._new()

    def _new(self) -> _Call:
        call = _Call(len(self._calls))
        self._calls.append(call)
        return call


def _text(arguments: object) -> str:
    """The arguments as JSON text; some servers send the object itself."""
    return to_json(arguments).decode() if isinstance(arguments, dict) else string(arguments)
