"""Observers: whoever wants to know what happens in every run, for logs, traces, bills or a page.

An observer is entered when a run opens, is told every event before the run's reader is, and is left
with the run's error, if it has one. How much it is told is its own choice (``detail``), whatever
the clients ask for. An observer that fails is logged and told no more of that run; the run goes on.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Team
from massgen_compat.events import AgentReasoning, AgentText, Detail, RunEvent, Sink

logger = logging.getLogger("massgen_compat")

See: TypeAlias = Callable[[RunEvent], None]
"""Is told an event; must not block."""

Watch: TypeAlias = Callable[[Team, RunRequest], AbstractContextManager[See]]
"""Opens the observation of one run; the context is left when the run ends."""


class Observer:
    """Is told what happens in every run.

    ``watch`` is called with the team that answers and its request when a run opens; it returns a
    context manager that gives a function, which is called with each event. ``detail``: ``status``
    leaves out what the agents write in drafts, evaluations and reasoning; ``full`` has that, too.
    Such runs stream the turns of their agents from the providers, which costs some CPU time.
    """

    def __init__(self, watch: Watch, *, detail: Detail = "status") -> None:
        self.watch = watch
        self.detail: Detail = detail


async def observed(
    observers: Sequence[Observer],
    team: Team,
    request: RunRequest,
    events: Sink[RunEvent],
    run: Callable[[Sink[RunEvent], Detail], Awaitable[None]],
) -> None:
    """Execute a run with observers.

    ``run`` is given what it tells its events, and in which detail: the most that the request's
    ``trace`` or an observer asks for. ``events`` are told what the request asks for.
    """
    detail: Detail = "full" if request.trace == "full" else "status"
    if not observers:
        await run(events, detail)
        return
    watched = [_Watched(observer, team, request) for observer in observers]
    told = _Told(events, watched, detail)
    if any(observer.detail == "full" for observer in observers):
        detail = "full"
    try:
        await run(told, detail)
    except BaseException as error:
        _close(watched, error)
        raise
    _close(watched, None)


class _Watched:
    """One observation, which can fail without harm."""

    def __init__(self, observer: Observer, team: Team, request: RunRequest) -> None:
        self._detail: Detail = observer.detail
        self._context: AbstractContextManager[See] | None = None
        self._see: See | None = None
        try:
            context = observer.watch(team, request)
            self._see = context.__enter__()
            self._context = context
        except Exception:
            logger.exception("an observer could not start")

    def see(self, event: RunEvent) -> None:
        if self._see is None or not _is_told(event, self._detail):
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


class _Told:
    """Tells each event to the observers, then to the reader of the run."""

    def __init__(self, events: Sink[RunEvent], watched: Sequence[_Watched], detail: Detail) -> None:
        self.widen = events.widen
        self._send = events.send
        self._watched = watched
        self._detail: Detail = detail

    async def send(self, event: RunEvent, /) -> None:
        for each in self._watched:
            each.see(event)
        if _is_told(event, self._detail):
            await self._send(event)


def _is_told(event: RunEvent, detail: Detail) -> bool:
    return detail == "full" or not isinstance(event, AgentText | AgentReasoning)


def _close(watched: Sequence[_Watched], error: BaseException | None) -> None:
    for each in reversed(watched):
        each.close(error)
