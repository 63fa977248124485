"""How long the client waits, as its SDK says in a header: the run ends a little before. Pure."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeVar

from massgen_compat.protocol.answer import Rendering
from massgen_compat.protocol.parsed import ParsedRequest

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
    patience = min(waits)
    deadline = patience - min(_MARGIN, patience / 10)
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
