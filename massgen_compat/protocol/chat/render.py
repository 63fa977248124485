"""A run's events as chunks of a chat stream.

The chunks come in the order of the real API: the role, the pieces of the message, a chunk with the
finish reason, and with ``include_usage`` a last one without choices. The role chunk has no
``content``, because it is not known yet whether text or tool calls follow. With several choices
(``n``), each has a role, pieces and a finish reason of its own, under its index; the trace is in
the first one only.
"""

from collections.abc import Sequence
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
from massgen_compat.protocol.trace import TraceWriter
from massgen_compat.protocol.usage import massgen_object, run_usage

FINGERPRINT: Final = "fp_massgen_compat"
"""The ``system_fingerprint`` of answers, unless the caller has one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """How a client wants its chat answer written.

    ``model`` is the name that it asked for. ``include_usage``: a stream ends with the usage.
    ``massgen_object``: the answer has a ``massgen`` object. The message is cut at the first of the
    sequences in ``stop``. ``legacy_functions``: a call is written as a ``function_call``.
    """

    model: str
    include_usage: bool = False
    massgen_object: bool = True
    stop: tuple[str, ...] = ()
    legacy_functions: bool = False


class StopCut:
    """Cuts text at the first stop sequence, however the text is divided into pieces.

    It is cut here and not by the backends: the Responses API has no such parameter, and reasoning
    models refuse it. The sequence that is complete first ends the text, as it does when a model
    stops at it, and is not part of the text.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.hit = False
        """Whether a stop sequence was found. Everything after it is dropped."""

    def feed(self, text: str) -> str:
        """The text that can be sent now. What may be the start of a stop sequence is held back."""
        if self.hit:
            return ""
        if not self._stops:
            return text
        self._held += text
        cut = self._first_cut()
        if cut is not None:
            self.hit = True
            shown, self._held = self._held[:cut], ""
            return shown
        keep = self._possible_start()
        shown = self._held[: len(self._held) - keep]
        self._held = self._held[len(shown) :]
        return shown

    def rest(self) -> str:
        """The text that was held back; to be asked for at the end of the text."""
        held, self._held = self._held, ""
        return held

    def _first_cut(self) -> int | None:
        """The position at which the sequence begins that is complete first."""
        found = [
            (start + len(stop), start)
            for stop in self._stops
            if (start := self._held.find(stop)) >= 0
        ]
        return min(found)[1] if found else None

    def _possible_start(self) -> int:
        """The length of the longest end of the text with which a stop sequence can begin."""
        return max(
            (
                size
                for stop in self._stops
                for size in range(min(len(stop) - 1, len(self._held)), 0, -1)
                if self._held.endswith(stop[:size])
            ),
            default=0,
        )


class _Choice:
    """The state of one message while it is sent: of one choice of the answer."""

    def __init__(self, options: ChatOptions, index: int) -> None:
        self.index = index
        self.said = False
        self._legacy = options.legacy_functions
        self._cut = StopCut(options.stop)
        self._tokens: list[Json] = []
        self._cuts = bool(options.stop)

    @property
    def is_plain(self) -> bool:
        """Whether the next text goes into a chunk as it is, like the text before it."""
        return self.said and not self._cuts and not self._tokens

    def text(self, event: MessageText) -> list[dict[str, Any]]:
        """What can be sent of the text now, as choices of chunks."""
        if event.logprobs:
            self._tokens += event.logprobs
        return self._shown(self._cut.feed(event.text))

    def refusal(self, event: MessageRefusal) -> list[dict[str, Any]]:
        """A piece of a refusal, as choices of chunks."""
        return [self.choice({"refusal": event.text})] if event.text and not self._cut.hit else []

    def call(self, event: MessageToolCall) -> list[dict[str, Any]]:
        """A fragment of a call, as choices of chunks. Text that was held back goes before it."""
        if self._cut.hit:
            return []
        delta: dict[str, Any] = {"tool_calls": [_call_fragment(event)]}
        if self._legacy:
            named = {} if event.name is None else {"name": event.name}
            delta = {"function_call": {**named, "arguments": event.arguments}}
        return [*self._shown(self._cut.rest()), self.choice(delta)]

    def end(self, message: FinalMessage) -> list[dict[str, Any]]:
        """What was held back, and the finish reason, as choices of chunks."""
        rest = self._shown(self._cut.rest())
        if not self.said:  # clients expect a string also as the content of an empty message
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
        """The log probabilities of the tokens that the text is made of, in order.

        Tokens behind a cut are never taken.
        """
        taken: list[Json] = []
        room = len(text)
        while self._tokens and (size := len(str(self._tokens[0].get("token", "")))) <= room:
            room -= size
            taken.append(self._tokens.pop(0))
        return taken


class Renderer:
    """Makes the chunks of one response, as JSON objects.

    A response in one piece is made of the same chunks, by ``fold``. ``id`` is the response's,
    ``created`` the time in Unix seconds, and ``background`` the name of the rule by which one agent
    answers alone.
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
        """The chunks that an event adds to the response; often there are none."""
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
        """A chunk with an empty delta. It shows a waiting client that the run goes on."""
        return self._chunk(self._choices[0].choice({}))

    def says_only(self, event: MessageText) -> bool:
        """Whether the event gives one chunk, which differs from its neighbours in the text only."""
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
    """A fragment of a call. Only the first one has ``id``, ``type`` and ``name``, since clients
    join the strings of all fragments."""
    kind, said = ("custom", "input") if event.custom else ("function", "arguments")
    if event.id is None:
        return {"index": event.index, kind: {said: event.arguments}}
    return {
        "index": event.index,
        "id": event.id,
        "type": kind,
        kind: {"name": event.name or "", said: event.arguments},
    }
