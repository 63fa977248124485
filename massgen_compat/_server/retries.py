"""Retries: which requests are the same one again, and how requests failed a moment ago. Pure.

A request is known by an ``Identity``. ``RunIndex`` finds the run that already answers it, so that a
retry joins that run and pays for no other. ``FailureMemory`` gives a request that has just failed
the same error, without a run. Only digests are kept, never a key or a body.
"""

import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from massgen_compat.errors import InvalidRequest, MassGenError, Overloaded, UpstreamError
from massgen_compat.protocol.answer import Answer, WireEvent
from massgen_compat.protocol.errors import ErrorReply, render_error, retry_after, row_of

RunT = TypeVar("RunT", bound=Hashable)

MAX_KEY: Final = 255
"""Characters of an ``Idempotency-Key``."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What identifies a request: ``request`` is a digest of its client and its body.

    ``key`` is a digest of its client and its ``Idempotency-Key``, ``None`` without one. ``retry``:
    the client says that it has sent this request before.
    """

    request: bytes
    key: bytes | None = None
    retry: bool = False


def identify(
    client: bytes,
    payload: Mapping[str, Any],
    *,
    idempotency_key: str | None = None,
    retry_count: str | None = None,
) -> Identity:
    """The identity of a request.

    ``client`` is what stands for the client: its API key, or its address. ``payload`` is the body;
    the order of its members makes no difference. ``idempotency_key`` and ``retry_count`` are the
    values of ``Idempotency-Key`` and ``x-stainless-retry-count``. Raises ``InvalidRequest`` for a
    key that is too long.
    """
    if idempotency_key is not None and len(idempotency_key) > MAX_KEY:
        raise InvalidRequest(f"The Idempotency-Key is too long: at most {MAX_KEY} characters.")
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Identity(
        request=_digest(client, canonical),
        key=_digest(client, idempotency_key) if idempotency_key else None,
        retry=bool(retry_count) and retry_count.isdecimal() and retry_count.strip("0") != "",
    )


def _digest(client: bytes, text: str) -> bytes:
    return hashlib.sha256(hashlib.sha256(client).digest() + text.encode()).digest()


class RunIndex(Generic[RunT]):
    """The runs that go on, by the requests that they answer."""

    def __init__(self) -> None:
        self._by_request: dict[bytes, list[RunT]] = {}
        self._by_key: dict[bytes, tuple[bytes, RunT]] = {}

    def add(self, identity: Identity, run: RunT) -> None:
        """Add a run: it answers this request from now on."""
        if identity.key is not None:
            self._by_key[identity.key] = identity.request, run
        else:
            self._by_request.setdefault(identity.request, []).append(run)

    def remove(self, identity: Identity, run: RunT) -> None:
        """Remove a run that is over."""
        if identity.key is not None:
            if self._by_key.get(identity.key, (b"", None))[1] == run:
                del self._by_key[identity.key]
            return
        runs = self._by_request.get(identity.request, [])
        if run in runs:
            runs.remove(run)
        if not runs:
            self._by_request.pop(identity.request, None)

    def find(self, identity: Identity) -> list[RunT]:
        """The runs that already answer this request, oldest first.

        A request with a key finds the run of that key. One without finds runs only if it is a
        retry, since a client that sends two equal requests may want two answers.

        Raises ``InvalidRequest`` for a key that stands for another request. The status is 400 and
        not 409, because the SDKs send a request again after a 409, and this one would never
        succeed.
        """
        if identity.key is None:
            return list(self._by_request.get(identity.request, ())) if identity.retry else []
        request, run = self._by_key.get(identity.key, (identity.request, None))
        if request != identity.request:
            raise InvalidRequest(
                "This Idempotency-Key belongs to a request with another body, which is still "
                "being answered. Use a new key for every request.",
                code="idempotency_key_reused",
            )
        return [] if run is None else [run]


# Failures

CAPACITY: Final = 1000
"""How many failures are remembered. Of more, the oldest are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error as its clients see it: as an HTTP ``reply``, and as the last ``events`` of a stream.

    ``code`` is OpenAI's, for the log. ``passing``: the same request may succeed a moment later.
    """

    reply: ErrorReply
    events: tuple[WireEvent, ...]
    code: str
    passing: bool = False

    def to_wait(self, seconds: float) -> "Failure":
        """The failure with the seconds after which another try makes sense, if it is passing."""
        if not self.passing:
            return self
        headers = {**self.reply.headers, "Retry-After": retry_after(seconds)}
        return replace(self, reply=replace(self.reply, headers=headers))

    def final(self) -> "Failure":
        """The failure for a request that is a retry already: its client is told not to try
        again."""
        headers = {**self.reply.headers, "x-should-retry": "false"}
        return replace(self, reply=replace(self.reply, headers=headers))


def failure_of(error: MassGenError, answer: Answer) -> Failure:
    """The failure that an error is, as the answer of its run renders it."""
    reply = render_error(error)
    return Failure(
        reply=reply,
        events=(*answer.failed(error), *answer.end()),
        code=reply.body["error"]["code"] or "invalid_request",
        passing=row_of(error).retry and not error.spent,
    )


class FailureMemory:
    """The failures of the last ``seconds``, by request. With 0 nothing is remembered."""

    def __init__(self, seconds: float, capacity: int = CAPACITY) -> None:
        self._seconds = seconds
        self._capacity = capacity
        self._failures: OrderedDict[bytes, _Remembered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def remember(self, request: bytes, error: MassGenError, answer: Answer, now: float) -> Failure:
        """Remember how the request failed, at the time ``now`` (seconds), and return the failure.

        It says how long the client is to wait: until the provider wants to be asked again, if that
        has said when, else until the failure is forgotten. ``Overloaded`` is not remembered: it is
        the server's state, and not a failure of the request.
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
        """How the request failed a moment ago, if it did; ``now`` is in seconds."""
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
