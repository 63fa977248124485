"""All runs of a server: which requests start a run or join one, and how runs end at a shutdown."""

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from massgen_compat._admission.catalogue import Admitted
from massgen_compat._client.massgen import MassGen
from massgen_compat._server.output import Reader
from massgen_compat._server.queue import RunQueue
from massgen_compat._server.retries import Failure, FailureMemory, Identity, RunIndex
from massgen_compat._server.run import RETRY_SECONDS, ServerRun, full
from massgen_compat._server.settings import RunSettings
from massgen_compat.errors import MassGenError, Overloaded
from massgen_compat.protocol.answer import Answer

logger = logging.getLogger("massgen_compat")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A client's reading of a run: ``reader`` gives the events of its answer."""

    run: ServerRun
    reader: Reader


class Runs:
    """The runs of one server.

    ``drain`` refuses new ones, ``end`` ends those that are left. Both have to be called on the
    thread of the event loop.
    """

    def __init__(self, massgen: MassGen, settings: RunSettings) -> None:
        self.draining = False
        self._massgen = massgen
        self._settings = settings
        self._queue: RunQueue[ServerRun] = RunQueue(settings.max_runs, settings.max_queue)
        self._index: RunIndex[ServerRun] = RunIndex()
        self._failures = FailureMemory(settings.failure_memory_seconds)

    @property
    def running(self) -> frozenset[ServerRun]:
        """The runs that have a place."""
        return self._queue.running

    @property
    def waiting(self) -> tuple[ServerRun, ...]:
        """The runs that wait for a place, the next one first."""
        return self._queue.waiting

    def drain(self) -> None:
        """Refuse new runs, and those that wait for a place, for which nothing was paid yet."""
        self.draining = True
        for run in self.waiting:
            run.stop()

    def end(self) -> None:
        """End the runs that go on. Their clients get an error."""
        for run in self.running:
            run.stop()

    def recall(self, identity: Identity) -> Failure | None:
        """How this request failed a moment ago, if it did."""
        return self._failures.recall(identity.request, time.monotonic())

    @asynccontextmanager
    async def subscription(
        self, admitted: Admitted, identity: Identity, request_id: str
    ) -> AsyncGenerator[Subscription]:
        """A subscription to the run that answers the request: one that goes on, or a new one.

        The caller leaves the context when the client has read everything, or is gone. A new run is
        executed in the task of this request, so leaving waits until no client reads the run.

        On entering it raises ``Overloaded`` if there is no place, and ``InvalidRequest`` for an
        idempotency key that stands for another request.
        """
        run = self._alive(identity)
        if run is not None:
            logger.info("request_id=%s joins run_id=%s", request_id, run.counts.run_id)
            reader = run.join()
            try:
                yield Subscription(run, reader)
            finally:
                run.leave(reader)
            return
        run = self._open(admitted, identity)
        life = _Life(run, identity, request_id, admitted.model, time.perf_counter())
        try:
            async with anyio.create_task_group() as tasks:
                reader = run.join()
                tasks.start_soon(self._live, life)
                try:
                    yield Subscription(run, reader)
                finally:
                    run.leave(reader)
        finally:
            self._over(life)  # ``_live`` does not, if it is cancelled before its first step

    def _alive(self, identity: Identity) -> ServerRun | None:
        """The run to join: the one with the fewest readers, of several the oldest."""
        if not self._settings.join_retries:
            return None
        runs = [run for run in self._index.find(identity) if run.joinable]
        return min(runs, key=lambda run: run.readers, default=None)

    def _open(self, admitted: Admitted, identity: Identity) -> ServerRun:
        if self.draining:
            raise Overloaded("The server is shutting down.", retry_after=RETRY_SECONDS)

        def failed(error: MassGenError, answer: Answer) -> Failure:
            return self._failures.remember(identity.request, error, answer, time.monotonic())

        run = ServerRun(self._massgen, admitted, self._settings, failed)
        match self._queue.arrive(run):
            case "runs":
                run.start()
            case "waits":
                pass
            case "refused":
                raise full()
        self._index.add(identity, run)
        return run

    async def _live(self, life: "_Life") -> None:
        try:
            await life.run.live()
        finally:
            self._over(life)

    def _over(self, life: "_Life") -> None:
        """Give the run's place to the next one, and log the run. Further calls do nothing."""
        run = life.run
        if not run.finish():
            return
        following = self._queue.leave(run)
        if following is not None:
            following.start()
        self._index.remove(life.identity, run)
        if not logger.isEnabledFor(logging.INFO):
            return
        fields = {
            "request_id": life.request_id,
            "run_id": run.counts.run_id,
            "team": life.team,
            "outcome": run.outcome,
            "calls": run.counts.calls,
            "tokens": run.counts.tokens,
            "seconds": round(time.perf_counter() - life.began, 3),
        }
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        logger.info("run %s", told, extra=fields)


@dataclass(frozen=True, slots=True)
class _Life:
    """A run, and what its line in the log needs."""

    run: ServerRun
    identity: Identity
    request_id: str
    team: str
    began: float
