"""The fault matrix as data: what a provider does, to whom, and how the run has to end.

A team of three agents, ``a``, ``b`` and ``c``, answers. Undisturbed it makes seven calls: three
drafts, three votes for ``a``, one message by ``a``. ``docs/faults.md`` prints this file.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from massgen_compat._run.message import Json
from massgen_compat._run.result import FinishReason
from massgen_compat._run.team import Api, StreamTurns, Timeouts
from tests.faults.upstream import NORMAL, SECRET, Wire

Who: TypeAlias = Literal["one", "all", "before", "after"]
WHO: Final[Mapping[Who, str]] = {
    "one": "one agent",
    "all": "all agents",
    "before": "the presenter, before its first token",
    "after": "the presenter, after its first token",
}
MESSAGE: Final = "Blue light scatters most."
WORDS: Final = 2
"""So many words of the message are there before what happens after the first token."""
CUT_MESSAGE: Final = "Blue light "
PROVIDERS_WAIT: Final = "2"
REMEMBERED: Final = "10"
"""Seconds for which a failure is told again without a run: the same request has to wait so long."""
DEFAULT_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The run ends with a message. ``calls`` counts the requests that reached the provider."""

    calls: int
    presenter: str | None
    content: str | None = MESSAGE
    finish: FinishReason = "stop"
    arguments: str | None = None


@dataclass(frozen=True, kw_only=True)
class Error:
    """An error as HTTP, and ``event``: its type and code in a stream."""

    status: int
    type: str
    code: str
    event: tuple[str, str]
    param: str | None = None
    retry_after: str | None = None
    may_retry: bool = True


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The run ends with an error."""

    calls: int
    error: Error


Outcome: TypeAlias = Answer | Failure


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """How the run ends, by who fails; ``None`` where this cannot happen."""

    one: Outcome
    all: Outcome
    before: Outcome
    after: Outcome | None = None

    def of(self, who: Who) -> Outcome | None:
        """How the run ends."""
        return {"one": self.one, "all": self.all, "before": self.before, "after": self.after}[who]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault, what makes it, and how runs end.

    ``says`` is the step of the script language that makes it, ``early`` another one for a message
    that does not begin, ``late`` for one that has begun. ``wire`` is what a script cannot say.
    ``tools``: the request has a tool. ``refused``: nobody is there. ``whole``: the error where
    replies come in one piece, if it is another one.
    """

    name: str
    does: str
    ends: Outcomes
    says: Json = field(default_factory=dict[str, object])
    early: Json | None = None
    late: Json | None = None
    wire: Wire = NORMAL
    tools: bool = False
    refused: bool = False
    whole: Error | None = None
    timeouts: Timeouts = DEFAULT_TIMEOUTS


def server_error(status: int, code: str) -> Error:
    """An error after which the same request may succeed."""
    return Error(
        status=status,
        type="server_error",
        code=code,
        event=("server_error", code),
        retry_after=REMEMBERED,
    )


def final(error: Error) -> Error:
    """The error where a retry cannot help, or pays again."""
    return replace(
        error,
        event=("invalid_request_error", "coordination_failed"),
        may_retry=False,
        retry_after="1" if error.status == 429 else None,
    )


RATE: Final = Error(
    status=429,
    type="rate_limit_error",
    code="rate_limit_exceeded",
    event=("rate_limit_exceeded", "rate_limit_exceeded"),
    retry_after=REMEMBERED,
)
AUTHENTICATION: Final = final(server_error(502, "upstream_authentication"))
REJECTED: Final = final(server_error(502, "upstream_rejected"))
UNREACHABLE: Final = server_error(502, "upstream_unreachable")
MALFORMED: Final = server_error(502, "upstream_malformed")
LATE: Final = final(server_error(504, "upstream_timeout"))
TOO_LONG: Final = Error(
    status=400,
    type="invalid_request_error",
    code="context_length_exceeded",
    event=("invalid_request_error", "context_length_exceeded"),
    param="messages",
)


def leaving(requests: int, error: Error, late: Error | None = None) -> Outcomes:
    """A fault that makes an agent leave, after so many requests for its call."""
    return Outcomes(
        one=Answer(calls=2 + requests + 2 + 1, presenter="a"),
        all=Failure(calls=3 * requests, error=error),
        before=Answer(calls=3 + 3 + requests + 1, presenter="b"),
        after=None if late is None else Failure(calls=3 + 3 + 1, error=final(late)),
    )


