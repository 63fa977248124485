"""What the server does with a request before its run: from the bytes of a body to an ``Admitted``.

``read_body`` collects the bytes and bounds their size and time. ``RequestReader`` parses and admits
them. Two headers change the run: the hop count bounds teams of teams, and the client's own timeout
becomes a deadline.
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

# The bytes of a body

DISCARDED_BODIES: Final = 4
"""A body that is too large is read, and dropped, up to this multiple of the limit. Most clients
that are answered while they still send report a broken connection, and not the 413."""

BYTES_PER_SECOND: Final = 16 * 1024
"""How fast a body has to come on average, after its first seconds. A slow phone is faster; a client
that only keeps the connection open, with a byte now and then, is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """How many bytes a body may have, and how many seconds it may take.

    To ``body_seconds`` a second is added for each ``BYTES_PER_SECOND`` that have come. Raises
    ``ValueError`` for a limit that lets nothing in.
    """

    max_body_bytes: int
    body_seconds: float

    def __post_init__(self) -> None:
        if self.max_body_bytes < 1:
            raise ValueError("max_body_bytes has to be at least 1")
        if not 0 < self.body_seconds < math.inf:
            raise ValueError("body_seconds has to be a number above 0")


async def read_body(pieces: AsyncIterator[bytes], limits: BodyLimits) -> bytes | ErrorReply:
    """The body, or the 413 or 408 that it is answered with.

    Its bytes are counted as they come, because a ``Content-Length`` can be absent or wrong.
    """
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


# From bytes to an ``Admitted``

SMALL_BODY: Final = 16 * 1024
"""Bytes of a body that is parsed on the event loop, in a few milliseconds; a thread would take
longer. A body of a megabyte can take seconds, in which no other request would be served."""

_SCHEMAS: Final = ("response_format", "text")
"""Parameters with a JSON schema. Checking one takes half a millisecond for each of its parts, so a
schema of a few kilobytes takes half a second."""


class RequestReader:
    """Parses and admits requests for the teams of ``massgen``."""

    def __init__(self, massgen: MassGen) -> None:
        self._massgen = massgen

    async def read(
        self, raw: bytes, headers: Mapping[str, str], client: bytes
    ) -> tuple[Admitted, Identity]:
        """The request in the body, admitted, and what identifies it.

        ``headers`` have lower-case names. ``client`` is what stands for the client, see
        ``identify``. Raises ``InvalidRequest`` (for an unknown model ``ModelNotFound``).
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


# Headers that change the run

MAX_HOPS: Final = 1
"""How many other teams a request may have come through. An agent of a team may itself be a team, on
this or another server, whose agents are models. Each level multiplies the model calls (by 5 or
more, with two agents), so a second level is most often a server that calls itself by mistake."""

_COUNTS: Final = frozenset(map(str, range(MAX_HOPS + 1)))


def hops_of(given: str | None) -> int:
    """How many teams a request came through, by the value of its header ``HOP_HEADER``.

    Raises ``InvalidRequest`` for more than ``MAX_HOPS``, and for a value that is no number.
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


_Rendering = TypeVar("_Rendering", bound=Rendering)

HEADERS: Final = ("x-stainless-read-timeout", "x-stainless-timeout")
"""The client's timeout in seconds, as OpenAI's SDKs for Python and for JavaScript send it."""

_MARGIN: Final = 5.0
"""Seconds before the client's timeout at which the run has to end, so that the answer arrives."""


def before_client_leaves(
    request: ParsedRequest[_Rendering], headers: Mapping[str, str]
) -> ParsedRequest[_Rendering]:
    """The request with a deadline before its client's timeout, if its headers have one.

    A client that gives up sends the request again and pays for another run. Streams are left as
    they are: their chunks reset the client's timeout. A header that is no positive number is
    ignored. ``headers`` have lower-case names.
    """
    waits = [seconds for name in HEADERS if (seconds := _seconds(headers.get(name, "")))]
    if request.stream or not waits:
        return request
    timeout = min(waits)
    deadline = timeout - min(_MARGIN, timeout / 10)
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
