"""Server-sent events as OpenAI's chat streams use them: ``data:`` lines only, bare LF, UTF-8.

No comments and no named events: some clients do not count the former as life and many break at
the latter.
"""

from collections.abc import Mapping
from typing import Any, Final

from massgen_compat.errors import MassGenError
from massgen_compat.events import MessageText, RunEvent
from massgen_compat.protocol import body
from massgen_compat.protocol.errors import stream_error
from massgen_compat.protocol.render import Renderer

DONE: Final = b"data: [DONE]\n\n"


def encode(chunk: Mapping[str, Any]) -> bytes:
    """One event that carries the chunk on a single line."""
    return b"data: " + body.encode(chunk) + b"\n\n"


def encode_error(error: MassGenError) -> bytes:
    """The event that ends a stream which failed after its first chunk."""
    return encode(stream_error(error))


class ChatStream:
    """A run's events as those of a chat stream, in bytes.

    Of the pieces of a message, which may be thousands, only the text is rendered: head and tail of
    their chunks are the same.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._frames: dict[int, tuple[bytes, bytes]] = {}

    def feed(self, event: RunEvent) -> bytes:
        """What an event adds to the stream, often nothing."""
        if isinstance(event, MessageText) and self._renderer.says_only(event):
            head, tail = self._frames.get(event.choice) or self._frame(event.choice)
            return head + body.encode(event.text) + tail
        return b"".join(map(encode, self._renderer.feed(event)))

    def heartbeat(self) -> bytes:
        """An event that says nothing."""
        return encode(self._renderer.heartbeat())

    def _frame(self, choice: int) -> tuple[bytes, bytes]:
        """Both sides of a text in its event; NUL stands in no name, and is escaped in JSON."""
        (chunk,) = self._renderer.feed(MessageText(text="\0", choice=choice))
        head, _, tail = encode(chunk).partition(body.encode("\0"))
        self._frames[choice] = head, tail
        return head, tail
