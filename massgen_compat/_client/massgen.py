"""``MassGen``: the object that users build. Payloads in; completions, chunks or events out.

A request goes one way: ``parse`` (its wire), ``admit`` (the catalogue, once), ``execute`` (the
engine). Here, and in the server, protocol and engine meet; neither knows the other.
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

    ``teams`` are served under their names; a team of several agents is also served as
    ``NAME-single``, its first agent alone, for titles and other small tasks; what clients ask the
    team itself for of that kind goes to its ``background_agent``. Without teams there is one,
    ``massgen``, of two ``gpt-5.2`` agents. Keys come from ``env`` (the process's environment).
    ``policies`` come before the library's own table of model policies. ``connect`` replaces the
    way to an agent's model, ``engine`` all of the execution; as a name, ``local`` or ``massgen``,
    it overrides the teams' own choice of engine. ``unknown_params``: whether parameters
    that the API does not have are named in a header (``warn``), left out without a word
    (``ignore``) or refused (``reject``). ``observe``: who is told what happens in every run, each
    in the detail that it wants.

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
        """The engines that the teams need; MassGen's is imported only for those who use it."""
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
        """The teams of MassGen's own YAML files, each under ``massgen_compat.model`` or its stem.

        Raises ``ConfigError``, with file, line and key where there is one.
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
        """Answer a Chat Completions payload.

        Raises ``InvalidRequest`` for a payload that cannot be honoured and another
        ``MassGenError`` for a run that failed.
        """
        events = Channel[WireEvent](inf)
        await self._answer(replace(self.parse(payload), stream=False), events)
        return ChatCompletion.model_validate_json(events.held()[-1].data)

    @asynccontextmanager
    async def chat_stream(
        self, payload: Mapping[str, Any]
    ) -> AsyncGenerator[AsyncIterator[ChatCompletionChunk]]:
        """Answer a Chat Completions payload chunk by chunk; leaving the context ends the run.

        Raises what ``chat`` raises, at the start or while iterating.
        """
        request = replace(self.parse(payload), stream=True)
        async with streamed(partial(self._answer, request)) as events:
            yield _Typed(events)

    def stream(self, request: RunRequest) -> AbstractAsyncContextManager[AsyncIterator[RunEvent]]:
        """Open a run and follow its events; leaving the context ends it.

        Raises ``InvalidRequest`` (of an unknown team: ``ModelNotFound``), or another
        ``MassGenError`` while iterating.
        """
        return streamed(partial(self._run, self._catalogue.admit_run(request)))

    def parse(self, payload: object) -> ChatRequest:
        """The request that a Chat Completions payload stands for; raises ``InvalidRequest``."""
        return parse(payload, unknown_params=self._unknown_params)

    def admit(self, request: ParsedRequest[Rendering]) -> Admitted:
        """The request as it will be answered, found out before anything is spent.

        Raises ``InvalidRequest`` for what the team that answers cannot do; of an unknown team:
        ``ModelNotFound``.
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
        """A new answer to the request, for its run to be told to."""
        return admitted.rendering.answer(
            admitted.run.request,
            stream=admitted.stream,
            background=admitted.background,
            unique=secrets.token_hex(15),
            created=int(time.time()),
        )

    async def execute(self, admitted: Admitted, events: Sink[RunEvent]) -> None:
        """Execute the run of a request, in this task; ``events`` are told what happens in it.

        Raises the ``MassGenError`` that the run failed with, in the terms of the request's body.
        """
        with admitted.places.named_in_errors():
            await self._run(admitted.run, events)

    async def aclose(self) -> None:
        """Close the connections to the providers. Runs that are open fail."""
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
        await self.execute(admitted, AnswerSink(answer, events))

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
    def __init__(self, events: AsyncIterator[WireEvent]) -> None:
        self._events = events

    async def __anext__(self) -> ChatCompletionChunk:
        return ChatCompletionChunk.model_validate_json((await anext(self._events)).data)


def _takes_cache_key(agent: Agent, env: Mapping[str, str] | None) -> bool:
    """Whether the agent's requests carry a key for its provider's prompt cache."""
    if env is None or agent.backend.type not in BACKENDS:
        return False
    return takes_cache_key(agent, base_url(agent.backend, env))
