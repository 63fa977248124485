"""Observers: they see the events of every run, for logs, traces, bills or a live page.

When a run begins, an observer's context is entered. The observer gets each event before the reader
of the run does. At the end the context is left, with the error of the run if it has one. An
observer chooses how much it gets (``detail``), whatever the clients ask for. If an observer raises,
that is logged, and it gets no more events of that run; the run goes on.
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
"""Is called with each event of a run. It must not block: the run waits for it."""

Watch: TypeAlias = Callable[[Team, RunRequest], AbstractContextManager[See]]
"""Is called when a run begins. Its context lasts as long as the run and gives a ``See``."""


class Observer:
    """Gets the events of every run.

    ``watch`` is called when a run begins, with the team that answers and its request. It returns a
    context manager that gives a function, and this function is called with each event. With the
    ``detail`` ``status`` it does not get what the agents write in drafts, evaluations and reasoning
    (``AgentText``, ``AgentReasoning``); with ``full`` it does. With ``full`` the turns of the
    agents are streamed from the providers, which costs some CPU time.
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
    """Execute a run, and send its events to the observers and then to ``events``.

    ``run`` executes it. It is called with a sink for its events and the detail of them, which is
    the most that the request's ``trace`` or an observer asks for. ``events`` gets as much as the
    request asks for.
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
    """An observer of one run. What it raises is logged and does not reach the run."""

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
        """Leave the observer's context. An observer cannot suppress or replace the run's error."""
        if self._context is None:
            return
        try:
            self._context.__exit__(type(error) if error else None, error, None)
        except Exception as failure:
            if failure is not error:
                logger.exception("an observer could not end")


class _Told:
    """A sink that passes each event to the observers, then to the reader of the run."""

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
