"""Server-sent events: the frame around each ``WireEvent``. LF line ends, UTF-8, no comments.

Comments do not reset the timers of some clients, and many clients break at names that their wire
does not have; so an event has an ``event:`` line only where its wire names it.
"""

from collections.abc import Iterable

from massgen_compat.protocol.answer import WireEvent


def frame(event: WireEvent) -> bytes:
    """One event with its frame. ``data`` is a single line, so it needs no splitting."""
    if event.type:
        return b"event: " + event.type.encode() + b"\ndata: " + event.data + b"\n\n"
    return b"data: " + event.data + b"\n\n"


def frames(events: Iterable[WireEvent]) -> bytes:
    """Several events, one after the other."""
    return b"".join(map(frame, events))
