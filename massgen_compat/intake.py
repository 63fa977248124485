"""What a server does with a request before a run: the way from bytes to an ``Admitted``.

A body of a megabyte takes up to seconds to check, and a schema of a few kilobytes half a second.
Such bodies are read beside the event loop.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from massgen_compat.aside import aside
from massgen_compat.catalogue import Admitted
from massgen_compat.client import MassGen
from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol import body
from massgen_compat.protocol.deadline import before_client_leaves
from massgen_compat.serving.matching import Identity, identify
from massgen_compat.turn import HOP_HEADER

SMALL_BODY: Final = 16 * 1024
"""Bytes that are read on the event loop: a thread would take longer than the few milliseconds."""

MAX_HOPS: Final = 1
"""Teams that a request may have come through: a team may have teams for agents, and those have
models. Each level multiplies the calls (by at least 5, with two agents), so a second one is more
often a server that calls itself than a wish."""

_SCHEMAS: Final = ("response_format", "text")
"""Parameters with a schema: to check it costs half a millisecond for each of its parts."""


class Intake:
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
        return await aside(lambda: understood(body.decode(raw)))


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
