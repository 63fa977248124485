"""A scripted upstream on a real socket, in the event loop of the test, and teams in front of it."""

import importlib.metadata
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest
import uvicorn

from massgen_compat import Agent, Backend, MassGen, RunRequest, Team, TeamSettings
from massgen_compat._run.message import text_message
from massgen_compat._run.result import RunResult
from massgen_compat._run.team import EngineName
from massgen_compat.events import RunCompleted, RunEvent
from massgen_compat.testing import ScriptedServer, ServedRequest

Event = TypeVar("Event")


def _is_installed() -> bool:
    try:
        importlib.metadata.version("massgen")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


INSTALLED = _is_installed()
needs_massgen = pytest.mark.skipif(
    not INSTALLED, reason="massgen is not installed here: make test-massgen"
)
QUESTION = RunRequest(team="team", messages=(text_message("user", "Why is the sky blue?"),))
Hold = Callable[[ServedRequest, int], Awaitable[None]]


@dataclass(frozen=True)
class Upstream:
    """The providers of a test."""

    app: ScriptedServer
    url: str

    async def is_idle(self) -> None:
        """Wait until no request is being answered any more."""
        with anyio.fail_after(10):
            while self.app.open_streams:
                await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def upstream(
    script: Mapping[str, Any] | None = None,
    *,
    scripts: Mapping[str, Mapping[str, Any]] | None = None,
    hold: Hold | None = None,
) -> AsyncGenerator[Upstream]:
    """``script`` is every model's, ``scripts`` those of single ones."""
    app = ScriptedServer(scripts or {}, default=script or {}, before_token=hold)
    # With its protocol named, the event loop switches Nagle's algorithm off.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        config = uvicorn.Config(app, log_level="critical", ws="none", lifespan="off")
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            yield Upstream(app, f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
            server.should_exit = True


def team_at(
    url: str,
    *models: str,
    kind: str = "chatcompletion",
    settings: TeamSettings | None = None,
    params: Mapping[str, Any] | None = None,
) -> Team:
    """A team of one agent for each model, called a, b, c, …"""
    backend = Backend(type=kind, base_url=url, api_key="sk-upstream")
    names = "abcdefgh"[: len(models)]
    agents = [
        Agent(name, model=model, backend=backend, params=params or {})
        for name, model in zip(names, models, strict=True)
    ]
    return Team("team", agents, settings=settings)


@asynccontextmanager
async def massgen_at(
    url: str, engine: EngineName, *models: str, **team: Any
) -> AsyncGenerator[MassGen]:
    """A team of ``gpt-4o``, where no models are given."""
    async with MassGen(
        team_at(url, *(models or ("gpt-4o",) * 2), **team), env={}, engine=engine
    ) as made:
        yield made


async def run(massgen: MassGen, request: RunRequest = QUESTION, **changes: Any) -> list[RunEvent]:
    """All events of a run."""
    with anyio.fail_after(30):
        async with massgen.stream(replace(request, **changes)) as events:
            return [event async for event in events]


def result_of(events: list[RunEvent]) -> RunResult:
    last = events[-1]
    assert isinstance(last, RunCompleted)
    return last.result


def only(events: list[RunEvent], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]
