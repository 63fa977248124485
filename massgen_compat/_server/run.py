"""One run of a server, apart from the connections that read it.

It lives in the task of the request that started it, which stays until the run is over: also when
its own client is gone and a retry, or nobody yet, reads on.
"""

import logging
from collections.abc import Callable
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
    Sink,
    SubmissionRejected,
    TurnFinished,
    TurnStarted,
)
from massgen_compat.protocol.answer import Answer, AnswerSink


class RunCounts:
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


logger = logging.getLogger("massgen_compat")

RETRY_SECONDS = 10.0
"""What a client that is turned away is told to wait: runs take tens of seconds."""


GONE = "client_gone"
"""The outcome of a run that ended because nobody read it any more."""


class ServerRun:
    """A run: ``live`` it once, ``join`` it as often as there are clients.

    Its output is the events of its answer: many of a stream, one of a whole body. When the output
    ends, ``failure`` tells whether that was all.
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
        """How many clients read it."""
        return self._output.readers

    @property
    def joinable(self) -> bool:
        """Whether a client can still read it from the beginning."""
        return self._output.whole and not self._finished and not self._scope.cancel_called

    def join(self) -> Reader:
        """Read the run from its beginning."""
        self._scope.deadline = inf
        return self._output.reader()

    def leave(self, reader: Reader) -> None:
        """A client reads no more. The run of the last one ends, at once or after the grace."""
        self._output.leave(reader)
        if self.readers or self._finished:
            return
        grace = self._settings.retry_grace_seconds if self._has_place else 0.0
        if grace:
            self._scope.deadline = anyio.current_time() + grace
        else:
            self._scope.cancel()

    def start(self) -> None:
        """The run has a place and may start."""
        self._has_place = True
        self._may_start.notify()

    def stop(self) -> None:
        """End the run because the server ends; its clients are told."""
        self._stopped = Overloaded("The server is shutting down.", retry_after=RETRY_SECONDS)
        self._stopped.spent = self._has_place
        self._scope.cancel()

    async def live(self) -> None:
        """Wait for a place, then run to the end; never raises what the run failed with."""
        with self._scope:
            await self._wait_and_run()

    def finish(self) -> bool:
        """Close the output of a run that is over; whether this was the first time."""
        if self._finished:
            return False
        self._finished = True
        if self.outcome == GONE and self._stopped is not None:
            self._fail(self._stopped)
        elif self.outcome == GONE and self.readers:
            self._fail(Overloaded("The run was cancelled."))  # with the task that it lived in
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
        except Exception:  # the outermost boundary: a client is told, and nothing of the fault
            logger.exception("a run of %s failed", self._admitted.model)
            fault = MassGenError("The server had an error while processing your request.")
            fault.spent = True  # as far as anybody knows: a retry could pay for it again
            self._fail(fault)

    async def _run(self) -> None:
        told = AnswerSink(self.answer, self._output)
        await self._massgen.execute(self._admitted, _Counted(self.counts, told))

    def _fail(self, error: MassGenError) -> None:
        self.failure = self._failed(error, self.answer)
        self.outcome = self.failure.code


class _Counted:
    """Counts what a run tells, and tells it on."""

    def __init__(self, counts: RunCounts, events: Sink[RunEvent]) -> None:
        self.widen = events.widen
        self._hear = counts.hear
        self._send = events.send

    async def send(self, event: RunEvent, /) -> None:
        if not isinstance(event, MessageText):  # hundreds, and nothing to count
            self._hear(event)
        await self._send(event)


def full() -> Overloaded:
    """The error for a request that finds no place."""
    return Overloaded(
        "The server is busy with other requests. Please try again shortly.",
        retry_after=RETRY_SECONDS,
    )
