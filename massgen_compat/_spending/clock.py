"""The clock of a run: it ends model calls that take too long, and calls functions at later times.

A run has one clock, and not a timer for each call or piece: a stream has thousands of pieces, and
each of them would move the end of its call's timeout.
"""

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
    """The time that one model call has taken, against the team's ``timeouts``.

    Call ``heard`` when a piece comes and ``waits`` when it was dealt with. The time between the two
    is not the provider's, and does not count. Both only note the time, because they are called for
    every piece; the clock looks at ``nearest`` when a timeout may be over. ``call`` is the cancel
    scope of the call.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._began = False
        self._waited = 0.0
        self._since: float | None = monotonic()
        self.call = anyio.CancelScope()

    def heard(self) -> None:
        """Note that a piece came."""
        if self._since is not None:
            self._waited += monotonic() - self._since
        self._since, self._began = None, True

    def waits(self) -> None:
        """Note that the piece was dealt with, and that the next one is waited for."""
        self._since = monotonic()

    def nearest(self) -> tuple[float, str]:
        """Return the seconds left of the timeout that is over next, and its error message."""
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
    """Ends calls whose timeout is over, and calls functions when their time has come.

    It never sleeps longer than the shortest of the team's ``timeouts``. So it does not have to be
    woken for a call that begins while it sleeps: no timeout of that call can be over before.
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
        """Run the clock while the context is open; on trio it needs a task of ``tasks`` for it."""
        self._alarm = LoopTimer(self._look, tasks)
        try:
            yield
        finally:
            self._alarm.stop()
            self._alarm = None
            # The functions refer to the driver, which refers to this clock: without the circle a
            # run is freed at once, and not only by the garbage collector.
            self._later.clear()

    @contextmanager
    def over(self, timeouts: Timeouts) -> Generator[CallTimer]:
        """Watch the model call that is made inside the context, and end it when it takes too long.

        Raises ``UpstreamTimeout`` then. A cancellation from outside passes through.
        """
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
        """Call ``act`` after this time, if the clock still runs."""
        heappush(self._later, (anyio.current_time() + seconds, self._count, act))
        self._count += 1
        if self._alarm is not None and seconds < self._shortest:
            self._alarm.sooner()

    def _look(self) -> float:
        """Do what is due; return the seconds until something may be due again."""
        sleep = self._shortest
        # All calls are looked at each time, since each piece moves the end of a timeout: a heap
        # would have to be changed for every piece.
        for timer in self._calls:
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
