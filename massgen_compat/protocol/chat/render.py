"""A run's events as chunks of a chat stream; a completion is the fold of the chunks.

The order is the real API's: the role, what happens, one chunk with the finish reason, then with
``include_usage`` one without choices. The frame of a chunk is the same in all of them. The role
chunk has no ``content``, because nobody knows yet whether text or tool calls follow. With several
choices each has its own role, pieces and finish reason, under its index; the deliberation is told
in the first.
"""

from dataclasses import dataclass
from typing import Any, Final

from massgen_compat._run.message import Json
from massgen_compat._run.request import RunRequest
from massgen_compat._run.result import FinalMessage, RunResult
from massgen_compat.events import (
    MessageRefusal,
    MessageText,
    MessageToolCall,
    RunCompleted,
    RunEvent,
    RunStarted,
)
from massgen_compat.protocol.stop import StopCut
from massgen_compat.protocol.trace import TraceWriter
from massgen_compat.protocol.usage import massgen_object, run_usage

FINGERPRINT: Final = "fp_massgen_compat"
"""``system_fingerprint`` where the caller has none that tells its configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """How a client wants its chat answer written.

    ``model`` is the name that it asked for. ``include_usage``: a stream tells the usage at its end.
    ``massgen_object``: the answer carries a ``massgen`` object. ``stop`` are the sequences at which
    the message is cut. ``legacy_functions``: calls are written as a ``function_call``.
    """

    model: str
    include_usage: bool = False
    massgen_object: bool = True
    stop: tuple[str, ...] = ()
    legacy_functions: bool = False


class _Choice:
    """One message on its way to the client."""

    def __init__(self, options: ChatOptions, index: int) -> None:
        self.index = index
        self.said = False
        self._legacy = options.legacy_functions
        self._cut = StopCut(options.stop)
        self._tokens: list[Json] = []
        self._cuts = bool(options.stop)

    @property
    def is_plain(self) -> bool:
        """Whether its next text is told as it comes, like others before."""
        return self.said and not self._cuts and not self._tokens

    def text(self, event: MessageText) -> list[dict[str, Any]]:
        """What of the text may be seen now, as choices of chunks."""
        if event.logprobs:
            self._tokens += event.logprobs
        return self._shown(self._cut.feed(event.text))

    def refusal(self, event: MessageRefusal) -> list[dict[str, Any]]:
        """A piece of a refusal."""
        return [self.choice({"refusal": event.text})] if event.text and not self._cut.hit else []

    def call(self, event: MessageToolCall) -> list[dict[str, Any]]:
        """A fragment of a call; the text ends where a call begins."""
        if self._cut.hit:
            return []
        delta: dict[str, Any] = {"tool_calls": [_call_fragment(event)]}
        if self._legacy:
            named = {} if event.name is None else {"name": event.name}
            delta = {"function_call": {**named, "arguments": event.arguments}}
        return [*self._shown(self._cut.rest()), self.choice(delta)]

    def end(self, message: FinalMessage) -> list[dict[str, Any]]:
        """What was held back, and the finish reason."""
        rest = self._shown(self._cut.rest())
        if not self.said:  # an empty message is a string all the same
            rest.append(self.choice({"content": ""}))
        reason: str = "stop" if self._cut.hit else message.finish_reason
        if self._legacy and reason == "tool_calls":
            reason = "function_call"
        return [*rest, self.choice({}, finish_reason=reason)]

    def choice(
        self,
        delta: dict[str, Any],
        *,
        tokens: list[Json] | None = None,
        finish_reason: str | None = None,
    ) -> dict[str, Any]:
        """The choice of a chunk."""
        self.said = self.said or bool(delta.keys() - {"role", "reasoning_content"})
        logprobs = {"content": tokens, "refusal": None} if tokens else None
        return {
            "index": self.index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }

    def _shown(self, text: str) -> list[dict[str, Any]]:
        if not text:
            return []
        tokens = self._tokens_of(text) if self._tokens else None
        return [self.choice({"content": text}, tokens=tokens)]

    def _tokens_of(self, text: str) -> list[Json]:
        """The tokens that the text is made of; what a stop sequence cuts off has none."""
        taken: list[Json] = []
        room = len(text)
        while self._tokens and (size := len(str(self._tokens[0].get("token", "")))) <= room:
            room -= size
            taken.append(self._tokens.pop(0))
        return taken


class Renderer:
    """The chunks of one response, as dicts in the shape of the wire.

    A non-streaming response is rendered by the same chunks: give them to ``fold``.
    """

    def __init__(
        self,
        options: ChatOptions,
        run: RunRequest,
        *,
        id: str,  # noqa: A002 - the word of the wire, as in the SDK's types
        created: int,
        stream: bool = False,
        background: str | None = None,
        fingerprint: str = FINGERPRINT,
    ) -> None:
        self._frame: dict[str, Any] = {
            "id": id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": options.model,
            "service_tier": "default",
            "system_fingerprint": fingerprint,
        }
        self._usage_wanted = options.include_usage or not stream
        self._massgen_wanted = options.massgen_object
        self._background = background
        self._trace_writer = TraceWriter(run.trace or "status", with_decision=bool(run.tools))
        self._choices = [_Choice(options, index) for index in range(run.choices)]

    def feed(self, event: RunEvent) -> list[dict[str, Any]]:
        """The chunks that an event adds to the response, often none."""
        match event:
            case RunStarted():
                self._trace_writer.tell(event)
                said = [each.choice({"role": "assistant"}) for each in self._choices]
            case MessageText():
                said = self._choices[event.choice].text(event)
            case MessageRefusal():
                said = self._choices[event.choice].refusal(event)
            case MessageToolCall():
                said = self._choices[event.choice].call(event)
            case RunCompleted():
                return self._end(event.result)
            case _:
                told = self._trace_writer.tell(event)
                said = [self._choices[0].choice({"reasoning_content": told})] if told else []
        return [self._chunk(choice) for choice in said]

    def heartbeat(self) -> dict[str, Any]:
        """A chunk that says nothing: to every client that waits it is a sign of life."""
        return self._chunk(self._choices[0].choice({}))

    def says_only(self, event: MessageText) -> bool:
        """Whether all chunks of such an event are alike but for the text, which is the event's."""
        return self._choices[event.choice].is_plain and bool(event.text) and not event.logprobs

    def _end(self, result: RunResult) -> list[dict[str, Any]]:
        ends = zip(self._choices, result.messages, strict=True)
        chunks = [self._chunk(said) for choice, message in ends for said in choice.end(message)]
        if self._usage_wanted:
            chunks.append({**self._frame, "choices": [], "usage": run_usage(result)})
        if self._massgen_wanted:
            chunks[-1]["massgen"] = massgen_object(result, self._background)
        return chunks

    def _chunk(self, choice: dict[str, Any]) -> dict[str, Any]:
        chunk = {**self._frame, "choices": [choice]}
        if self._usage_wanted:
            chunk["usage"] = None
        return chunk


def _call_fragment(event: MessageToolCall) -> dict[str, Any]:
    """``id``, ``type`` and ``name`` in a call's first fragment only: accumulators join strings."""
    kind, said = ("custom", "input") if event.custom else ("function", "arguments")
    if event.id is None:
        return {"index": event.index, kind: {said: event.arguments}}
    return {
        "index": event.index,
        "id": event.id,
        "type": kind,
        kind: {"name": event.name or "", said: event.arguments},
    }
