"""What a run has used of its ``max_tokens`` and ``max_cost``, while it goes on. Pure.

A call that ended counts as its provider reports it. Any other call counts as estimated, never as
nothing: one that goes on, one that was cut off, one whose provider reports no usage. An estimate is
a token for every three bytes, more than most text has, plus a flat number for every image, audio or
file; how far an agent's last prompt was from its estimate corrects the next one. Only a call that
the provider refused before its first token counts as nothing.

What is guaranteed: calls start only while what is counted, with the estimated prompts of all calls
that would start, is below the limit; and a call that goes on counts with its estimated prompt and
with all that it was heard to write. So when the limit is passed, each call that goes on can exceed
it by what it has written unheard (at most one turn's output) and by what its prompt is longer than
estimated, and nothing else can. All of them are cut off at that moment. Neither the reasoning that
a provider hides nor the fees of its own tools can be heard.
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
"""What a call with that usage costs, in US dollars."""

Limit: TypeAlias = Literal["max_tokens", "max_cost"]

BYTES_PER_TOKEN: Final = 3
MESSAGE_TOKENS: Final = 8
"""What a message or a tool has beside its text."""
PART_TOKENS: Final = 1500
"""An image, audio or file. What it is for a model, only its provider knows."""

_REFUSED: Final = (
    ContextLengthExceeded,
    UpstreamAuthentication,
    UpstreamRateLimited,
    UpstreamRejected,
)


@dataclass(slots=True, eq=False)
class MeteredCall:
    """A model call as far as it is known: the estimate of its prompt, and the bytes that it wrote.

    ``price`` is what its prompt costs, and what a token costs that it writes.
    """

    agent: str
    guess: int
    prompt: int
    price: tuple[float, float]
    written: int = 0

    @property
    def completion(self) -> int:
        """The tokens that it was heard to write."""
        return _tokens(self.written)


class Meter:
    """Counts the tokens and the cost of one run, if it is ``on``: where one of them has a limit.

    ``costs`` are by agent. Raises ``ValueError`` for a limit of cost where a price is unknown.
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
        """How many tokens the prompt of a request will be; ``more`` is text that it will have."""
        if not self.on:
            return 0
        return self._scaled(request.agent, _guess(request) + sum(_tokens(_size(t)) for t in more))

    def refused(self, planned: Mapping[str, Sequence[int]]) -> Limit | None:
        """The limit that leaves no room for calls with these prompts, by agent, to say anything.

        Without calls it is the limit that was passed.
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
        """The limit that was passed."""
        if not self.on:
            return None
        tokens, cost = self._now()
        if self._max_tokens is not None and tokens > self._max_tokens:
            return "max_tokens"
        return "max_cost" if self._max_cost is not None and cost > self._max_cost else None

    @property
    def open(self) -> bool:
        """Whether a call goes on."""
        return bool(self._open)

    def reserve(self, planned: Mapping[str, Sequence[int]]) -> None:
        """These calls will be made, in place of what was reserved for the same agents before."""
        for agent, prompts in planned.items():
            self._reserved[agent] = list(prompts)

    def start(self, request: TurnRequest) -> MeteredCall:
        """A call is made: its prompt counts."""
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
        """The call says something."""
        if self.on:
            call.written += sum(map(_said, pieces))

    def finish(self, call: MeteredCall, reply: Reply) -> None:
        """The call came to its end, with or without a usage report."""
        if not self.on:
            return
        usage = reply.usage
        if usage is None:
            call.written = max(call.written, _written(reply))
            usage = Usage(prompt_tokens=call.prompt, completion_tokens=call.completion)
        elif call.guess and usage.prompt_tokens:
            self._scales[call.agent] = usage.prompt_tokens / call.guess
        self._close(call, usage)

    def fail(self, call: MeteredCall, error: MassGenError) -> None:
        """The call failed. What was refused before the first token costs nothing."""
        if call not in self._open:
            return
        nothing = isinstance(error, _REFUSED) and not call.written
        prompt = 0 if nothing else call.prompt
        self._close(call, Usage(prompt_tokens=prompt, completion_tokens=call.completion))

    def cut(self, call: MeteredCall) -> None:
        """The call was cut off, if it was still going on."""
        if call in self._open:
            self._close(call, Usage(prompt_tokens=call.prompt, completion_tokens=call.completion))

    def _close(self, call: MeteredCall, usage: Usage) -> None:
        self._open.remove(call)
        self._tokens += usage.prompt_tokens + usage.completion_tokens
        if self._max_cost is not None:
            self._cost += self._costs[call.agent](usage)

    def _now(self) -> tuple[int, float]:
        """Tokens and cost: of what has ended, what goes on and what is about to start."""
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
        cost = self._costs[agent]
        read = cost(Usage(prompt_tokens=prompt, completion_tokens=0))
        both = cost(Usage(prompt_tokens=prompt, completion_tokens=1000))
        return read, (both - read) / 1000


def stated_cost(agent: Agent, settings: TeamSettings) -> Cost | None:
    """What the team's settings say that the agent's calls cost."""
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
