"""The Responses API: a turn is written as a request body, and its events are read. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, TypeAlias

from massgen_compat._run.message import Json, NamedTool, Tool, ToolCall
from massgen_compat._run.result import FinishReason
from massgen_compat._run.team import Agent
from massgen_compat._run.turn import (
    CallPiece,
    HostedToolUsed,
    ReasoningPiece,
    RefusalPiece,
    Reply,
    TextPiece,
    TurnPiece,
    TurnRequest,
)
from massgen_compat._upstream.backends import BACKENDS
from massgen_compat._upstream.failures import failure
from massgen_compat._upstream.parameters import responses_params
from massgen_compat._upstream.responses_input import CALLS, input_items
from massgen_compat._upstream.tolerant import count, logprobs, mapping, sequence, string, usage
from massgen_compat.errors import MassGenError, UpstreamMalformed
from massgen_compat.policies import canonical

HOSTED_TOOLS: Final[dict[str, dict[str, Any]]] = {
    "web_search": {"type": "web_search"},
    "code_interpreter": {"type": "code_interpreter", "container": {"type": "auto"}},
}

REASONING_MODELS: Final = (
    ("gpt-5-chat*", False),
    ("gpt-5*", True),
    ("o[1-9]*", True),
    ("codex-*", True),
)
"""Whether a model has hidden reasoning, by patterns of canonical names. The first row that fits
counts, and a model that no row fits has none.

Only models that have it are asked for ``reasoning.encrypted_content``. Each recording of the family
that asks for it succeeds, also at effort ``none``. Others answer 400 "Encrypted content is not
supported with this model" (public issues name gpt-4o and gpt-4.1)."""


def body(request: TurnRequest, agent: Agent) -> dict[str, Any]:
    """The JSON body of one turn. Agent params win over those of the request (``parameters``).

    ``strict`` is always stated: where it is left out, Responses takes it for true (recorded).
    """
    tools = [*map(_tool, request.tools), *_hosted_tools(agent)]
    sent = responses_params(request.params, agent.params)
    sent |= {
        "model": agent.model,
        "input": list(input_items(request.messages)),
        "store": False,
    }
    if not request.whole:
        sent["stream"] = True
    if request.cache_key is not None:
        sent.setdefault("prompt_cache_key", request.cache_key)
    included = list(map(str, sequence(sent.pop("include", None))))
    if "reasoning" in sent or _keeps_reasoning(agent.model):
        included.append("reasoning.encrypted_content")
    if request.params.get("logprobs"):
        included.append("message.output_text.logprobs")
    if included:
        sent["include"] = list(dict.fromkeys(included))
    if not tools:
        sent.pop("parallel_tool_calls", None)
        return sent
    sent["tools"] = tools
    if request.tool_choice is not None:
        sent["tool_choice"] = _choice(request)
    if request.parallel_tool_calls is not None:
        sent["parallel_tool_calls"] = request.parallel_tool_calls
    return sent


def _tool(tool: Tool) -> dict[str, Any]:
    named: dict[str, Any] = {"name": tool.name, "description": tool.description}
    if tool.custom:
        return {"type": "custom", **named, "format": tool.input_format}
    return {"type": "function", **named, "parameters": tool.parameters, "strict": tool.strict}


def _choice(request: TurnRequest) -> object:
    choice = request.tool_choice
    if not isinstance(choice, NamedTool):
        return choice
    custom = any(tool.custom for tool in request.tools if tool.name == choice.name)
    return {"type": "custom" if custom else "function", "name": choice.name}


def _hosted_tools(agent: Agent) -> list[dict[str, Any]]:
    row = BACKENDS.get(agent.backend.type)
    offered = row.hosted_tools if row else ()
    return [dict(HOSTED_TOOLS[name]) for name in agent.backend.hosted_tools if name in offered]


def _keeps_reasoning(model: str) -> bool:
    name = canonical(model)
    return next((keeps for pattern, keeps in REASONING_MODELS if fnmatchcase(name, pattern)), False)


