"""Holds a run to its ``max_tokens`` and ``max_cost`` while it goes on. Pure.

A call that has ended counts with the usage that its provider reports. Every other call counts with
an estimate, never as nothing: a call that goes on, one that was cut off, and one whose provider
reports no usage. Only a call that the provider refused before its first token counts as nothing.

The estimate is a token for every three bytes, which is more than most text has, and a flat number
for every image, audio or file. The next prompt of an agent is estimated better than its first one:
the estimate is multiplied by what the last report was in relation to its estimate.

The guarantee: calls start only while the sum is below the limit, with the estimated prompts of all
calls that would start. A call that goes on counts with its estimated prompt and all that was heard
of its reply. When the limit is passed, all calls are cut off. So each call that went on can exceed
the limit by what it wrote unheard (at most the output of one turn) and by the error of its prompt's
estimate; nothing else can. What is never heard: reasoning that a provider hides, and the fees of
the tools that a provider runs. ``docs/limits.md`` says this to users.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from massgen_compat._run.message import Message, Refusal, Text
from massgen_compat._run.result import Usage
from massgen_compat._run.team import Agent, Limits, TeamSettings
from massgen_compat._run.turn import (
    CallPiece,
    ReasoningPiece,
    RefusalPiece,
    Reply,
    TextPiece,
    TurnPiece,
    TurnRequest,
)
from massgen_compat.errors import (
    ContextLengthExceeded,
    MassGenError,
    UpstreamAuthentication,
    UpstreamRateLimited,
    UpstreamRejected,
)

Cost: TypeAlias = Callable[[Usage], float]
"""A function that tells what a call with this usage costs, in US dollars."""

Limit: TypeAlias = Literal["max_tokens", "max_cost"]

BYTES_PER_TOKEN: Final = 3
MESSAGE_TOKENS: Final = 8
"""The tokens that a message or a tool has beside its text."""
PART_TOKENS: Final = 1500
"""The tokens of an image, an audio or a file. Only its provider knows the true number."""

_REFUSED: Final = (
    ContextLengthExceeded,
    UpstreamAuthentication,
    UpstreamRateLimited,
    UpstreamRejected,
)


@dataclass(slots=True, eq=False)
class MeteredCall:
    """A model call as far as it is known.

    ``guess`` is the plain estimate of its prompt in tokens, ``prompt`` the estimate corrected by
    the agent's last report. ``price``: what the prompt costs, and what a token of its output costs,
    in US dollars. ``written``: the bytes that it was heard to write.
    """

    agent: str
    guess: int
    prompt: int
    price: tuple[float, float]
    written: int = 0

    @property
    def completion(self) -> int:
        """The estimated tokens of what it was heard to write."""
        return _tokens(self.written)


class Meter:
    """Counts the tokens and the cost of one run, if there is a limit of either (``on``).

    ``costs``: by agent id, as for the ``Ledger``. Raises ``ValueError`` if ``limits`` has a
    ``max_cost`` and the price of an agent's model is unknown.
    """

    def __init__(self, limits: Limits, costs: Mapping[str, Cost | None]) -> None:
        self._max_tokens, self._max_cost = limits.max_tokens, limits.max_cost
        self._costs: dict[str, Cost] = {agent: cost for agent, cost in costs.items() if cost}
        if self._max_cost is not None and (unknown := costs.keys() - self._costs.keys()):
            raise ValueError(
                f"max_cost is set, but a price is unknown: {', '.join(sorted(unknown))}"
            )
        self.on = self._max_tokens is not None or self._max_cost is not None
        self._tokens, self._cost = 0, 0.0
        self._open: list[MeteredCall] = []
        self._reserved: dict[str, list[int]] = {}
        self._scales: dict[str, float] = {}

    def prompt(self, request: TurnRequest, *more: str) -> int:
        """Estimate the tokens of a request's prompt; ``more`` is text that will be added to it."""
        if not self.on:
            return 0
        return self._scaled(request.agent, _guess(request) + sum(_tokens(_size(t)) for t in more))

    def refused(self, planned: Mapping[str, Sequence[int]]) -> Limit | None:
        """Return the limit that leaves no room for these calls; ``None`` if they may start.

        ``planned``: by agent id, the estimated prompts of its calls in tokens. A call needs room
        for its prompt and at least one token of output. Without any call the result is the limit
        that was passed already, if one was.
        """
        if not any(planned.values()):
            return self.passed
        tokens = sum(map(sum, planned.values()))
        cost = sum(self._priced(agent, each)[0] for agent in planned for each in planned[agent])
        tokens_now, cost_now = self._now()
        if self._max_tokens is not None and tokens_now + tokens >= self._max_tokens:
            return "max_tokens"
        if self._max_cost is not None and cost_now + cost >= self._max_cost:
            return "max_cost"
        return None

    @property
    def passed(self) -> Limit | None:
        """The limit that what was counted so far has passed, if any."""
        if not self.on:
            return None
        tokens, cost = self._now()
        if self._max_tokens is not None and tokens > self._max_tokens:
            return "max_tokens"
        return "max_cost" if self._max_cost is not None and cost > self._max_cost else None

    @property
    def open(self) -> bool:
        """Whether any call goes on."""
        return bool(self._open)

    def reserve(self, planned: Mapping[str, Sequence[int]]) -> None:
        """Count these prompts until their calls start, so that nothing else takes their room.

        It replaces what was reserved for the same agents before.
        """
        for agent, prompts in planned.items():
            self._reserved[agent] = list(prompts)

    def start(self, request: TurnRequest) -> MeteredCall:
        """Count the prompt of a call that starts now, in place of one that was reserved."""
        if not self.on:
            return MeteredCall(request.agent, 0, 0, (0.0, 0.0))
        guess = _guess(request)
        prompt = self._scaled(request.agent, guess)
        call = MeteredCall(request.agent, guess, prompt, self._priced(request.agent, prompt))
        if reserved := self._reserved.get(request.agent):
            reserved.pop()
        self._open.append(call)
        return call

    def hear(self, call: MeteredCall, pieces: Iterable[TurnPiece]) -> None:
        """Count what the call has written in these pieces."""
        if self.on:
            call.written += sum(map(_said, pieces))

    def finish(self, call: MeteredCall, reply: Reply) -> None:
        """Count a call that ended: as its provider reports, or else as estimated."""
        if not self.on:
            return
        usage = reply.usage
        if usage is None:
            # What was heard can be less than the reply, e.g. where the reply came in one piece.
            call.written = max(call.written, _written(reply))
            usage = Usage(prompt_tokens=call.prompt, completion_tokens=call.completion)
        elif call.guess and usage.prompt_tokens:
            self._scales[call.agent] = usage.prompt_tokens / call.guess
        self._close(call, usage)

    def fail(self, call: MeteredCall, error: MassGenError) -> None:
        """Count a call that failed: as estimated, or as nothing if it was refused at once."""
        if call not in self._open:
            return
        nothing = isinstance(error, _REFUSED) and not call.written
        prompt = 0 if nothing else call.prompt
        self._close(call, Usage(prompt_tokens=prompt, completion_tokens=call.completion))

    def cut(self, call: MeteredCall) -> None:
        """Count a call that was cut off, as estimated; a call that has ended stays as it is."""
        if call in self._open:
            self._close(call, Usage(prompt_tokens=call.prompt, completion_tokens=call.completion))

    def _close(self, call: MeteredCall, usage: Usage) -> None:
        self._open.remove(call)
        self._tokens += usage.prompt_tokens + usage.completion_tokens
        if self._max_cost is not None:
            self._cost += self._costs[call.agent](usage)

    def _now(self) -> tuple[int, float]:
        """Add up tokens and cost of the calls that have ended, that go on and that will start."""
        tokens, cost = self._tokens, self._cost
        for call in self._open:
            tokens += call.prompt + call.completion
            cost += call.price[0] + call.price[1] * call.completion
        for agent, prompts in self._reserved.items():
            tokens += sum(prompts)
            cost += sum(self._priced(agent, prompt)[0] for prompt in prompts)
        return tokens, cost

    def _scaled(self, agent: str, guess: int) -> int:
        return round(guess * self._scales.get(agent, 1.0))

    def _priced(self, agent: str, prompt: int) -> tuple[float, float]:
        if self._max_cost is None:
            return 0.0, 0.0
        # A cost function takes the usage of a whole call, so the price of a token of output is what
        # a reply of 1000 tokens adds, by token.
        cost = self._costs[agent]
        read = cost(Usage(prompt_tokens=prompt, completion_tokens=0))
        both = cost(Usage(prompt_tokens=prompt, completion_tokens=1000))
        return read, (both - read) / 1000


