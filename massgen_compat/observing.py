"""Observers: whoever wants to know what happens in every run, for logs, traces or bills.

An observer is a function of the team and the request that returns a context manager. It is entered
when the run opens, gives a function that is told every event before the reader is, and is left
with the run's error, if it has one. An observer that fails is logged and heard no more; the run
goes on.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

from massgen_compat.channel import Sink
from massgen_compat.events import RunEvent
from massgen_compat.run import RunRequest, Team

logger = logging.getLogger("massgen_compat")

See: TypeAlias = Callable[[RunEvent], None]
"""Is told an event; must not block."""

Observer: TypeAlias = Callable[[Team, RunRequest], AbstractContextManager[See]]
"""Opens the observation of one run."""


async def observed(
    observe: Observer,
    team: Team,
    request: RunRequest,
    events: Sink[RunEvent],
    run: Callable[[Sink[RunEvent]], Awaitable[None]],
) -> None:
    """Execute a run with an observer that is told what ``events`` are told."""
    watch = _Watch(observe, team, request)
    try:
        await run(_Observed(events, watch))
    except BaseException as error:
        watch.close(error)
        raise
    watch.close(None)


class _Watch:
    """One observation, which can fail without harm."""

    def __init__(self, observe: Observer, team: Team, request: RunRequest) -> None:
        self._context: AbstractContextManager[See] | None = None
        self._see: See | None = None
        try:
            context = observe(team, request)
            self._see = context.__enter__()
            self._context = context
        except Exception:
            logger.exception("an observer could not start")

    def see(self, event: RunEvent) -> None:
        if self._see is None:
            return
        try:
            self._see(event)
        except Exception:
            logger.exception("an observer failed at %s", event.type)
            self._see = None

    def close(self, error: BaseException | None) -> None:
        """End the observation; whatever the observer says, the error stays what it is."""
        if self._context is None:
            return
        try:
            self._context.__exit__(type(error) if error else None, error, None)
        except Exception as failure:
            if failure is not error:
                logger.exception("an observer could not end")


class _Observed:
    def __init__(self, events: Sink[RunEvent], watch: _Watch) -> None:
        self.widen = events.widen
        self._send = events.send
        self._watch = watch

    async def send(self, event: RunEvent, /) -> None:
        self._watch.see(event)
        await self._send(event)
