"""One orchestrator of MassGen for one request: how it is built, driven and removed.

An orchestrator cannot be used twice: in 0.1.97 a second turn fails. So each request has an
orchestrator of its own, with its own agents, logging session and temporary directory.
"""

import asyncio
import copy
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

import anyio
import anyio.to_thread

from massgen_compat._massgen.chunks import AgentStatus, read_status
from massgen_compat._massgen.package import Package, keys
from massgen_compat._run.message import Json
from massgen_compat._upstream.tolerant import mapping

CLEANUP_SECONDS: Final = 5.0
_LATER: Final = 1e12
"""A time that never comes, in seconds: MassGen's price list counts as fresh until then."""


class Orchestration:
    """MassGen's objects for one run.

    ``config`` is complete, in MassGen's format, and is not changed. ``environment`` has the keys
    that the backends look for. ``client_of`` gives the client that an agent's backend gets in the
    place of the SDK's, or ``None`` where the backend does not speak OpenAI's wire.
    """

    def __init__(
        self,
        package: Package,
        config: Json,
        *,
        environment: Mapping[str, str],
        client_of: Callable[[str], object | None],
        trace_classification: str = "strict",
    ) -> None:
        self._package = package
        self._directory = Path(tempfile.mkdtemp(prefix="massgen-compat-"))
        self._session = package.logging_session(
            session_id=secrets.token_hex(6), log_base_session_dir=self._directory / "logs"
        )
        self._token = package.current_session.set(self._session)
        self._chunks: AsyncIterator[object] | None = None
        try:
            self.agents, self._orchestrator = self._built(
                rooted(config, self._directory), environment, client_of, trace_classification
            )
        except BaseException:
            self._leave()
            _remove(self._directory)
            raise

    def _built(
        self,
        own: dict[str, Any],
        environment: Mapping[str, str],
        client_of: Callable[[str], object | None],
        trace_classification: str,
    ) -> tuple[dict[str, Any], Any]:
        """MassGen's agents and their orchestrator. MassGen may change ``own``, which is a copy."""
        package = self._package
        settings = cast("dict[str, Any]", own.get("orchestrator") or {})
        with keys(environment):
            agents: dict[str, Any] = package.create_agents(own, settings)
        for name, agent in agents.items():
            _prepare(agent.backend, client_of(name))
        orchestrator = package.orchestrator(
            agents=agents,
            config=_agent_config(package, own, settings),
            # MassGen makes a path below the working directory of it; an absolute one stays.
            session_id=str(self._directory / "session"),
            orchestrator_id="orchestrator",
            snapshot_storage=settings.get("snapshot_storage"),
            agent_temporary_workspace=settings.get("agent_temporary_workspace"),
            enable_nlip=bool(settings.get("enable_nlip")),
            nlip_config=settings.get("nlip_config") or {},
            trace_classification=trace_classification,
            raw_config=own,
        )
        if settings.get("coordination_mode") == "decomposition":
            for agent in _agents(own):
                if agent.get("subtask"):
                    orchestrator._agent_subtasks[agent["id"]] = agent["subtask"]  # noqa: SLF001
        return agents, orchestrator

    def _leave(self) -> None:
        """End the logging session of this run."""
        self._session.close()
        with suppress(ValueError):
            self._package.current_session.reset(self._token)

    def chunks(self, task: str, tools: Sequence[Json]) -> AsyncIterator[object]:
        """Start the run with its task and the client's tools; the result is MassGen's chunks."""
        messages = [{"role": "user", "content": task}]
        chunks: AsyncIterator[object] = self._orchestrator.chat(messages, tools=list(tools) or None)
        self._chunks = chunks
        return chunks

    def status(self, order: Sequence[str]) -> AgentStatus:
        """The status of the agents now, in the order of their ids in ``order``."""
        states = self._orchestrator.agent_states
        return read_status(states, order, self._orchestrator._selected_agent)  # noqa: SLF001

    def states(self, order: Sequence[str]) -> dict[str, Any]:
        """The same status as plain data, for recordings."""
        return asdict(self.status(order))

    def spent(self, agent: str) -> tuple[int, int]:
        """The tokens that an agent's backend has read and written, as MassGen counts them."""
        usage = getattr(self.agents[agent].backend, "token_usage", None)
        read = getattr(usage, "input_tokens", 0) or 0
        return int(read), int(getattr(usage, "output_tokens", 0) or 0)

    async def aclose(self) -> None:
        """End what still runs, and remove all files. This is bounded, and never cancelled."""
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
            async with AsyncExitStack() as stack:
                for agent in self.agents.values():
                    stack.push_async_callback(_quietly, agent.backend, "cleanup_mcp")
                stack.push_async_callback(_quietly, self._orchestrator, _CLEANUP)
                stack.push_async_callback(_quietly, self._chunks, "aclose")
            task = getattr(self._orchestrator, "_status_update_task", None)
            if isinstance(task, asyncio.Task):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await cast("asyncio.Task[None]", task)
        self._leave()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_remove, self._directory)


_CLEANUP: Final = "_cleanup_active_coordination"


async def _quietly(owner: object, method: str) -> None:
    """Call a method if there is one. The run is over, so what fails here is of no interest."""
    if (call := getattr(owner, method, None)) is not None:
        with suppress(Exception):
            await call()


def _remove(directory: Path) -> None:
    """Remove a directory. It is tried again, because MassGen's threads may still write into it."""
    for _ in range(5):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return


def _prepare(backend: Any, client: object | None) -> None:
    """Give a backend this library's client, if there is one; keep it from downloading prices."""
    calculator = getattr(backend, "token_calculator", None)
    if calculator is not None:
        calculator._litellm_cache, calculator._litellm_cache_time = {}, _LATER  # noqa: SLF001
        calculator.calculate_cost_with_usage_object = _no_cost
    if client is not None:

        def create_client(**_: object) -> object:
            return client

        backend._create_client = create_client  # noqa: SLF001


def _no_cost(**_: object) -> float:
    """No cost: the meter counts costs, and litellm would take milliseconds for it."""
    return 0.0


def _agent_config(package: Package, config: Json, settings: Json) -> Any:
    made = package.agent_config()
    made.timeout_config = package.timeout_config.from_dict(config.get("timeout_settings"))
    if "coordination" in settings:
        made.coordination_config = package.coordination_config.from_dict(settings["coordination"])
    made.apply_orchestrator_config(settings)
    return made


def rooted(config: Json, directory: Path) -> dict[str, Any]:
    """A copy of the config whose relative folders are below a directory."""
    own = copy.deepcopy(dict(config))
    owners = (own.get("orchestrator"), *(agent.get("backend") for agent in _agents(own)))
    for owner in map(mapping, owners):
        for name in _FOLDERS & owner.keys():
            if isinstance(owner[name], str):
                owner[name] = str(directory / "files" / owner[name])
    return own


_FOLDERS: Final = frozenset(
    {
        "agent_temporary_workspace",
        "cwd",
        "session_storage",
        "shared_tools_directory",
        "snapshot_storage",
    }
)


def _agents(config: Json) -> Sequence[dict[str, Any]]:
    return [config["agent"]] if "agent" in config else config.get("agents") or []
