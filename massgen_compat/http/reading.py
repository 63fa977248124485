"""The body of a request, bounded in size and in time."""

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import anyio

from massgen_compat.protocol import errors
from massgen_compat.protocol.errors import ErrorReply

DISCARDED_BODIES: Final = 4
"""How many times the limit is read, and thrown away, so that a client gets to see its 413: most
report a broken connection instead when the answer comes while they still send."""

BYTES_PER_SECOND: Final = 16 * 1024
"""What a body has to make on average beyond its first seconds: a slow phone makes more, and a
connection that is kept open by a byte now and then does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """How large a body may be, and how many seconds it may take beyond ``BYTES_PER_SECOND``.

    Raises ``ValueError`` for a limit that lets nothing in.
    """

    max_body_bytes: int
    body_seconds: float

    def __post_init__(self) -> None:
        if self.max_body_bytes < 1:
            raise ValueError("max_body_bytes has to be at least 1")
        if not 0 < self.body_seconds < math.inf:
            raise ValueError("body_seconds has to be a number above 0")


async def read_body(pieces: AsyncIterator[bytes], limits: BodyLimits) -> bytes | ErrorReply:
    """The body, or the 413 or 408 that it gets: counted as it comes, whatever a header says."""
    kept: list[bytes] = []
    size = 0
    began = anyio.current_time()
    with anyio.CancelScope(deadline=began + limits.body_seconds) as scope:
        async for piece in pieces:
            size += len(piece)
            scope.deadline = began + limits.body_seconds + size / BYTES_PER_SECOND
            if size > limits.max_body_bytes * DISCARDED_BODIES:
                break
            if size <= limits.max_body_bytes:
                kept.append(piece)
            else:
                kept.clear()
    if size > limits.max_body_bytes:
        return errors.too_large(limits.max_body_bytes)
    if scope.cancelled_caught:
        return errors.too_slow("body")
    return b"".join(kept)
