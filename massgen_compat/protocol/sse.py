"""Server-sent events: the frame around each ``WireEvent``. LF line ends, UTF-8, no comments.

There are no comments, because they do not reset the timers of some clients. There is an ``event:``
line only if the wire names its events, because many clients break at a name that they do not know.
"""

from collections.abc import Iterable

from massgen_compat.protocol.answer import WireEvent


def frame(event: WireEvent) -> bytes:
    """One event with its frame. Its ``data`` is a single line, so it needs no splitting."""
    if event.type:
        return b"event: " + event.type.encode() + b"\ndata: " + event.data + b"\n\n"
    return b"data: " + event.data + b"\n\n"


def frames(events: Iterable[WireEvent]) -> bytes:
    """Several events, one after the other."""
    return b"".join(map(frame, events))
