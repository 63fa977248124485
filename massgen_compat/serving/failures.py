"""How runs failed, remembered for seconds: many clients post a failed request again at once. Pure.

Time is an argument. What is kept is the rendered error, and of the request its digest.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from massgen_compat.errors import MassGenError, Overloaded, UpstreamError
from massgen_compat.protocol.answer import Answer, WireEvent
from massgen_compat.protocol.errors import ErrorReply, render_error, retry_after, row_of

CAPACITY: Final = 1000
"""Failures that are remembered; of more, the oldest are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error as its clients see it: as a reply, and as the last events of an answer.

    ``code`` is OpenAI's, for the log. ``passing``: the same request may succeed a moment later.
    """

    reply: ErrorReply
    events: tuple[WireEvent, ...]
    code: str
    passing: bool = False

    def to_wait(self, seconds: float) -> "Failure":
        """The same, saying when another try can change anything."""
        if not self.passing:
            return self
        headers = {**self.reply.headers, "Retry-After": retry_after(seconds)}
        return replace(self, reply=replace(self.reply, headers=headers))

    def final(self) -> "Failure":
        """The same for a request that was a retry already: another one would be too many."""
        headers = {**self.reply.headers, "x-should-retry": "false"}
        return replace(self, reply=replace(self.reply, headers=headers))


def failure_of(error: MassGenError, answer: Answer) -> Failure:
    """An error, rendered by the answer of the run that it ended."""
    reply = render_error(error)
    return Failure(
        reply=reply,
        events=(*answer.failed(error), *answer.end()),
        code=reply.body["error"]["code"] or "invalid_request",
        passing=row_of(error).retry and not error.spent,
    )


class FailureMemory:
    """The failures of the last ``seconds``; 0 turns it off."""

    def __init__(self, seconds: float, capacity: int = CAPACITY) -> None:
        self._seconds = seconds
        self._capacity = capacity
        self._failures: OrderedDict[bytes, _Remembered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def remember(self, request: bytes, error: MassGenError, answer: Answer, now: float) -> Failure:
        """Keep how the request failed; returns the failure, with the time to wait in it.

        A provider that says when to come back is asked again then. That a server was full or
        stopped is not the request's failure and is not kept.
        """
        failure = failure_of(error, answer)
        if isinstance(error, Overloaded) or not self._seconds:
            return failure
        told = error.retry_after if isinstance(error, UpstreamError) else None
        if told is None or not math.isfinite(told):
            told = self._seconds
        self._failures.pop(request, None)
        self._failures[request] = _Remembered(failure, now + min(self._seconds, told), now + told)
        while len(self._failures) > self._capacity:
            self._failures.popitem(last=False)
        return failure.to_wait(told)

    def recall(self, request: bytes, now: float) -> Failure | None:
        """How the request failed a moment ago, if it did."""
        remembered = self._failures.get(request)
        if remembered is None:
            return None
        if now >= remembered.until:
            del self._failures[request]
            return None
        return remembered.failure.to_wait(remembered.retry_at - now)


@dataclass(frozen=True, slots=True)
class _Remembered:
    failure: Failure
    until: float
    retry_at: float
