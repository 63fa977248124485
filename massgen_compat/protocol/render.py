"""A run's events as chunks of a chat stream; a completion is the fold of the chunks.

The order is the real API's: the role, what happens, one chunk with the finish reason, then with
``include_usage`` one without choices. The frame of a chunk is the same in all of them. The role
chunk has no ``content``, because nobody knows yet whether text or tool calls follow.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from massgen_compat.events import (
    MessageRefusal,
    MessageText,
    MessageToolCall,
    RunCompleted,
    RunEvent,
    RunStarted,
)
from massgen_compat.protocol.request import ChatRequest
from massgen_compat.protocol.stop import StopCut
from massgen_compat.protocol.trace import Narrator
from massgen_compat.protocol.usage import massgen_object, run_usage
from massgen_compat.run import FinishReason, RunResult

FINGERPRINT: Final = "fp_massgen_compat"
"""``system_fingerprint`` where the caller has none that tells its configuration."""

_FRAME: Final = ("id", "created", "model", "service_tier", "system_fingerprint")


class Renderer:
    """The chunks of one response, as dicts in the shape of the wire.

    A non-streaming response is rendered by the same chunks: give them to ``fold``.
    """

    def __init__(
        self,
        request: ChatRequest,
        *,
        id: str,  # noqa: A002 - the word of the wire, as in the SDK's types
        created: int,
        fingerprint: str = FINGERPRINT,
    ) -> None:
        self._frame: dict[str, Any] = {
            "id": id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": request.model,
            "service_tier": "default",
            "system_fingerprint": fingerprint,
        }
        self._usage_wanted = request.include_usage or not request.stream
        self._massgen_wanted = request.massgen_object
        self._narrator = Narrator(request.run.trace or "status")
        self._cut = StopCut(request.stop)
        self._has_message = False

    def feed(self, event: RunEvent) -> list[dict[str, Any]]:
        """The chunks that an event adds to the response, often none."""
        match event:
            case RunStarted():
                self._narrator.tell(event)
                return [self._chunk({"role": "assistant"})]
            case MessageText():
                return self._text(self._cut.feed(event.text))
            case MessageRefusal() if not self._cut.hit:
                return self._message({"refusal": event.text}) if event.text else []
            case MessageToolCall() if not self._cut.hit:
                held = self._text(self._cut.rest())  # the text ends where a call begins
                return held + self._message({"tool_calls": [_call_fragment(event)]})
            case RunCompleted():
                return self._end(event.result)
            case _:
                told = self._narrator.tell(event)
                return [self._chunk({"reasoning_content": told})] if told else []

    def heartbeat(self) -> dict[str, Any]:
        """A chunk that says nothing: to every client that waits it is a sign of life."""
        return self._chunk({})

    def _text(self, text: str) -> list[dict[str, Any]]:
        return self._message({"content": text}) if text else []

    def _message(self, delta: dict[str, Any]) -> list[dict[str, Any]]:
        self._has_message = True
        return [self._chunk(delta)]

    def _end(self, result: RunResult) -> list[dict[str, Any]]:
        chunks = self._text(self._cut.rest())
        if not self._has_message:  # an empty message is a string all the same
            chunks.append(self._chunk({"content": ""}))
        reason: FinishReason = "stop" if self._cut.hit else result.finish_reason
        chunks.append(self._chunk({}, reason))
        if self._usage_wanted:
            chunks.append({**self._frame, "choices": [], "usage": run_usage(result)})
        if self._massgen_wanted:
            chunks[-1]["massgen"] = massgen_object(result)
        return chunks

    def _chunk(
        self, delta: dict[str, Any], finish_reason: FinishReason | None = None
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = {**self._frame, "choices": [choice]}
        if self._usage_wanted:
            chunk["usage"] = None
        return chunk


def _call_fragment(event: MessageToolCall) -> dict[str, Any]:
    """``id``, ``type`` and ``name`` in a call's first fragment only: accumulators join strings."""
    if event.id is None:
        return {"index": event.index, "function": {"arguments": event.arguments}}
    return {
        "index": event.index,
        "id": event.id,
        "type": "function",
        "function": {"name": event.name or "", "arguments": event.arguments},
    }


def fold(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The completion that a whole stream adds up to.

    ``usage`` is left out where it is unknown: the schema has no ``null`` for it in a completion.
    Raises ``ValueError`` for a stream without its finish chunk.
    """
    pieces: dict[str, list[str]] = {"content": [], "refusal": [], "reasoning_content": []}
    calls: list[dict[str, Any]] = []
    finish_reason: FinishReason | None = None
    last: Mapping[str, Any] = {}
    for last in chunks:
        for choice in last["choices"]:
            _add(choice["delta"], pieces, calls)
            finish_reason = choice["finish_reason"] or finish_reason
    if finish_reason is None:
        raise ValueError("the stream has no finish chunk")
    choice = {
        "index": 0,
        "message": _whole_message(pieces, calls),
        "logprobs": None,
        "finish_reason": finish_reason,
    }
    completion = {key: last[key] for key in _FRAME}
    completion |= {"object": "chat.completion", "choices": [choice]}
    return completion | {key: last[key] for key in ("usage", "massgen") if last.get(key)}


def _add(
    delta: Mapping[str, Any], pieces: Mapping[str, list[str]], calls: list[dict[str, Any]]
) -> None:
    for key, value in delta.items():
        if key in pieces:
            pieces[key].append(value)
    for fragment in delta.get("tool_calls", ()):
        function = fragment["function"]
        if fragment["index"] == len(calls):
            calls.append({"id": fragment["id"], "type": "function", "function": {**function}})
        else:
            calls[fragment["index"]]["function"]["arguments"] += function["arguments"]


def _whole_message(pieces: Mapping[str, list[str]], calls: list[dict[str, Any]]) -> dict[str, Any]:
    """The message. ``tool_calls`` is absent rather than empty, as clients send it back as it is."""
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    message |= {key: "".join(texts) for key, texts in pieces.items() if texts}
    message["annotations"] = []
    return message | ({"tool_calls": calls} if calls else {})
