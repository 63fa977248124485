"""``docs/faults.md``, from the matrix: ``python -m tests.faults.page`` writes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.faults.matrix import FAULTS, PROVIDERS_WAIT, WHO, Answer, Error, Failure, Outcome

PAGE: Final = Path(__file__).parents[2] / "docs" / "faults.md"

_INTRODUCTION: Final = """\
# When a provider fails

What a run does when the provider of one agent, of all agents or of the presenter fails, and what
it costs. Every cell below is a test over real sockets (`tests/faults`), streamed and whole, with
providers on Responses and on Chat Completions, and with agents' turns streamed and in one piece
(see below); all of them end the same way. In every cell each call to the provider has ended when
its run has, no task or connection is left behind, and no response holds a key, a path, an address
or a traceback.

The team has three agents. Undisturbed it makes seven calls: three drafts, three votes for the first
agent, and the first agent's message. An agent that fails leaves the run; the others decide. A
presenter that fails before its first token is followed by the next in rank; after it, the run
fails, because the client has a part of the message already. The number is that of the requests
which reached the provider: 429, 5xx and connections that break before a reply are tried three times
by OpenAI's SDK."""

_AFTER: Final = """\
## The errors

As a whole response, an error is a status with OpenAI's body. In a stream, which has begun with 200
by then, it is an event. `no` under *retry*: model calls were paid for, or the same request cannot
succeed. Then the event has the form that clients do not retry, and a response whose status they
would retry has `x-should-retry: false`."""

_TIMEOUTS: Final = """\
## Time

```yaml
massgen_compat:
  timeouts:
    connect_seconds: 5           # a connection to a provider, each time it is tried
    first_token_seconds: 600     # the first piece of a reply, all tries included
    between_tokens_seconds: 300  # every further piece
    turn_seconds: 900            # a whole model call
  straggler_grace_seconds: 10    # what is left for the others once a majority agrees
  limits:
    deadline_seconds: 1800       # a whole run
timeout_settings:                # MassGen's own, unset by default
  initial_round_timeout_seconds: 300
  subsequent_round_timeout_seconds: 120
```

An agent beyond one of the `timeouts` leaves the run. Comments, and events without a piece of the
reply, are no signs of life; the time that a slow reader takes is not the provider's. At the
deadline the best answer so far is the answer. A request that is not streamed gets a deadline just
below its client's timeout, where the client tells it (`x-stainless-read-timeout` and
`x-stainless-timeout`, as OpenAI's SDKs do), so that the answer arrives before the client gives up
and pays for another run.

## Turns in one piece

```yaml
massgen_compat:
  stream_turns: auto  # or always
```

While agents draft and evaluate, nobody reads along, and a streamed reply costs more than twice as
much to hear as a whole one ([performance.md](performance.md)). So with `auto`, the default, these
turns are asked for without `stream`. The final message is always streamed. So are all turns of a
team

- with `trace: full`, which shows them as they are written;
- with `max_tokens` or `max_cost`, which cut off what is being written;
- with a `first_token_seconds` or `between_tokens_seconds` of its own: a whole reply gives no sign
  of life, and only `turn_seconds` bounds it;

and those of an agent with tools that its provider runs (`enable_web_search` and the like), which
are told as they happen. What is lost with a whole reply:

- **Signs of life.** Nothing is sent until the reply is there. A gateway or a NAT on the way to the
  model that cuts silent connections (nginx after 60 seconds, Cloudflare after 100, many NATs after
  some minutes) cuts turns that take longer. After a 408, 504 or 524 the next turns of that model
  are streamed for as long as the process lives, and a model that refuses a reply in one piece is
  asked again, streamed, at once; a connection that breaks before the answer is tried again by
  OpenAI's SDK, up to twice. Where that is not enough: `always`.
- **Where it broke.** How much of an unreadable reply was written nobody knows, so it counts as paid
  for: the run's error is one that clients do not retry.

An agent whose turn is cancelled (a peer's new answer, the deadline, the client left) closes its
connection either way. Whether a provider stops to write then, and to charge, is up to the provider;
its usage is never reported."""


def page() -> str:
    """The page."""
    return "\n".join((*_lines(), ""))


def _lines() -> Iterator[str]:
    yield from (_INTRODUCTION, "", f"| fault | {' | '.join(WHO.values())} |")
    yield f"|---|{'---|' * len(WHO)}"
    for fault in FAULTS:
        shown = " | ".join(_outcome(fault.ends.of(who)) for who in WHO)
        yield f"| {fault.does} | {shown} |"
    yield from ("", "-: cannot happen.", "", _AFTER, "")
    yield from (
        "| status | type and code | in a stream | retry | headers |",
        "|---|---|---|---|---|",
    )
    yield from sorted({_error(each) for each in _errors() if each.retry_after != PROVIDERS_WAIT})
    yield from ("", _TIMEOUTS)


def _errors() -> Iterator[Error]:
    for fault in FAULTS:
        for who in WHO:
            outcome = fault.ends.of(who)
            if isinstance(outcome, Failure):
                yield outcome.error


def _outcome(outcome: Outcome | None) -> str:
    match outcome:
        case None:
            return "-"
        case Failure():
            return f"{outcome.error.status} `{outcome.error.code}`, {_calls(outcome.calls)}"
        case Answer():
            who = "the second agent presents" if outcome.presenter == "b" else "answer"
            what = "the calls, as written" if outcome.arguments else who
            how = (
                f" with `{outcome.finish}`" if outcome.finish not in {"stop", "tool_calls"} else ""
            )
            return f"{what}{how}, {_calls(outcome.calls)}"


def _calls(count: int) -> str:
    return f"{count or 'no'} request{'s' if count != 1 else ''}"


def _error(error: Error) -> str:
    event = " ".join(f"`{word}`" for word in error.event)
    wait = error.retry_after
    own = "the provider's, or " if error.status == 429 else ""
    headers = f"`Retry-After`: {own}{wait}" if wait else ""
    retry = "yes" if error.may_retry else "no"
    if error.status < 500 and error.status != 429:
        retry = "no"
    words = f"`{error.type}` `{error.code}`"
    return f"| {error.status} | {words} | {event} | {retry} | {headers} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
