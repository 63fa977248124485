"""One run of a server. It is independent of the connections that read it.

It runs in the task of the request that started it. That task stays until the run is over, also if
its own client has left and only the client of a retry reads, or none does for a while
(``retry_grace_seconds``).
"""

import logging
from collections.abc import Callable, Sequence
from math import inf

import anyio

from massgen_compat._admission.catalogue import Admitted
from massgen_compat._aio import Notifier
from massgen_compat._client.massgen import MassGen
from massgen_compat._server.output import KEEP_BYTES, Output, Reader
from massgen_compat._server.retries import Failure, failure_of
from massgen_compat._server.settings import RunSettings
from massgen_compat.errors import MassGenError, Overloaded
from massgen_compat.events import (
    MessageText,
    RunCompleted,
    RunEvent,
    RunStarted,
    SubmissionRejected,
    TurnFinished,
    TurnStarted,
)
from massgen_compat.protocol.answer import Answer, AnswerSink, WireEvent

logger = logging.getLogger("massgen_compat")

RETRY_SECONDS = 10.0
"""How long a client that is turned away is told to wait: runs take tens of seconds."""

GONE = "client_gone"
"""The outcome of a run that ended because nobody read it any more."""


class ServerRun:
    """A run: ``live`` is called once, ``join`` once for each client.

    Its output has the events of its answer, many for a stream and one for a whole body. ``failure``
    is set before the output ends if the run failed. ``outcome`` is for the log: ``completed``, the
    failure's code, or ``GONE``. ``failed`` makes the failure of an error.
    """

    def __init__(
        self,
        massgen: MassGen,
        admitted: Admitted,
        settings: RunSettings,
        failed: Callable[[MassGenError, Answer], Failure] = failure_of,
    ) -> None:
        self.counts = RunCounts()
        self.failure: Failure | None = None
        self.outcome = GONE
        self.answer = massgen.open_answer(admitted)
        self._massgen = massgen
        self._admitted = admitted
        self._settings = settings
        self._failed = failed
        self._output = Output(KEEP_BYTES if settings.join_retries else 0)
        self._scope = anyio.CancelScope()
        self._has_place = False
        self._may_start = Notifier()
        self._stopped: Overloaded | None = None
        self._finished = False

    @property
    def readers(self) -> int:
        """How many clients read the run."""
        return self._output.readers

    @property
    def joinable(self) -> bool:
        """Whether another client can read the run from its beginning."""
        return self._output.whole and not self._finished and not self._scope.cancel_called

    def join(self) -> Reader:
        """A reader at the beginning of the run. The run goes on at least as long as it reads."""
        self._scope.deadline = inf
        return self._output.reader()

    def leave(self, reader: Reader) -> None:
        """End a reader. After the last one the run ends: at once, or after the grace period."""
        self._output.leave(reader)
        if self.readers or self._finished:
            return
        grace = self._settings.retry_grace_seconds if self._has_place else 0.0
        if grace:
            self._scope.deadline = anyio.current_time() + grace
        else:
            self._scope.cancel()

    def start(self) -> None:
        """Let the run start: it has a place."""
        self._has_place = True
        self._may_start.notify()

    def stop(self) -> None:
        """End the run, because the server ends. Its clients get an error."""
        self._stopped = Overloaded("The server is shutting down.", retry_after=RETRY_SECONDS)
        self._stopped.spent = self._has_place
        self._scope.cancel()

    async def live(self) -> None:
        """Wait for a place, then run to the end. Errors of the run are kept in ``failure``."""
        with self._scope:
            await self._wait_and_run()

    def finish(self) -> bool:
        """Close the output of a run that is over. Returns whether this was the first call."""
        if self._finished:
            return False
        self._finished = True
        if self.outcome == GONE and self._stopped is not None:
            self._fail(self._stopped)
        elif self.outcome == GONE and self.readers:
            # The task in which the run was executed was cancelled from outside.
            self._fail(Overloaded("The run was cancelled."))
        self._output.close()
        return True

    async def _wait_and_run(self) -> None:
        if not self._has_place:
            with anyio.move_on_after(self._settings.queue_seconds):
                await self._may_start.wait()
        if not self._has_place:
            self._fail(full())
            return
        try:
            await self._run()
            self.outcome = "completed"
        except MassGenError as error:
            self._fail(error)
        except Exception:  # the outermost boundary: clients get an error without any detail
            logger.exception("a run of %s failed", self._admitted.model)
            fault = MassGenError("The server had an error while processing your request.")
            fault.spent = True  # calls may have been paid for: a retry could pay again
            self._fail(fault)

    async def _run(self) -> None:
        await self._massgen.execute(self._admitted, AnswerSink(self._feed, self._output))

    def _feed(self, event: RunEvent) -> Sequence[WireEvent]:
        if not isinstance(event, MessageText):  # there are hundreds, with nothing to count
            self.counts.hear(event)
        return self.answer.feed(event)

    def _fail(self, error: MassGenError) -> None:
        self.failure = self._failed(error, self.answer)
        self.outcome = self.failure.code


def full() -> Overloaded:
    """The error for a request for which there is no place."""
    return Overloaded(
        "The server is busy with other requests. Please try again shortly.",
        retry_after=RETRY_SECONDS,
    )


class RunCounts:
    """Counts model calls and tokens while a run goes on, for the log.

    ``tokens`` is the sum of what providers reported. ``run_id`` is ``-`` until the run has started.
    """

    def __init__(self) -> None:
        self.run_id = "-"
        self.calls = 0
        self.tokens = 0

    def hear(self, event: RunEvent) -> None:
        """Count an event. The last one of a run that completes has the exact number of calls."""
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
