"""How long model calls may make a run wait, and the one clock of a run, for that and the rest."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from heapq import heappop, heappush
from time import monotonic

import anyio
from anyio.abc import TaskGroup

from massgen_compat._aio import LoopTimer
from massgen_compat._run.team import Timeouts
from massgen_compat.errors import UpstreamTimeout


class CallTimer:
    """What is left of the timer with one model call.

    ``heard`` and ``waits`` only note the time, because a stream has thousands of pieces; the clock
    looks at it when a timeout may be over. What the listener does between the two is not the
    provider's silence.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._began = False
        self._waited = 0.0
        self._since: float | None = monotonic()
        self.call = anyio.CancelScope()

    def heard(self) -> None:
        """A piece came."""
        if self._since is not None:
            self._waited += monotonic() - self._since
        self._since, self._began = None, True

    def waits(self) -> None:
        """The piece was dealt with; the next one is waited for."""
        self._since = monotonic()

    def nearest(self) -> tuple[float, str]:
        """The seconds left of the timeout that comes next, and what to say when it is over."""
        given = self._timeouts
        silent = 0.0 if self._since is None else monotonic() - self._since
        turn = given.turn_seconds - self._waited - silent
        if self._began:
            limit, what = given.between_tokens_seconds, "stopped answering for"
        else:
            limit, what = given.first_token_seconds, "did not begin to answer in"
        if turn < limit - silent:
            return turn, f"the provider did not end its answer in {given.turn_seconds:g} seconds"
        return limit - silent, f"the provider {what} {limit:g} seconds"


class Clock:
    """Knows what of a run is due when.

    It ends the calls that are silent, or last, for too long, and does what was put off. It never
    sleeps longer than the shortest of the team's ``timeouts``, so it sees in time a call that
    begins meanwhile.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._calls: set[CallTimer] = set()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._alarm: LoopTimer | None = None
        self._shortest = min(
            timeouts.first_token_seconds, timeouts.between_tokens_seconds, timeouts.turn_seconds
        )

    @contextmanager
    def kept(self, tasks: TaskGroup) -> Generator[None]:
        """Watch for as long as the context is open, where it has to in a task of ``tasks``."""
        self._alarm = LoopTimer(self._look, tasks)
        try:
            yield
        finally:
            self._alarm.stop()
            self._alarm = None
            self._later.clear()  # else it would hold whom it calls, who holds it

    @contextmanager
    def over(self, timeouts: Timeouts) -> Generator[CallTimer]:
        """Watch a call, which is inside; raises ``UpstreamTimeout`` where it took too long."""
        timer = CallTimer(timeouts)
        self._calls.add(timer)
        try:
            with timer.call:
                yield timer
        finally:
            self._calls.discard(timer)
        if timer.call.cancelled_caught:
            _, why = timer.nearest()
            raise UpstreamTimeout(why)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after so many seconds."""
        heappush(self._later, (anyio.current_time() + seconds, self._count, act))
        self._count += 1
        if self._alarm is not None and seconds < self._shortest:
            self._alarm.sooner()

    def _look(self) -> float:
        """Do what is due; the seconds to the next time."""
        sleep = self._shortest
        for timer in self._calls:  # each piece moves the end of its call
            left, _ = timer.nearest()
            if left > 0:
                sleep = min(sleep, left)
            else:
                timer.call.cancel()
        now = anyio.current_time()
        while self._later and self._later[0][0] <= now:
            heappop(self._later)[2]()
        if self._later:
            sleep = min(sleep, self._later[0][0] - now)
        return sleep
