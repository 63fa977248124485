"""``MassGen``: the object that users build. Payloads in; completions, chunks or events out.

A request passes three steps: ``parse`` (by its wire), ``admit`` (by the catalogue, once) and
``execute`` (by the engine of its team). The protocol and the engines meet only here and in the
server; neither imports the other.
"""

import logging
import os
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from massgen_compat._admission.catalogue import Admitted, AdmittedRun, Catalogue, check_backends
from massgen_compat._admission.prices import Costs, check_prices
from massgen_compat._aio import Channel, streamed
from massgen_compat._client.engines import Engines, massgen_teams, with_engine
from massgen_compat._client.observers import Observer, observed
from massgen_compat._local.engine import LocalEngine
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Agent, EngineName, Team
from massgen_compat._run.turn import ModelClient
from massgen_compat._upstream.backends import BACKENDS, base_url, takes_cache_key
from massgen_compat._upstream.connections import Connections
from massgen_compat.engine import Engine
from massgen_compat.errors import ConfigError
from massgen_compat.events import Detail, RunEvent, Sink
from massgen_compat.policies import POLICIES, Policy, named
from massgen_compat.policies import resolve as resolve_policy
from massgen_compat.protocol.answer import Answer, AnswerSink, Rendering, WireEvent
from massgen_compat.protocol.chat.request import ChatRequest, parse
from massgen_compat.protocol.parameters import UnknownParams
from massgen_compat.protocol.request import ParsedRequest

logger = logging.getLogger("massgen_compat")

DEFAULT_TEAM = Team("massgen", [Agent("agent1", model="gpt-5.2"), Agent("agent2", model="gpt-5.2")])
"""What is served without a config: two ``gpt-5.2`` agents, as MassGen's own default."""


