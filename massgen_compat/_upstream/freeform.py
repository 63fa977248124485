"""Custom tools for models that know functions only: the free text is one string argument. Pure.

A request is changed into one whose tools are all functions, and the pieces of its reply are changed
back. So neither the modules of the wires nor the engine know of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic_core import from_json, to_json

from massgen_compat._run.message import Message, Tool, ToolCall
from massgen_compat._run.turn import CallPiece, Reply, TurnEvent, TurnRequest
from massgen_compat._upstream.tolerant import mapping

ARGUMENT: Final = "input"


def as_functions(request: TurnRequest) -> TurnRequest:
    """The same turn with functions of one string in place of its custom tools."""
    called = any(call.custom for message in request.messages for call in message.tool_calls)
    if not called and not any(tool.custom for tool in request.tools):
        return request
    return replace(
        request,
        tools=tuple(_function(tool) if tool.custom else tool for tool in request.tools),
        messages=tuple(map(_with_functions, request.messages)),
    )


def _function(tool: Tool) -> Tool:
    given = tool.input_format or {}
    argument: dict[str, Any] = {"type": "string"}
    if given.get("type") == "grammar":
        argument["description"] = (
            f"Text that follows this {given.get('syntax')} grammar:\n{given.get('definition')}"
        )
    schema = {
        "type": "object",
        "properties": {ARGUMENT: argument},
        "required": [ARGUMENT],
        "additionalProperties": False,
    }
    return Tool(name=tool.name, description=tool.description, parameters=schema)


def _with_functions(message: Message) -> Message:
    if not any(call.custom for call in message.tool_calls):
        return message
    return replace(message, tool_calls=tuple(map(_wrapped, message.tool_calls)))


def _wrapped(call: ToolCall) -> ToolCall:
    if not call.custom:
        return call
    arguments = to_json({ARGUMENT: call.arguments}).decode()
    return ToolCall(id=call.id, name=call.name, arguments=arguments)


class Unwrapper:
    """Changes calls of such functions back into calls with free text, while they are written.

    ``names`` are those of the custom tools.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._written: dict[int, str] = {}
        self._given: dict[int, str] = {}

    def feed(self, event: TurnEvent) -> Iterator[TurnEvent]:
        """The events for the engine in the place of this one."""
        match event:
            case CallPiece() if event.name in self._names or event.index in self._written:
                yield from self._piece(event)
            case Reply():
                calls = enumerate(event.tool_calls)
                yield from self._rests(event.tool_calls)
                yield replace(event, tool_calls=tuple(self._call(i, call) for i, call in calls))
            case _:
                yield event

    def _piece(self, piece: CallPiece) -> Iterator[CallPiece]:
        index = piece.index
        self._written[index] = self._written.get(index, "") + piece.arguments
        said = self._more(index, _input(self._written[index], whole=False))
        if said or piece.name:
            yield replace(piece, arguments=said)

    def _rests(self, calls: Sequence[ToolCall]) -> Iterator[CallPiece]:
        for index, call in enumerate(calls):
            if index in self._written and (rest := self._more(index, _unwrapped(call.arguments))):
                yield CallPiece(index, rest)

    def _more(self, index: int, text: str | None) -> str:
        given = self._given.setdefault(index, "")
        if text is None or not text.startswith(given):
            return ""
        self._given[index] = text
        return text[len(given) :]

    def _call(self, index: int, call: ToolCall) -> ToolCall:
        if call.name not in self._names:
            return call
        return replace(
            call, arguments=self._given.get(index, _unwrapped(call.arguments)), custom=True
        )


def _unwrapped(arguments: str) -> str:
    """The free text. Arguments in another shape than was asked for are taken as they are."""
    text = _input(arguments, whole=True)
    return arguments if text is None else text


def _input(arguments: str, *, whole: bool) -> str | None:
    try:
        value: object = from_json(
            arguments, allow_partial=False if whole else "trailing-strings", allow_inf_nan=True
        )
    except ValueError:
        return None
    text = mapping(value).get(ARGUMENT)
    return text if isinstance(text, str) else None
