"""Which runs go on and which wait: a bounded number of places, and a bounded queue. Pure."""

from collections.abc import Hashable
from typing import Generic, Literal, TypeAlias, TypeVar

RunT = TypeVar("RunT", bound=Hashable)
Arrival: TypeAlias = Literal["runs", "waits", "refused"]


class RunQueue(Generic[RunT]):
    """Places for ``max_runs`` runs, given in order of arrival, and a queue for ``max_queue``.

    No run waits while a place is free, and none overtakes another.
    """

    def __init__(self, max_runs: int, max_queue: int) -> None:
        self._max_runs = max_runs
        self._max_queue = max_queue
        self._running: set[RunT] = set()
        self._waiting: dict[RunT, None] = {}

    @property
    def running(self) -> frozenset[RunT]:
        """The runs that have a place."""
        return frozenset(self._running)

    @property
    def waiting(self) -> tuple[RunT, ...]:
        """The runs in the queue, the next one first."""
        return tuple(self._waiting)

    def arrive(self, run: RunT) -> Arrival:
        """Give the run a place, or let it wait in the queue; it is refused if both are full."""
        if len(self._running) < self._max_runs:
            self._running.add(run)
            return "runs"
        if len(self._waiting) < self._max_queue:
            self._waiting[run] = None
            return "waits"
        return "refused"

    def leave(self, run: RunT) -> RunT | None:
        """Remove the run. Returns the waiting run that gets its place, if there is one."""
        if run in self._waiting:
            del self._waiting[run]
            return None
        if run not in self._running:
            return None
        self._running.remove(run)
        if not self._waiting:
            return None
        following = next(iter(self._waiting))
        del self._waiting[following]
        self._running.add(following)
        return following
