"""What an engine's author needs: ``Engine``, what a run tells, and the way to the agents' models.

An engine executes runs. It tells what happens to whoever is given to it (a ``Sink`` of
``events.RunEvent``), in the task that it was called in, and ends with it; so a slow reader slows
its own run, and nothing is left of a run that was cancelled. The library has two: its own
(``_local``) and the real MassGen (``_massgen``).
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
    """Executes runs."""

    async def run(
        self,
        team: Team,
        request: RunRequest,
        events: Sink[RunEvent],
        *,
        run_id: str,
        detail: Detail,
    ) -> None:
        """Execute a run to its end. Cancelled, it ends every model call that it made.

        It tells ``RunStarted`` first and ``RunCompleted`` last, or raises a ``MassGenError``. What
        the agents write beside the message is told with the ``detail`` ``full`` only. Where its
        deadline has passed it widens ``events``, and waits no more for who does not listen.
        """
        ...
