"""The two forms of a chat answer: a stream of chunks, and their fold, a completion. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from massgen_compat.errors import MassGenError
from massgen_compat.events import MessageText, RunCompleted, RunEvent
from massgen_compat.protocol import body
from massgen_compat.protocol.answer import Answer, WireEvent
from massgen_compat.protocol.errors import stream_error
from massgen_compat.protocol.fold import fold
from massgen_compat.protocol.render import ChatOptions, Renderer
from massgen_compat.run import RunRequest

DONE: Final = (WireEvent("", b"[DONE]"),)
"""How a chat stream ends, after its last chunk or after an error."""


def wire_event(chunk: Mapping[str, Any]) -> WireEvent:
    """A chunk as an event of the wire; chat events have no names."""
    return WireEvent("", body.encode(chunk))


@dataclass(frozen=True, slots=True)
class ChatRendering:
    """Makes the answers of Chat Completions: a ``Rendering``."""

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

    Of the pieces of a message, which may be thousands, only the text is rendered: head and tail of
    their chunks are the same.
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
        """Both sides of a text in its chunk; NUL stands in no name, and is escaped in JSON."""
        (chunk,) = self._renderer.feed(MessageText(text="\0", choice=choice))
        head, _, tail = body.encode(chunk).partition(body.encode("\0"))
        self._frames[choice] = head, tail
        return head, tail


class ChatCompletion:
    """A run as one completion: the fold of the chunks that a stream would have had."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._chunks: list[dict[str, Any]] = []

    def feed(self, event: RunEvent, /) -> Sequence[WireEvent]:
        """The completion, at the end of the run; before that nothing."""
        self._chunks += self._renderer.feed(event)
        return (wire_event(fold(self._chunks)),) if isinstance(event, RunCompleted) else ()

    def heartbeat(self) -> Sequence[WireEvent]:
        """Nothing: a body has no place for it."""
        return ()

    def failed(self, error: MassGenError, /) -> Sequence[WireEvent]:  # noqa: ARG002
        """Nothing: the error is the body of a reply of its own, with a status."""
        return ()

    def end(self) -> Sequence[WireEvent]:
        """Nothing."""
        return ()
