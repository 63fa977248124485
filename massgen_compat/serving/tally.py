"""What a run has done, counted from its events, for the line of the log that it leaves. Pure."""

from massgen_compat.events import (
    RunCompleted,
    RunEvent,
    RunStarted,
    SubmissionRejected,
    TurnFinished,
    TurnStarted,
)


class Tally:
    """Counts model calls and tokens as they happen; a run that completes tells them itself.

    ``tokens`` sums what providers reported; ``run_id`` is ``-`` until the run has started.
    """

    def __init__(self) -> None:
        self.run_id = "-"
        self.calls = 0
        self.tokens = 0

    def hear(self, event: RunEvent) -> None:
        """Count the event."""
        match event:
            case RunStarted():
                self.run_id = event.run_id
            case TurnStarted() | SubmissionRejected():  # a rejected turn is asked again
                self.calls += 1
            case TurnFinished() if event.usage is not None:
                self.tokens += event.usage.prompt_tokens + event.usage.completion_tokens
            case RunCompleted():
                self.calls = sum(agent.calls for agent in event.result.agents)
            case _:
                pass