_Voice: TypeAlias = Literal["text", "refusal", "summary", "thought"]

_PIECES: Final = {
    "text": TextPiece,
    "refusal": RefusalPiece,
    "summary": ReasoningPiece,
    "thought": ReasoningPiece,
}
_DELTAS: Final[dict[str, tuple[_Voice, str]]] = {
    "response.output_text.delta": ("text", "content_index"),
    "response.refusal.delta": ("refusal", "content_index"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index"),
    "response.reasoning_text.delta": ("thought", "content_index"),
}
_PARTS: Final[dict[str, tuple[_Voice, str]]] = {
    "output_text": ("text", "text"),
    "refusal": ("refusal", "refusal"),
    "summary_text": ("summary", "text"),
    "reasoning_text": ("thought", "text"),
}
_CUT_BY: Final[dict[str, FinishReason]] = {"content_filter": "content_filter"}
"""Finish reasons by ``incomplete_details.reason``; all other reasons are limits of length."""


@dataclass(slots=True)
class _Call:
    index: int
    id: str
    name: str
    custom: bool
    arguments: list[str] = field(default_factory=list[str])


class ResponsesReplyParser:
    """Reads the events of one response, or the whole response of a server that does not stream.

    The pieces always add up to the reply: what an event repeats is not told twice, and what was in
    no delta is told when its item is done.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[_Voice, int, int], list[str]] = {}
        self._written: dict[type[TurnPiece], list[str]] = {}
        self._paragraph: dict[type[TurnPiece], tuple[int, int]] = {}
        self._calls: dict[int, _Call] = {}
        self._hosted: set[int] = set()
        self._items: dict[int, Json] = {}
        self._places: dict[str, int] = {}
        self._response: Json | None = None
        self._finish: FinishReason = "stop"

    @property
    def complete(self) -> bool:
        """Whether the response has ended properly. Nothing after it matters."""
        return self._response is not None

    @property
    def done(self) -> bool:
        """The same as ``complete``, because Responses has an event for its end."""
        return self.complete

    def feed(self, event: Json) -> Iterator[TurnPiece]:
        """The pieces of one event.

        Raises ``UpstreamError`` or ``ContextLengthExceeded`` for what the provider reports.
        """
        kind = string(event.get("type"))
        if self.complete:
            return
        if kind in _DELTAS:
            voice, part = _DELTAS[kind]
            place = self._place(event)
            tokens = logprobs(event.get("logprobs")) if voice == "text" else ()
            yield from self._say(
                voice, place, count(event.get(part)) or 0, event.get("delta"), tokens
            )
            return
        match kind:
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                yield from self._argue(self._place(event), string(event.get("delta")))
            case "response.output_item.added":
                yield from self._start(self._place(event), mapping(event.get("item")))
            case "response.output_item.done":
                yield from self._finish_item(self._place(event), mapping(event.get("item")))
            case (
                "response.completed"
                | "response.incomplete"
                | "response.failed"
                | "response.cancelled"
            ):
                status = kind.removeprefix("response.")
                yield from self._end(mapping(event.get("response")), status)
            case "error":
                raise failure(event.get("error") or event)
            case "" if event.get("error"):
                raise failure(event.get("error"))
            case "" if "output" in event:
                yield from self._end(event, string(event.get("status")) or "completed")
            case _:
                pass

    def finish(self) -> Reply:
        """The reply. Raises ``UpstreamMalformed`` if the response was cut before its end."""
        if self._response is None:
            raise UpstreamMalformed("the provider's stream ended before the response was complete")
        calls = tuple(
            ToolCall(
                id=call.id,
                name=call.name,
                arguments="".join(call.arguments),
                custom=call.custom,
            )
            for call in self._calls.values()
        )
        finish = "tool_calls" if calls and self._finish == "stop" else self._finish
        return Reply(
            text="".join(self._written.get(TextPiece, ())),
            refusal="".join(self._written.get(RefusalPiece, ())) or None,
            tool_calls=calls,
            finish_reason=finish,
            usage=usage(self._response.get("usage"), "input", "output"),
            model=string(self._response.get("model")) or None,
            effort=string(mapping(self._response.get("reasoning")).get("effort")) or None,
            items=tuple(item for _, item in sorted(self._items.items())),
        )

    def _place(self, event: Json) -> int:
        """The index of the item that an event is about. Some servers give only its id."""
        index = count(event.get("output_index"))
        if index is not None:
            return index
        name = string(event.get("item_id")) or string(mapping(event.get("item")).get("id"))
        return self._places.setdefault(name, len(self._places))

    def _say(
        self, voice: _Voice, place: int, part: int, text: object, tokens: tuple[Json, ...] = ()
    ) -> Iterator[TurnPiece]:
        words = string(text)
        if not words:
            return
        self._said.setdefault((voice, place, part), []).append(words)
        piece = _PIECES[voice]
        paragraph = (place, part if voice == "summary" else 0)
        if self._paragraph.setdefault(piece, paragraph) != paragraph:
            self._paragraph[piece] = paragraph
            words = f"\n\n{words}"
        self._written.setdefault(piece, []).append(words)
        yield TextPiece(words, tokens) if voice == "text" else piece(words)

    def _start(self, place: int, item: Json) -> Iterator[TurnPiece]:
        kind = string(item.get("type"))
        if kind in CALLS and place not in self._calls:
            index = len(self._calls)
            name = string(item.get("name"))
            if not name:
                raise UpstreamMalformed("the provider sent a function call without a name")
            given = string(item.get("call_id")) or f"call_{index}"
            call = _Call(index, given, name, custom=kind == "custom_tool_call")
            self._calls[place] = call
            yield CallPiece(index, "", id=call.id, name=name)
        elif _is_hosted(kind) and place not in self._hosted:
            self._hosted.add(place)
            yield HostedToolUsed(kind)

    def _argue(self, place: int, fragment: str) -> Iterator[TurnPiece]:
        call = self._calls.get(place)
        if call is not None and fragment:
            call.arguments.append(fragment)
            yield CallPiece(call.index, fragment)

    def _finish_item(self, place: int, item: Json) -> Iterator[TurnPiece]:
        self._items[place] = item
        yield from self._start(place, item)
        if place in self._calls:
            call = self._calls[place]
            whole = string(item.get("input" if call.custom else "arguments"))
            yield from self._argue(place, _rest("".join(call.arguments), whole))
        for group in ("content", "summary"):
            for index, raw in enumerate(sequence(item.get(group))):
                part = mapping(raw)
                voice, name = _PARTS.get(string(part.get("type")), (None, ""))
                if voice is not None:
                    said = "".join(self._said.get((voice, place, index), ()))
                    rest = _rest(said, string(part.get(name)))
                    tokens = () if said else logprobs(part.get("logprobs"))
                    yield from self._say(voice, place, index, rest, tokens)

    def _end(self, response: Json, status: str) -> Iterator[TurnPiece]:
        if status not in {"completed", "incomplete"}:
            raise _failed(response, status)
        if not self._items:
            for place, item in enumerate(sequence(response.get("output"))):
                yield from self._finish_item(place, mapping(item))
        if status == "incomplete":
            reason = string(mapping(response.get("incomplete_details")).get("reason"))
            self._finish = _CUT_BY.get(reason, "length")
        self._response = response


def _is_hosted(kind: str) -> bool:
    return kind.endswith("_call") and kind not in CALLS


def _failed(response: Json, status: str) -> MassGenError:
    if response.get("error"):
        return failure(response.get("error"))
    return UpstreamMalformed(f"the provider ended the response as {status[:40]!r}")


def _rest(said: str, full: str) -> str:
    return full[len(said) :] if full.startswith(said) else ""
