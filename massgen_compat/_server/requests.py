"""What a server does with a request before a run: the way from bytes to an ``Admitted``.

A body of a megabyte takes up to seconds to check, and a schema of a few kilobytes half a second.
Such bodies are read beside the event loop.
"""

import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import anyio

from massgen_compat._admission.catalogue import Admitted
from massgen_compat._aio import in_thread
from massgen_compat._client.massgen import MassGen
from massgen_compat._run.turn import HOP_HEADER
from massgen_compat._server.retries import Identity, identify
from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol import body, errors
from massgen_compat.protocol.answer import Rendering
from massgen_compat.protocol.errors import ErrorReply
from massgen_compat.protocol.request import ParsedRequest

SMALL_BODY: Final = 16 * 1024
"""Bytes that are read on the event loop: a thread would take longer than the few milliseconds."""

MAX_HOPS: Final = 1
"""Teams that a request may have come through: a team may have teams for agents, and those have
models. Each level multiplies the calls (by at least 5, with two agents), so a second one is more
often a server that calls itself than a wish."""

_SCHEMAS: Final = ("response_format", "text")
"""Parameters with a schema: to check it costs half a millisecond for each of its parts."""


class RequestReader:
    """Reads requests for the teams of ``massgen``."""

    def __init__(self, massgen: MassGen) -> None:
        self._massgen = massgen

    async def read(
        self, raw: bytes, headers: Mapping[str, str], client: bytes
    ) -> tuple[Admitted, Identity]:
        """The request in a body, which the team can honour, and what tells it from others.

        ``headers`` are in lower case; ``client`` stands for whoever sent it. Raises
        ``InvalidRequest``.
        """
        hops = hops_of(headers.get(HOP_HEADER))

        def understood(payload: dict[str, Any]) -> tuple[Admitted, Identity]:
            parsed = before_client_leaves(self._massgen.parse(payload), headers)
            if hops:
                parsed = replace(parsed, run=replace(parsed.run, hops=hops))
            return self._massgen.admit(parsed), identify(
                client,
                payload,
                idempotency_key=headers.get("idempotency-key"),
                retry_count=headers.get("x-stainless-retry-count"),
            )

        if len(raw) <= SMALL_BODY:
            payload = body.decode(raw)
            if not any(name in payload for name in _SCHEMAS):
                return understood(payload)
        return await in_thread(lambda: understood(body.decode(raw)))


def hops_of(given: str | None) -> int:
    """How many teams a request came through, as its header says.

    Raises ``InvalidRequest`` for more than ``MAX_HOPS`` and for what is no number.
    """
    if given is None:
        return 0
    number = int(given) if given.strip() in _COUNTS else MAX_HOPS + 1
    if number > MAX_HOPS:
        raise InvalidRequest(
            f"This request came through more than {MAX_HOPS} team of agents, or its header "
            f"'{HOP_HEADER}' is wrong: does a team have itself, or a team of teams, for an agent?",
            code="too_many_hops",
        )
    return number


_COUNTS: Final = frozenset(map(str, range(MAX_HOPS + 1)))


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


_Rendering = TypeVar("_Rendering", bound=Rendering)

HEADERS: Final = ("x-stainless-read-timeout", "x-stainless-timeout")
"""Seconds, of OpenAI's SDKs for Python and for JavaScript."""

_MARGIN: Final = 5.0


def before_client_leaves(
    request: ParsedRequest[_Rendering], headers: Mapping[str, str]
) -> ParsedRequest[_Rendering]:
    """The request with a deadline within its client's timeout; ``headers`` in lower case.

    A client that gave up would send the request again and pay for another run. A stream keeps its
    client awake, so only other requests are narrowed. A header that is no time says nothing.
    """
    waits = [seconds for name in HEADERS if (seconds := _seconds(headers.get(name, "")))]
    if request.stream or not waits:
        return request
    timeouts = min(waits)
    deadline = timeouts - min(_MARGIN, timeouts / 10)
    narrowing = request.run.narrowing
    if narrowing.deadline_seconds is not None:
        deadline = min(deadline, narrowing.deadline_seconds)
    narrowing = replace(narrowing, deadline_seconds=deadline)
    return replace(request, run=replace(request.run, narrowing=narrowing))


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
