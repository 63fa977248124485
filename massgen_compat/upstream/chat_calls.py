"""Tool calls of Chat Completions, put together from their fragments. Pure.

OpenAI numbers its fragments; other providers number all calls 0, repeat the id in every fragment,
send calls whole and without a number, or leave ids out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from massgen_compat.errors import UpstreamMalformed
from massgen_compat.message import Json, ToolCall
from massgen_compat.turn import CallPiece
from massgen_compat.upstream.chat_messages import wire_call
from massgen_compat.upstream.tolerant import count, mapping, string


@dataclass(slots=True)
class _Call:
    """``given`` is the id as the provider sent it, ``id`` the one that the call goes by."""

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
    """The calls of one message, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_number: dict[int, _Call] = {}

    def feed(self, fragment: Json) -> Iterator[CallPiece]:
        """The next fragment. A call is told of as soon as it has a name."""
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
        """The calls to be sent back, with what a provider adds (Gemini refuses calls without its
        ``extra_content``)."""
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
    """Arguments are JSON text; some servers send the object itself."""
    return to_json(arguments).decode() if isinstance(arguments, dict) else string(arguments)