class MassGen:
    """One or more teams behind the OpenAI chat interface.

    ``teams`` are served under their names. A team of several agents is also served as
    ``NAME-single``: its first agent alone, for titles and other small tasks. If a client asks the
    team itself for such a task, its ``background_agent`` answers. Without ``teams`` there is one,
    ``massgen``, of two ``gpt-5.2`` agents.

    API keys are read from ``env``, by default the environment of the process. ``policies`` are
    looked up before the library's own table of model policies. ``connect`` gives the client for an
    agent's model, in place of the library's own. ``engine`` executes all runs, in place of the
    library's own engine; given as a name, ``local`` or ``massgen``, it overrides the engine that
    the teams have chosen. ``unknown_params``: parameters that the API does not have are named in a
    header (``warn``), left out (``ignore``), or refused (``reject``). ``observe``: the observers of
    all runs, see ``Observer``.

    Raises ``ConfigError`` for two teams of one name, an unknown backend, policy or background
    agent, a missing key, and for ``max_cost`` without a price for every agent's model. Known prices
    are those of the extra ``[prices]``; where ``connect`` or ``engine`` is given, only those that
    a team states.
    """

    def __init__(
        self,
        *teams: Team,
        env: Mapping[str, str] | None = None,
        policies: Sequence[Policy] = (),
        connect: Callable[[Agent], ModelClient] | None = None,
        engine: Engine | EngineName | None = None,
        unknown_params: UnknownParams = "warn",
        observe: Sequence[Observer] = (),
    ) -> None:
        self._unknown_params: UnknownParams = unknown_params
        self._observers = tuple(observe)
        environment = os.environ if env is None else env
        self._policies = tuple(policies)
        self._policy_found: dict[Agent, Policy] = {}
        self._connections = Connections(environment, policy_of=self.policy_of)
        own_engine = None if isinstance(engine, str) else engine
        named_engine = engine if isinstance(engine, str) else None
        known = None if connect is not None or own_engine is not None else environment
        costs = Costs(known)
        served = with_engine(teams or (DEFAULT_TEAM,), named_engine)
        self._catalogue = Catalogue(
            served,
            engine_of=self._engines(served, environment, connect, own_engine, costs).of,
            costs=costs,
            takes_cache_key=partial(_takes_cache_key, env=known),
        )
        for team in self.teams.values():
            for agent in team.agents:
                self.policy_of(agent)
            if known is not None:
                check_backends(team, environment)
            check_prices(team, costs.of_team(team))

    def _engines(
        self,
        teams: Sequence[Team],
        env: Mapping[str, str],
        connect: Callable[[Agent], ModelClient] | None,
        own: Engine | None,
        costs: Costs,
    ) -> Engines:
        """The engines that the teams need. MassGen is imported only if a team is on it."""
        local = own or LocalEngine(connect or self._connect, self.policy_of, costs.of)
        if own is not None or not massgen_teams(
            teams, self.policy_of, env, replaced_models=connect is not None
        ):
            return Engines(local)
        from massgen_compat._massgen.engine import MassGenEngine  # noqa: PLC0415 - takes seconds

        return Engines(
            local, MassGenEngine(self._connections.connect, self.policy_of, costs.of, env=env)
        )

    @classmethod
    def from_yaml(
        cls,
        *paths: str | Path,
        env: Mapping[str, str] | None = None,
        policies: Sequence[Policy] = (),
        connect: Callable[[Agent], ModelClient] | None = None,
        engine: Engine | EngineName | None = None,
        unknown_params: UnknownParams = "warn",
        observe: Sequence[Observer] = (),
    ) -> Self:
        """A ``MassGen`` with the teams of YAML files, which have the format of MassGen's own.

        A team's name is ``massgen_compat.model`` in its file, or else the file's name without its
        suffix. The other arguments are those of ``MassGen``. Raises ``ConfigError``, with the file,
        line and key of the fault, and for everything for which ``MassGen`` raises it.
        """
        from massgen_compat.config import load  # noqa: PLC0415 - YAML is for those who use it

        environment = os.environ if env is None else env
        chosen = engine if isinstance(engine, str) else None
        teams = [load(path, environment, engine=chosen).team for path in paths]
        return cls(
            *teams,
            env=environment,
            policies=policies,
            connect=connect,
            engine=engine,
            unknown_params=unknown_params,
            observe=observe,
        )

    @property
    def teams(self) -> Mapping[str, Team]:
        """The teams by the model names that clients use, ``NAME-single`` included."""
        return self._catalogue.teams

    def team(self, model: str) -> Team:
        """The team behind a model name; raises ``ModelNotFound``."""
        return self._catalogue.team(model)

    def policy_of(self, agent: Agent) -> Policy:
        """The model policy that the agent is under; raises ``ConfigError`` for an unknown name."""
        if agent not in self._policy_found:
            self._policy_found[agent] = self._find_policy(agent)
        return self._policy_found[agent]

    def _find_policy(self, agent: Agent) -> Policy:
        if agent.policy is None:
            return resolve_policy(agent.model, self._policies)
        policy = named(agent.policy, self._policies)
        if policy is None:
            known = ", ".join(each.name for each in (*self._policies, *POLICIES))
            raise ConfigError(
                f"agent {agent.id!r}: there is no policy {agent.policy!r}; known: {known}"
            )
        return policy

    async def chat(self, payload: Mapping[str, Any]) -> ChatCompletion:
        """Answer the payload of a Chat Completions request with a completion; ``stream`` is
        ignored.

        Raises ``InvalidRequest`` for a payload that cannot be honoured, and another
        ``MassGenError`` for a run that failed.
        """
        events = Channel[WireEvent](inf)
        await self._answer(replace(self.parse(payload), stream=False), events)
        return ChatCompletion.model_validate_json(events.held()[-1].data)

    @asynccontextmanager
    async def chat_stream(
        self, payload: Mapping[str, Any]
    ) -> AsyncGenerator[AsyncIterator[ChatCompletionChunk]]:
        """Answer the payload of a Chat Completions request chunk by chunk.

        The context gives an iterator of chunks; leaving the context ends the run. Raises what
        ``chat`` raises, on entering or while iterating.
        """
        request = replace(self.parse(payload), stream=True)
        async with streamed(partial(self._answer, request)) as events:
            yield _Typed(events)

    def stream(self, request: RunRequest) -> AbstractAsyncContextManager[AsyncIterator[RunEvent]]:
        """Execute a run and follow its events, without the protocol.

        The context gives an iterator of events; leaving the context ends the run. The call raises
        ``InvalidRequest`` for what the team cannot do (for an unknown team ``ModelNotFound``), and
        the iterator raises the ``MassGenError`` that the run failed with.
        """
        return streamed(partial(self._run, self._catalogue.admit_run(request)))

    def parse(self, payload: object) -> ChatRequest:
        """The request in the payload of a Chat Completions request; raises ``InvalidRequest``."""
        return parse(payload, unknown_params=self._unknown_params)

    def admit(self, request: ParsedRequest[Rendering]) -> Admitted:
        """Decide how the request will be answered: by which team, on which engine. Free of cost.

        Raises ``InvalidRequest`` for what the answering team cannot do (for an unknown team
        ``ModelNotFound``).
        """
        admitted = self._catalogue.admit(request)
        if admitted.background is not None:
            agent = admitted.run.team.agents[0].id
            logger.info(
                "background request to %s: %s, by agent %s",
                admitted.run.team.name,
                admitted.background,
                agent,
            )
        return admitted

    def open_answer(self, admitted: Admitted) -> Answer:
        """A new answer to the request, which the events of its run have to be fed to."""
        return admitted.rendering.answer(
            admitted.run.request,
            stream=admitted.stream,
            background=admitted.background,
            unique=secrets.token_hex(15),
            created=int(time.time()),
        )

    async def execute(self, admitted: Admitted, events: Sink[RunEvent]) -> None:
        """Execute the run of a request in this task, and send its events to ``events``.

        Raises the ``MassGenError`` that the run failed with; an ``InvalidRequest`` names the place
        in the body that the client sent.
        """
        with admitted.places.named_in_errors():
            await self._run(admitted.run, events)

    async def aclose(self) -> None:
        """Close the connections to the providers. Runs that still go on fail."""
        await self._connections.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _answer(self, request: ChatRequest, events: Sink[WireEvent]) -> None:
        admitted = self.admit(request)
        answer = self.open_answer(admitted)
        await self.execute(admitted, AnswerSink(answer.feed, events))

    async def _run(self, run: AdmittedRun, events: Sink[RunEvent]) -> None:
        run_id = f"run_{secrets.token_hex(12)}"

        async def executed(events: Sink[RunEvent], detail: Detail) -> None:
            await run.engine.run(run.team, run.request, events, run_id=run_id, detail=detail)

        await observed(self._observers, run.team, run.request, events, executed)

    def _connect(self, agent: Agent) -> ModelClient:
        if agent.backend.type == "scripted":
            from massgen_compat.testing import ScriptedModel  # noqa: PLC0415 - not in production

            return ScriptedModel(agent.backend.script)
        return self._connections.connect(agent)


class _Typed(AsyncIterator[ChatCompletionChunk]):
    """The events of a chat stream as the SDK's chunks."""

    def __init__(self, events: AsyncIterator[WireEvent]) -> None:
        self._events = events

    async def __anext__(self) -> ChatCompletionChunk:
        return ChatCompletionChunk.model_validate_json((await anext(self._events)).data)


def _takes_cache_key(agent: Agent, env: Mapping[str, str] | None) -> bool:
    """Whether the agent's requests carry a key for its provider's prompt cache."""
    if env is None or agent.backend.type not in BACKENDS:
        return False
    return takes_cache_key(agent, base_url(agent.backend, env))