def refusal(status: int, **more: object) -> Json:
    """The provider answers with a status, and says too much in it."""
    message = f"No. Your key was {SECRET}."
    return {"fail": {"status": status, "message": message, **more}}


def told_late(status: int, code: str) -> Json:
    """The stream of a message ends in an error event."""
    return {"text": MESSAGE, **refusal(status, code=code, after_tokens=WORDS)}


def broken(kind: str, after: int) -> Json:
    """The reply breaks off, or stalls, after so many tokens."""
    return {"text": MESSAGE, "fail": {kind: True, "after_tokens": after}}


def stopping(after: int) -> Json:
    """A reply that stops before its call; what stops it is on the wire."""
    call: Json = {"name": "new_answer", "arguments": {}}
    return {**broken("cut", after), "calls": [call]}


def stop(reason: str, finish: FinishReason) -> bytes:
    """The end of a reply that was stopped, on both wires: each leaves out the other's."""
    incomplete: Json = {
        "status": "incomplete",
        "incomplete_details": {"reason": reason},
        "output": [],
    }
    event: Json = {"type": "response.incomplete", "response": incomplete}
    chunk: Json = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    return b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in (event, chunk))


def stopped(reason: str, finish: FinishReason) -> bytes:
    """The same as a whole reply, on both wires: each leaves out the other's."""
    part: Json = {"type": "output_text", "text": CUT_MESSAGE}
    item: Json = {"type": "message", "role": "assistant", "content": [part]}
    message: Json = {"role": "assistant", "content": CUT_MESSAGE}
    body: Json = {
        "status": "incomplete",
        "incomplete_details": {"reason": reason},
        "output": [item],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    return json.dumps(body).encode()


STALLING: Final = Timeouts(first_token_seconds=2.0, between_tokens_seconds=2.0)

FAULTS: Final = (
    Fault(
        name="429",
        does="429 without `Retry-After`",
        says=refusal(429),
        late=told_late(429, "rate_limit_exceeded"),
        ends=leaving(3, RATE, RATE),
    ),
    Fault(
        name="429-wait",
        does="429 with `Retry-After: 2`",
        says=refusal(429, retry_after=2),
        ends=leaving(3, replace(RATE, retry_after=PROVIDERS_WAIT)),
    ),
    Fault(name="401", does="401", says=refusal(401), ends=leaving(1, AUTHENTICATION)),
    Fault(name="403", does="403", says=refusal(403), ends=leaving(1, AUTHENTICATION)),
    Fault(name="404", does="404", says=refusal(404), ends=leaving(1, REJECTED)),
    Fault(
        name="500",
        does="500",
        says=refusal(500),
        late=told_late(500, "server_error"),
        ends=leaving(3, UNREACHABLE, UNREACHABLE),
    ),
    Fault(name="503", does="503", says=refusal(503), ends=leaving(3, UNREACHABLE)),
    Fault(
        name="refused",
        does="the connection is refused",
        refused=True,
        ends=leaving(0, UNREACHABLE),
    ),
    Fault(
        name="reset",
        does="the connection is reset before the first byte",
        wire=Wire(reset=True),
        ends=leaving(3, UNREACHABLE),
    ),
    Fault(
        name="cut",
        does="the reply is cut in its middle",
        says=broken("cut", WORDS),
        early=broken("cut", 0),
        late=broken("cut", WORDS),
        ends=leaving(1, final(MALFORMED), MALFORMED),
    ),
    Fault(
        name="silent",
        does="nothing is ever answered",
        wire=Wire(silent=True),
        timeouts=STALLING,
        ends=leaving(1, LATE),
    ),
    Fault(
        name="stall",
        does="the reply begins and stalls",
        says=broken("stall", WORDS),
        early=broken("stall", 0),
        late=broken("stall", WORDS),
        timeouts=STALLING,
        ends=leaving(1, LATE, LATE),
    ),
    Fault(
        name="not-sse",
        does="the reply is no event stream",
        says=broken("cut", 0),
        late=broken("cut", WORDS),
        wire=Wire(tail=b"<html>\xff\xfe: no events\r\r\n\ndata\n\n"),
        whole=final(MALFORMED),
        ends=leaving(1, MALFORMED, MALFORMED),
    ),
    Fault(
        name="not-json",
        does="an event is no JSON",
        says=broken("cut", 0),
        late=broken("cut", WORDS),
        wire=Wire(tail=b'data: {"choices": [{"delta": \n\n'),
        whole=final(MALFORMED),
        ends=leaving(1, MALFORMED, MALFORMED),
    ),
    Fault(
        name="empty",
        does="the reply has no text and no call",
        says={"text": ""},
        ends=Outcomes(
            one=Answer(calls=2 + 2 + 2 + 1, presenter="a"),
            all=Failure(calls=6, error=final(MALFORMED)),
            before=Answer(calls=8, presenter="b"),
        ),
    ),
    Fault(
        name="incomplete",
        does="the reply stops at a limit of tokens, without a call",
        says=stopping(WORDS),
        early=stopping(0),
        late=stopping(WORDS),
        wire=Wire(
            tail=stop("max_output_tokens", "length"),
            whole=stopped("max_output_tokens", "length"),
        ),
        ends=Outcomes(
            one=Answer(calls=4 + 4 + 1, presenter="a"),
            all=Answer(calls=6 + 6 + 1, presenter="a", content=CUT_MESSAGE, finish="length"),
            before=Answer(calls=8, presenter="b"),
            after=Answer(calls=7, presenter="a", content=CUT_MESSAGE, finish="length"),
        ),
    ),
    Fault(
        name="filter",
        does="the reply stops at the content filter, without a call",
        says=stopping(WORDS),
        early=stopping(0),
        late=stopping(WORDS),
        wire=Wire(
            tail=stop("content_filter", "content_filter"),
            whole=stopped("content_filter", "content_filter"),
        ),
        ends=Outcomes(
            one=Answer(calls=4 + 4 + 1, presenter="a"),
            all=Answer(
                calls=6 + 6 + 1, presenter="a", content=CUT_MESSAGE, finish="content_filter"
            ),
            before=Answer(calls=8, presenter="b"),
            after=Answer(calls=7, presenter="a", content=CUT_MESSAGE, finish="content_filter"),
        ),
    ),
    Fault(
        name="arguments",
        does="a call's arguments are broken JSON",
        says={"calls": [{"name": "new_answer", "arguments": '{"content": "Blue li'}]},
        early={"calls": [{"name": "look_up", "arguments": '{"word": "sk'}]},
        tools=True,
        ends=Outcomes(
            one=Answer(calls=2 + 3 + 2 + 1, presenter="a"),
            all=Failure(calls=9, error=final(MALFORMED)),
            before=Answer(
                calls=7,
                presenter="a",
                content=None,
                finish="tool_calls",
                arguments='{"word": "sk',
            ),
        ),
    ),
    Fault(
        name="tool",
        does="an unknown tool is called",
        says={"calls": [{"name": "teleport", "arguments": {}}]},
        ends=Outcomes(
            one=Answer(calls=2 + 3 + 2 + 1, presenter="a"),
            all=Failure(calls=9, error=final(MALFORMED)),
            before=Answer(calls=8, presenter="b"),
        ),
    ),
    Fault(
        name="context",
        does="400 `context_length_exceeded`",
        says=refusal(400, code="context_length_exceeded"),
        ends=leaving(1, TOO_LONG),
    ),
)


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix: one request to a team of its own."""

    fault: Fault
    who: Who
    stream: bool
    turns: StreamTurns
    api: Api
    expected: Outcome

    def __str__(self) -> str:
        mode = "stream" if self.stream else "whole"
        return f"{self.fault.name}-{self.who}-{mode}-{self.turns}-{self.api}"


def cells() -> Iterator[Cell]:
    """All cells that can happen."""
    apis: tuple[Api, ...] = ("responses", "chat")
    for fault in FAULTS:
        for who in WHO:
            expected = fault.ends.of(who)
            if expected is None:
                continue
            for stream in (False, True):
                for api in apis:
                    yield Cell(fault, who, stream, "always", api, expected)
                    if who in {"one", "all"}:  # presenters are always streamed
                        yield Cell(fault, who, stream, "auto", api, _whole(fault, expected))


def _whole(fault: Fault, expected: Outcome) -> Outcome:
    """How much of a whole reply was written, and paid for, nobody knows where it is unreadable."""
    if fault.whole is None or isinstance(expected, Answer):
        return expected
    return replace(expected, error=fault.whole)
