"""The model calls of a run: each one is passed on as it is written, counted, and limited.

It also turns those pieces of a reply that are no text and no call into events.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import anyio

from massgen_compat._coordination import LimitReached, Signal
from massgen_compat._run.team import Timeouts
from massgen_compat._run.turn import (
    CallPiece,
    Hear,
    HostedToolUsed,
    ModelClient,
    Phase,
    ReasoningPiece,
    RefusalPiece,
    Reply,
    TextPiece,
    TurnPiece,
    TurnRequest,
)
from massgen_compat._spending.clock import Clock
from massgen_compat._spending.ledger import Ledger
from massgen_compat._spending.meter import Cost, Meter, MeteredCall
from massgen_compat.errors import MassGenError, UpstreamError, UpstreamMalformed
from massgen_compat.events import (
    AgentReasoning,
    HostedToolCalled,
    ParametersDropped,
    RunEvent,
    TurnFinished,
)
from massgen_compat.policies import Policy


@dataclass(frozen=True, slots=True)
class AgentKit:
    """What the agents of a run work with, by agent id; a cost is ``None`` where it is not known."""

    models: Mapping[str, ModelClient]
    policies: Mapping[str, Policy]
    costs: Mapping[str, Cost | None]


class OtherPieces:
    """Tells the pieces of a reply that are neither text nor calls as events.

    They are reasoning, which is told only if it is ``watched``, and tools that the provider runs.
    """

    def __init__(self, emit: Callable[[RunEvent], Awaitable[None]], *, watched: bool) -> None:
        self._emit = emit
        self._watched = watched

    async def tell(self, request: TurnRequest, piece: TurnPiece) -> None:
        """Tell a piece of the turn, if it is of one of these kinds."""
        agent, number = request.agent, request.round
        match piece:
            case ReasoningPiece(text) if self._watched:
                await self._emit(AgentReasoning(agent=agent, round=number, text=text))
            case HostedToolUsed(kind):
                await self._emit(HostedToolCalled(agent=agent, round=number, tool=kind))
            case TextPiece() | ReasoningPiece() | RefusalPiece() | CallPiece():
                pass
            case _:
                assert_never(piece)


class ModelCalls:
    """Makes the model calls of one run.

    ``models``: by agent id. ``ledger`` and ``meter`` count the calls, and ``clock`` ends those that
    take too long. ``emit`` sends an event to observers, ``signal`` a signal to the coordination.
    """

    def __init__(
        self,
        models: Mapping[str, ModelClient],
        ledger: Ledger,
        meter: Meter,
        *,
        clock: Clock,
        emit: Callable[[RunEvent], Awaitable[None]],
        signal: Callable[[Signal], Awaitable[None]],
    ) -> None:
        self._models = models
        self._clock = clock
        self._ledger = ledger
        self._meter = meter
        self._emit = emit
        self._signal = signal
        self._limited = False
        self._start_lock = anyio.Lock() if len(models) > 1 else None
        self._told_drops: set[tuple[str, str]] = set()

    async def make_call(self, request: TurnRequest, hear: Hear) -> Reply:
        """Make a model call: pass the pieces of the reply to ``hear``, and return the reply.

        Raises what the call failed with: a ``MassGenError``, or what ``hear`` raised.
        """
        if self._start_lock is not None:
            # The agents of a run start at the same time, and to write a long request takes a while.
            # The lock lets the event loop go round between two of them, so that other runs go on.
            async with self._start_lock:
                pass
        self._ledger.called(request.agent)
        call = self._meter.start(request)
        try:
            reply = await self._ask(request, call, hear)
        except MassGenError as error:
            self._meter.fail(call, error)
            if request.whole and isinstance(error, UpstreamMalformed):
                # How much of a reply in one piece was written is not known, so it counts as paid.
                self._ledger.heard()
            if isinstance(error, UpstreamError):
                error.agent = request.agent
            raise
        except BaseException:
            self._meter.cut(call)
            raise
        self._ledger.finished(request.agent, reply)
        self._meter.finish(call, reply)
        if request.phase is Phase.PRESENT and self._meter.open:
            # Other messages are being written, and may have to be cut off now. At the end of any
            # other turn the limits are checked when its signal is applied: its decision counts.
            await self._heed_limits()
        await self._tell_drops(request.agent, reply.dropped)
        await self._emit(
            TurnFinished(
                agent=request.agent,
                round=request.round,
                phase=request.phase,
                usage=reply.usage,
                model=reply.model,
                effort=reply.effort,
                effort_asked=reply.effort_asked,
            )
        )
        return reply

    async def _ask(self, request: TurnRequest, call: MeteredCall, hear: Hear) -> Reply:
        with self._clock.over(request.timeouts or Timeouts()) as timer:

            async def heard(pieces: Sequence[TurnPiece]) -> None:
                timer.heard()
                self._ledger.heard()
                self._meter.hear(call, pieces)
                await hear(pieces)
                if self._meter.on:
                    await self._heed_limits()
                timer.waits()

            return await self._models[request.agent].ask(request, heard)

    async def _heed_limits(self) -> None:
        """Tell the coordination, once, that the calls of the run have passed a limit."""
        if not self._limited and (limit := self._meter.passed):
            self._limited = True
            await self._signal(LimitReached(limit))

    async def _tell_drops(self, agent: str, dropped: tuple[str, ...]) -> None:
        new = tuple(name for name in dropped if (agent, name) not in self._told_drops)
        if new:
            self._told_drops.update((agent, name) for name in new)
            await self._emit(ParametersDropped(agent=agent, parameters=new))