def stated_cost(agent: Agent, settings: TeamSettings) -> Cost | None:
    """Return the price of the agent's calls that the team's settings state, if they do."""
    price = settings.prices.get(agent.model)
    return None if price is None else price.of


def _guess(request: TurnRequest) -> int:
    tokens = sum(map(_of_message, request.messages))
    for tool in request.tools:
        described = f"{tool.name}{tool.description}{_json(tool.parameters)}"
        tokens += MESSAGE_TOKENS + _tokens(_size(described) + _size(_json(tool.input_format)))
    return tokens + _tokens(_size(_json(request.params.get("response_format"))))


def _of_message(message: Message) -> int:
    size, tokens = 0, MESSAGE_TOKENS
    for part in message.content:
        match part:
            case Text(text) | Refusal(text):
                size += _size(text)
            case _:
                tokens += PART_TOKENS
    size += sum(_size(call.name) + _size(call.arguments) for call in message.tool_calls)
    return tokens + _tokens(size)


def _said(piece: TurnPiece) -> int:
    match piece:
        case TextPiece(text) | ReasoningPiece(text) | RefusalPiece(text):
            return _size(text)
        case CallPiece():
            return _size(piece.arguments) + _size(piece.name or "")
        case _:
            return 0


def _written(reply: Reply) -> int:
    calls = sum(_size(call.name) + _size(call.arguments) for call in reply.tool_calls)
    return _size(reply.text) + _size(reply.refusal or "") + calls


def _json(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)
