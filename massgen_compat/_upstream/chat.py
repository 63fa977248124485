"""Chat Completions: a turn is written as a request body, and its chunks are read. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from massgen_compat._run.message import Json, NamedTool, ToolChoice
from massgen_compat._run.result import FinishReason, Usage
from massgen_compat._run.team import Agent
from massgen_compat._run.turn import (
    ReasoningPiece,
    RefusalPiece,
    Reply,
    TextPiece,
    Tool,
    TurnPiece,
    TurnRequest,
)
from massgen_compat._upstream.chat_messages import CallAssembly, chat_messages
from massgen_compat._upstream.failures import failure
from massgen_compat._upstream.parameters import chat_params
from massgen_compat._upstream.tolerant import count, logprobs, mapping, sequence, string, usage
from massgen_compat.errors import UpstreamMalformed


def body(request: TurnRequest, agent: Agent) -> dict[str, Any]:
    """The JSON body of one turn. Agent params win over those of the request (``parameters``)."""
    sent = chat_params(request.params, agent.params)
    sent |= {
        "model": agent.model,
        "messages": list(chat_messages(request.messages)),
    }
    if not request.whole:
        sent |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.cache_key is not None:
        sent.setdefault("prompt_cache_key", request.cache_key)
    if not request.tools:
        sent.pop("parallel_tool_calls", None)
        return sent
    sent["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        sent["tool_choice"] = _choice(request.tool_choice, request.tools)
    if request.parallel_tool_calls is not None:
        sent["parallel_tool_calls"] = request.parallel_tool_calls
    return sent


def _choice(choice: ToolChoice, tools: Sequence[Tool]) -> str | dict[str, Any]:
    if not isinstance(choice, NamedTool):
        return choice
    kind = (
        "custom" if any(tool.custom for tool in tools if tool.name == choice.name) else "function"
    )
    return {"type": kind, kind: {"name": choice.name}}


def _tool(tool: Tool) -> dict[str, Any]:
    """``strict`` is sent only where it is true: many providers do not know it, and false is the
    default."""
    if tool.input_format is not None:
        made = {"name": tool.name, "description": tool.description}
        return {"type": "custom", "custom": {**made, "format": _format(tool.input_format)}}
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _format(given: Json) -> Json:
    """The format of a custom tool. Chat Completions nests a grammar one level deeper."""
    if given.get("type") != "grammar":
        return given
    return {"type": "grammar", "grammar": {k: v for k, v in given.items() if k != "type"}}


_FINISH_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
"""The reasons of OpenAI, its legacy one, and those of other providers. Any other means ``stop``."""


class ChatReplyParser:
    """Reads the chunks of one completion, or the whole one of a server that does not stream."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._details: list[dict[str, Any]] = []
        self._calls = CallAssembly()
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._model: str | None = None
        self._whole = False

    @property
    def complete(self) -> bool:
        """Whether a finish reason has come. Only the usage may still follow."""
        return self._finish is not None

    @property
    def done(self) -> bool:
        """Whether nothing can follow. A stream shows that by ``[DONE]`` or its end, not here."""
        return self._whole

    def feed(self, event: Json) -> list[TurnPiece]:
        """The pieces of one chunk.

        Raises ``UpstreamError`` or ``ContextLengthExceeded`` for what the provider reports.
        """
        # Most chunks have one word. So a field that a chunk lacks costs a lookup here, and no call.
        if event.get("error"):
            raise failure(event.get("error"))
        if (model := event.get("model")) and model != self._model:
            self._model = string(model) or self._model
        if reported := event.get("usage"):
            self._usage = usage(reported, "prompt", "completion") or self._usage
        heard: list[TurnPiece] = []
        for raw in sequence(event.get("choices")):
            choice = mapping(raw)
            if not (choice.get("index") and count(choice["index"])):
                self._hear(choice, heard)
        return heard

    def finish(self) -> Reply:
        """The reply. Raises ``UpstreamMalformed`` where the stream was cut before its end."""
        if self._finish is None:
            raise UpstreamMalformed("the provider's stream ended before the reply was complete")
        calls = self._calls.calls()
        finish = _FINISH_REASONS.get(self._finish, "stop")
        if finish in {"stop", "tool_calls"}:  # a named tool_choice ends in "stop" (OpenAI)
            finish = "tool_calls" if calls else "stop"
        text, refusal = "".join(self._text), "".join(self._refusal)
        return Reply(
            text=text,
            refusal=refusal or None,
            tool_calls=calls,
            finish_reason=finish,
            usage=self._usage,
            model=self._model,
            items=tuple(self._items(text, refusal)),
        )

    def _hear(self, choice: Json, heard: list[TurnPiece]) -> None:
        """Add what a choice of a chunk, or of a whole reply, says."""
        message = mapping(given) if (given := choice.get("message")) else None
        said = message or mapping(choice.get("delta"))
        # Some send their thoughts under both names, with the same text.
        thought = said.get("reasoning_content") or said.get("reasoning")
        if thought and isinstance(thought, str):
            heard.append(ReasoningPiece(thought))
        if details := said.get("reasoning_details"):
            for detail in sequence(details):
                self._note(mapping(detail))
        content = said.get("content")
        if content and (text := content if isinstance(content, str) else _content(content)):
            self._text.append(text)
            if given := choice.get("logprobs"):
                heard.append(TextPiece(text, logprobs(mapping(given).get("content"))))
            else:
                heard.append(TextPiece(text))
        if (refusal := said.get("refusal")) and isinstance(refusal, str):
            self._refusal.append(refusal)
            heard.append(RefusalPiece(refusal))
        if calls := said.get("tool_calls"):
            for fragment in sequence(calls):
                heard += self._calls.feed(mapping(fragment))
        if (call := said.get("function_call")) and (legacy := mapping(call)):
            heard += self._calls.feed({"index": 0, "function": legacy})
        if message or choice.get("finish_reason"):
            self._end(choice, whole=bool(message))

    def _end(self, choice: Json, *, whole: bool) -> None:
        reason = string(choice.get("finish_reason"))
        if reason == "error":  # OpenRouter, for a provider that broke off
            raise UpstreamMalformed("the provider broke the reply off with an error")
        self._whole = self._whole or whole
        self._finish = reason or self._finish or ("stop" if whole else None)

    def _note(self, detail: dict[str, Any]) -> None:
        """Collect OpenRouter's reasoning details, which have to be sent back with the message
        (recorded). They come in fragments, each with the number of its detail."""
        number = detail.get("index")
        known = next((d for d in self._details if d.get("index") == number), None)
        if number is None or known is None or known.get("type") != detail.get("type"):
            self._details.append(dict(detail))
            return
        for name, value in detail.items():
            if name in {"text", "summary", "data"} and isinstance(value, str):
                known[name] = string(known.get(name)) + value
            elif value is not None:
                known[name] = value

    def _items(self, text: str, refusal: str) -> Iterator[Json]:
        """The message as the provider wants it back."""
        calls = self._calls.wire()
        if not (text or refusal or calls or self._details):
            return
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        if refusal:
            message["refusal"] = refusal
        if self._details:
            message["reasoning_details"] = self._details
        if calls:
            message["tool_calls"] = calls
        yield message


def _content(value: object) -> str:
    """The text in a list of parts, which Mistral sends in the place of a string."""
    return "".join(string(mapping(part).get("text")) for part in sequence(value))
