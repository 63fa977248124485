"""How long a model call may make a run wait: one watch over all its silences."""

from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic

import anyio

from massgen_compat.errors import UpstreamTimeout
from massgen_compat.run import Timeouts


class Patience:
    """Ends one model call that is silent, or lasts, for too long.

    ``heard`` and ``waits`` only note the time, because a stream has thousands of pieces; ``watch``
    is a task that sleeps until a timeout may be over. What the listener does between the two is
    not the provider's silence.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._call = anyio.CancelScope()
        self._watch = anyio.CancelScope()
        self._began = False
        self._waited = 0.0
        self._since: float | None = monotonic()

    @contextmanager
    def bound(self) -> Generator[None]:
        """Bound what is inside; raises ``UpstreamTimeout`` where it took too long."""
        try:
            with self._call:
                yield
        finally:
            self._watch.cancel()
        if self._call.cancelled_caught:
            _, why = self._nearest()
            raise UpstreamTimeout(why)

    def heard(self) -> None:
        """A piece came."""
        if self._since is not None:
            self._waited += monotonic() - self._since
        self._since, self._began = None, True

    def waits(self) -> None:
        """The piece was dealt with; the next one is waited for."""
        self._since = monotonic()

    async def watch(self) -> None:
        """Cancel the call when a timeout is over; ends with the call.

        The first piece may bring a shorter timeout than the one that is slept for, so no sleep is
        longer than that.
        """
        longest = self._timeouts.between_tokens_seconds
        with self._watch:
            while (left := self._nearest()[0]) > 0:  # noqa: ASYNC110 - each piece moves the end
                await anyio.sleep(min(left, longest))
            self._call.cancel()

    def _nearest(self) -> tuple[float, str]:
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
