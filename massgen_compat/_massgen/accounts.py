"""What the model calls of one run share: whom they tell, what they cost, which of them are open."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from massgen_compat._massgen.chunks import AgentStatus
from massgen_compat._massgen.translate import Translator
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import TeamSettings
from massgen_compat._run.turn import Reply, TurnRequest
from massgen_compat._spending.clock import Clock
from massgen_compat._spending.ledger import Ledger
from massgen_compat._spending.meter import Meter
from massgen_compat.errors import MassGenError
from massgen_compat.events import RunEvent


class OpenCall(Protocol):
    """A model call that goes on: it can be aborted, and it says when it is over."""

    scope: anyio.CancelScope
    ended: anyio.Event


@dataclass(slots=True)
class MassGenRun:
    """What the calls of one run share."""

    request: RunRequest
    settings: TeamSettings
    translator: Translator
    ledger: Ledger
    meter: Meter
    tasks: TaskGroup
    clock: Clock
    emit: Callable[[RunEvent], Awaitable[None]]
    limit: Callable[[str], None]
    status: Callable[[], AgentStatus]
    open: set[OpenCall] = field(default_factory=set[OpenCall])
    failures: list[MassGenError] = field(default_factory=list[MassGenError])
    left: dict[str, MassGenError] = field(default_factory=dict[str, MassGenError])
    replies: list[Reply] = field(default_factory=list[Reply])
    calls: int = 0

    async def begin(self, turn: TurnRequest, prompt: int) -> None:
        """Count a call that is about to start; a limit that is reached ends the run instead."""
        most = self.settings.limits.max_calls
        limit = "max_calls" if most is not None and self.calls >= most else None
        limit = limit or self.meter.refused({turn.agent: (prompt,)})
        if limit is not None:
            self.limit(limit)
            await anyio.sleep_forever()
        self.calls += 1
        self.ledger.called(turn.agent)

    async def settle(self, *, patience: float) -> None:
        """Wait for the calls that go on to end; after so many seconds they are aborted."""
        with anyio.move_on_after(patience):
            await self._all_ended()
        for call in self.open:
            call.scope.cancel()
        await self._all_ended()

    async def _all_ended(self) -> None:
        while self.open:
            await next(iter(self.open)).ended.wait()
