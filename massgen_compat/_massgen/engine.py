"""``MassGenEngine``: an ``Engine`` whose runs are executed by the real MassGen.

The rules of a run are MassGen's. This library adds what is around them: events as they happen, the
client's whole conversation, model policies, limits, errors, and an end that leaves no task and no
file behind.
"""

from collections.abc import Callable, Mapping

import anyio
import sniffio

from massgen_compat._aio import only
from massgen_compat._massgen.drive import Drive, EngineKit
from massgen_compat._massgen.package import load
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Agent, Team, TeamSettings
from massgen_compat._spending.meter import Cost, stated_cost
from massgen_compat._upstream.client import OpenAIModelClient
from massgen_compat.errors import EngineUnavailable
from massgen_compat.events import Detail, RunEvent, Sink
from massgen_compat.policies import DEFAULT, Policy


class MassGenEngine:
    """Executes runs with the real MassGen. To make one imports the package, which takes seconds.

    ``connect`` gives the client of an agent's model, ``policy_of`` the agent's policy, ``cost_of``
    the cost of its tokens. ``env`` has the providers' keys, by the names of environment variables.
    Raises ``EngineUnavailable`` if no supported ``massgen`` is installed.
    """

    def __init__(
        self,
        connect: Callable[[Agent], OpenAIModelClient],
        policy_of: Callable[[Agent], Policy] = lambda _: DEFAULT,
        cost_of: Callable[[Agent, TeamSettings], Cost | None] = stated_cost,
        *,
        env: Mapping[str, str],
    ) -> None:
        self._kit = EngineKit(load(), connect, policy_of, cost_of, env)

    async def run(
        self,
        team: Team,
        request: RunRequest,
        events: Sink[RunEvent],
        *,
        run_id: str,
        detail: Detail,
    ) -> None:
        """Execute a run, as ``Engine.run`` says. Raises ``EngineUnavailable`` under trio."""
        if sniffio.current_async_library() != "asyncio":
            raise EngineUnavailable(
                "MassGen runs on asyncio only: serve this team from an asyncio event loop, or "
                "without `engine: massgen`"
            )
        drive = Drive(self._kit, team, request, run_id=run_id, events=events, detail=detail)
        try:
            async with anyio.create_task_group() as tasks:
                await drive.drive(tasks)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise only(group) from None
