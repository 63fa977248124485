"""A model that is a function, for tests that decide what every agent says and when."""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.lowlevel

from massgen_compat._aio import streamed
from massgen_compat._run.message import ToolCall, text_message
from massgen_compat._run.request import RunRequest
from massgen_compat._run.result import Usage
from massgen_compat._run.team import Team
from massgen_compat._run.turn import Hear, Phase, Reply, TextPiece, TurnEvent, TurnRequest
from massgen_compat.engine import Engine
from massgen_compat.errors import MassGenError
from massgen_compat.events import Detail, RunEvent

QUESTION = RunRequest(team="team", messages=(text_message("user", "Why is the sky blue?"),))
COST = Usage(prompt_tokens=10, completion_tokens=4, reasoning_tokens=1)


def answer(text: str) -> list[TurnEvent]:
    return [call("new_answer", f'{{"content": "{text}"}}')]


def vote(label: str) -> list[TurnEvent]:
    return [call("vote", f'{{"agent_id": "{label}", "reason": "it is right"}}')]


def call(name: str, arguments: str) -> Reply:
    calls = (ToolCall(id="call_1", name=name, arguments=arguments),)
    return Reply(tool_calls=calls, finish_reason="tool_calls", usage=COST)


def say(*pieces: str) -> list[TurnEvent]:
    return [*map(TextPiece, pieces), Reply(text="".join(pieces), usage=COST)]


def agreeable(request: TurnRequest) -> list[TurnEvent]:
    """Drafts, votes for agent1, presents."""
    match request.phase:
        case Phase.DRAFT:
            return answer(f"draft of {request.agent}")
        case Phase.EVALUATE:
            return vote("agent1")
        case Phase.PRESENT:
            return say("It ", "scatters.")


def reading(
    engine: Engine, team: Team, request: RunRequest
) -> AbstractAsyncContextManager[AsyncIterator[RunEvent]]:
    """The events of a run, for as long as the context is open."""
    detail: Detail = "full" if request.trace == "full" else "status"
    return streamed(partial(engine.run, team, request, run_id="run_1", detail=detail))


Script = Callable[[TurnRequest], Sequence[TurnEvent]]
Hold = Callable[[TurnRequest, int], Awaitable[None]]


async def never_hold(request: TurnRequest, index: int) -> None:
    await anyio.lowlevel.checkpoint()


@dataclass
class Model:
    """A model that is a function; ``hold`` is awaited before each event that it yields.

    ``on_abort`` is called when a call is cancelled.
    """

    script: Script = agreeable
    hold: Hold = never_hold
    on_abort: Callable[[], object] = bool
    requests: list[TurnRequest] = field(default_factory=list[TurnRequest])
    open: int = 0
    aborted: int = 0

    async def ask(self, request: TurnRequest, hear: Hear, /) -> Reply:
        self.requests.append(request)
        self.open += 1
        try:
            return await self._say(request, hear)
        except anyio.get_cancelled_exc_class():
            self.aborted += 1
            self.on_abort()
            raise
        finally:
            self.open -= 1

    async def _say(self, request: TurnRequest, hear: Hear) -> Reply:
        for index, event in enumerate(self.script(request)):
            await self.hold(request, index)
            if isinstance(event, Reply):
                return event
            await hear((event,))
        raise AssertionError("a script ends with a reply")


def failing(phase: Phase, error: MassGenError, *, after: int = 0) -> Script:
    """Agreeable, but raises in one phase after so many events."""

    def script(request: TurnRequest) -> Sequence[TurnEvent]:
        if request.phase is not phase:
            return agreeable(request)

        class Broken(list[TurnEvent]):
            def __iter__(self) -> Iterator[TurnEvent]:
                yield from agreeable(request)[:after]
                raise error

        return Broken()

    return script
