"""The two forms of a chat answer: a stream of chunks, and a completion.

A completion is the fold of the chunks that the stream would have had, so there is one rendering
(``render``) for both. This module is pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from massgen_compat._run.request import RunRequest
from massgen_compat.errors import MassGenError
from massgen_compat.events import MessageText, RunCompleted, RunEvent
from massgen_compat.protocol import body
from massgen_compat.protocol.answer import Answer, WireEvent
from massgen_compat.protocol.chat.render import ChatOptions, Renderer
from massgen_compat.protocol.errors import stream_error

DONE: Final = (WireEvent("", b"[DONE]"),)
"""The end of a chat stream, after its last chunk or after an error."""


def wire_event(chunk: Mapping[str, Any]) -> WireEvent:
    """A chunk as an event of the wire; events of Chat Completions have no names."""
    return WireEvent("", body.encode(chunk))


@dataclass(frozen=True, slots=True)
class ChatRendering:
    """The ``Rendering`` of Chat Completions."""

    options: ChatOptions

    def answer(
        self,
        run: RunRequest,
        *,
        stream: bool,
        background: str | None,
        unique: str,
        created: int,
    ) -> Answer:
        """See ``Rendering.answer``."""
        renderer = Renderer(
            self.options,
            run,
            id=f"chatcmpl-{unique}",
            created=created,
            stream=stream,
            background=background,
        )
        return ChatStream(renderer) if stream else ChatCompletion(renderer)


class ChatStream:
    """A run as the chunks of a chat stream.

    A message may have thousands of pieces, whose chunks differ in the text only. So what stands
    before and after the text is encoded once for each choice.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._frames: dict[int, tuple[bytes, bytes]] = {}

    def feed(self, event: RunEvent, /) -> Sequence[WireEvent]:
        """The chunks that an event adds."""
        if isinstance(event, MessageText) and self._renderer.says_only(event):
            head, tail = self._frames.get(event.choice) or self._frame(event.choice)
            return (WireEvent("", head + body.encode(event.text) + tail),)
        return [wire_event(chunk) for chunk in self._renderer.feed(event)]

    def heartbeat(self) -> Sequence[WireEvent]:
        """A chunk with an empty delta."""
        return (wire_event(self._renderer.heartbeat()),)

    def failed(self, error: MassGenError, /) -> Sequence[WireEvent]:
        """One ``error`` object in the place of a chunk."""
        return (wire_event(stream_error(error)),)

    def end(self) -> Sequence[WireEvent]:
        """``[DONE]``."""
        return DONE

    def _frame(self, choice: int) -> tuple[bytes, bytes]:
        """What stands before and after the text in the chunks of a choice.

        It is cut out of a chunk whose text is NUL, a character that no name holds.
        """
        (chunk,) = self._renderer.feed(MessageText(text="\0", choice=choice))
        head, _, tail = body.encode(chunk).partition(body.encode("\0"))
        self._frames[choice] = head, tail
        return head, tail


class ChatCompletion:
    """A run as one completion, see ``fold``."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._chunks: list[dict[str, Any]] = []

    def feed(self, event: RunEvent, /) -> Sequence[WireEvent]:
        """The completion, at the end of the run; before that nothing."""
        self._chunks += self._renderer.feed(event)
        return (wire_event(fold(self._chunks)),) if isinstance(event, RunCompleted) else ()

    def heartbeat(self) -> Sequence[WireEvent]:
        """Nothing: a JSON body has no place for it."""
        return ()

    def failed(self, error: MassGenError, /) -> Sequence[WireEvent]:  # noqa: ARG002
        """Nothing: the error is sent as a reply of its own, with its own status."""
        return ()

    def end(self) -> Sequence[WireEvent]:
        """Nothing."""
        return ()


_FRAME: Final = ("id", "created", "model", "service_tier", "system_fingerprint")
_TEXTS: Final = ("content", "refusal", "reasoning_content")


@dataclass
class _Whole:
    """What the chunks of one choice add up to."""

    texts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    function_call: dict[str, Any] = field(default_factory=dict[str, Any])
    tokens: list[Any] = field(default_factory=list[Any])
    finish_reason: str | None = None

    def add(self, choice: Mapping[str, Any]) -> None:
        self.finish_reason = choice["finish_reason"] or self.finish_reason
        if choice["logprobs"]:
            self.tokens += choice["logprobs"]["content"]
        for key, value in choice["delta"].items():
            match key:
                case "tool_calls":
                    for fragment in value:
                        self._call(fragment)
                case "function_call":
                    said = self.function_call.get("arguments", "") + value["arguments"]
                    self.function_call |= {**value, "arguments": said}
                case _ if key in _TEXTS:
                    self.texts.setdefault(key, []).append(value)
                case _:
                    pass

    def _call(self, fragment: Mapping[str, Any]) -> None:
        kind, said = ("custom", "input") if "custom" in fragment else ("function", "arguments")
        if fragment["index"] == len(self.calls):
            self.calls.append({"id": fragment["id"], "type": kind, kind: {**fragment[kind]}})
        else:
            self.calls[fragment["index"]][kind][said] += fragment[kind][said]

    def choice(self, index: int) -> dict[str, Any]:
        """The choice of the completion. Raises ``ValueError`` if it has no finish reason."""
        if self.finish_reason is None:
            raise ValueError("the stream has no finish chunk")
        # Without calls there is no ``tool_calls``: clients send the message back as it is, and
        # the real API refuses an empty list in a request.
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        message |= {key: "".join(texts) for key, texts in self.texts.items()}
        message["annotations"] = []
        if self.calls:
            message["tool_calls"] = self.calls
        if self.function_call:
            message["function_call"] = self.function_call
        return {
            "index": index,
            "message": message,
            "logprobs": {"content": self.tokens, "refusal": None} if self.tokens else None,
            "finish_reason": self.finish_reason,
        }


def fold(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The completion that all chunks of a stream add up to, as a JSON object.

    It has no ``usage`` if that is unknown: OpenAI's schema of a completion allows no ``null``
    there. Raises ``ValueError`` if a choice has no finish reason.
    """
    wholes: dict[int, _Whole] = {}
    last: Mapping[str, Any] = {}
    for last in chunks:
        for choice in last["choices"]:
            wholes.setdefault(choice["index"], _Whole()).add(choice)
    if not wholes:
        raise ValueError("the stream has no finish chunk")
    completion = {key: last[key] for key in _FRAME}
    completion |= {
        "object": "chat.completion",
        "choices": [whole.choice(index) for index, whole in sorted(wholes.items())],
    }
    return completion | {key: last[key] for key in ("usage", "massgen") if last.get(key)}
