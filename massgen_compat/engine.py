"""What the author of an engine needs: ``Engine``, and the types of what goes in and out of one.

An engine executes runs. It sends the events of a run to the sink that it is given. It does so in
the task in which it is called, and leaves no task behind: so a slow reader slows down its own run
only, and a run that is cancelled stops completely. The library has two engines: its own
(``_local``) and the real MassGen (``_massgen``). ``ModelClient`` is the seam to the agents' models.
``docs/writing-an-engine.md`` has an example.
"""

from typing import Protocol

from massgen_compat._run.request import RunRequest
from massgen_compat._run.result import (
    AgentUsage,
    Answer,
    FinalMessage,
    FinishReason,
    RunResult,
    Usage,
    Vote,
)
from massgen_compat._run.team import Agent, Team, Timeouts
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
from massgen_compat.events import Detail, RunEvent, Sink

__all__ = [
    "Agent",
    "AgentUsage",
    "Answer",
    "CallPiece",
    "Detail",
    "Engine",
    "FinalMessage",
    "FinishReason",
    "Hear",
    "HostedToolUsed",
    "ModelClient",
    "Phase",
    "ReasoningPiece",
    "RefusalPiece",
    "Reply",
    "RunEvent",
    "RunRequest",
    "RunResult",
    "Sink",
    "Team",
    "TextPiece",
    "Timeouts",
    "TurnPiece",
    "TurnRequest",
    "Usage",
    "Vote",
]


class Engine(Protocol):
    """Executes runs of teams."""

    async def run(
        self,
        team: Team,
        request: RunRequest,
        events: Sink[RunEvent],
        *,
        run_id: str,
        detail: Detail,
    ) -> None:
        """Execute a run to its end, and send its events to ``events``.

        ``team`` has the agents and limits that hold for this run, and ``request`` what they are
        asked; both have been admitted. ``run_id`` is the id for ``RunStarted`` and for the result.

        The first event is ``RunStarted`` and the last one ``RunCompleted``; otherwise a
        ``MassGenError`` is raised. ``AgentText`` and ``AgentReasoning`` are sent only with the
        ``detail`` ``full``. When it is cancelled, it ends every model call that it has made. When
        the deadline of the run has passed, it calls ``events.widen``, so that a slow reader cannot
        hold the run up any longer.
        """
        ...
