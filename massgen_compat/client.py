"""``MassGen``: the object that users build. Chat payloads in, completions or chunks out.

Here, and in ``asgi``, the protocol and the engine meet; neither knows the other.
"""

import logging
import os
import secrets
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from massgen_compat.admission import admit, escalating, narrowed, unhonoured
from massgen_compat.background import BackgroundRule, rules_with
from massgen_compat.channel import Channel, Sink, streamed
from massgen_compat.engine import Engine, LocalEngine
from massgen_compat.engines import Engines, massgen_teams, with_engine
from massgen_compat.errors import ConfigError, ModelNotFound
from massgen_compat.events import RunEvent
from massgen_compat.observing import Observer, observed
from massgen_compat.policies import POLICIES, Policy, named
from massgen_compat.policies import resolve as resolve_policy
from massgen_compat.prices import Costs, check_prices
from massgen_compat.protocol.background import matching_rule
from massgen_compat.protocol.chat import ChatRequest, Renderer, fold, parse
from massgen_compat.protocol.parameters import UnknownParams
from massgen_compat.run import Agent, EngineName, RunRequest, Team
from massgen_compat.served import background_teams, by_name, check_backends
from massgen_compat.turn import ModelClient
from massgen_compat.upstream.backends import BACKENDS, base_url, takes_cache_key
from massgen_compat.upstream.client import Connections

logger = logging.getLogger("massgen_compat")

DEFAULT_TEAM = Team("massgen", [Agent("agent1", model="gpt-5.2"), Agent("agent2", model="gpt-5.2")])
"""What is served without a config: two ``gpt-5.2`` agents, as MassGen's own default."""


class _Rendered:
    """What happens in a run, told on as chunks in the shape of the wire."""

    def __init__(self, chunks: Sink[dict[str, Any]], renderer: Renderer) -> None:
        self.widen = chunks.widen
        self._send = chunks.send
        self._render = renderer.feed

    async def send(self, event: RunEvent, /) -> None:
        for chunk in self._render(event):
            await self._send(chunk)


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
    (``ignore``) or refused (``reject``). ``observe`` is told every event of every run
    (``observing``).

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
        observe: Observer | None = None,
    ) -> None:
        self._unknown_params: UnknownParams = unknown_params
        self._observe = observe
        environment = os.environ if env is None else env
        self._policies = tuple(policies)
        self._policy_found: dict[Agent, Policy] = {}
        self._connections = Connections(environment, policy_of=self.policy_of)
        own_engine = None if isinstance(engine, str) else engine
        named_engine = engine if isinstance(engine, str) else None
        stated_only = connect is not None or own_engine is not None
        self._env = None if stated_only else environment
        self._costs = Costs(self._env)
        self._teams = by_name(with_engine(teams or (DEFAULT_TEAM,), named_engine))
        self._engines = Engines(
            own_engine or LocalEngine(connect or self._connect, self.policy_of, self._costs.of)
        )
        self._background = background_teams(self._teams.values())
        for team in self._teams.values():
            for agent in team.agents:
                self.policy_of(agent)
        if connect is None and own_engine is None:
            for team in self._teams.values():
                check_backends(team, environment)
        if own_engine is None and massgen_teams(
            tuple(self._teams.values()),
            self.policy_of,
            environment,
            replaced_models=connect is not None,
        ):
            # It is imported for those who use it: that takes seconds.
            from massgen_compat.massgen_engine.engine import MassGenEngine  # noqa: PLC0415

            self._engines = Engines(
                LocalEngine(self._connect, self.policy_of, self._costs.of),
                MassGenEngine(
                    self._connections.connect, self.policy_of, self._costs.of, env=environment
                ),
            )
        for team in self._teams.values():
            check_prices(team, self._costs.of_team(team))

    @classmethod
    def from_yaml(
        cls,
        *paths: str | Path,
        env: Mapping[str, str] | None = None,
        policies: Sequence[Policy] = (),
        connect: Callable[[Agent], ModelClient] | None = None,
        engine: Engine | EngineName | None = None,
        unknown_params: UnknownParams = "warn",
        observe: Observer | None = None,
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
        return self._teams

    def team(self, model: str) -> Team:
        """The team behind a model name; raises ``ModelNotFound``."""
        if model not in self._teams:
            raise ModelNotFound(model, self._teams)
        return self._teams[model]

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

    def parse(self, payload: object) -> ChatRequest:
        """The request that a Chat Completions payload stands for; raises ``InvalidRequest``."""
        return parse(payload, unknown_params=self._unknown_params)

    async def chat(self, payload: Mapping[str, Any]) -> ChatCompletion:
        """Answer a Chat Completions payload.

        Raises ``InvalidRequest`` for a payload that cannot be honoured and another
        ``MassGenError`` for a run that failed.
        """
        return ChatCompletion.model_validate(await self.complete(self.parse(payload)))

    @asynccontextmanager
    async def chat_stream(
        self, payload: Mapping[str, Any]
    ) -> AsyncGenerator[AsyncIterator[ChatCompletionChunk]]:
        """Answer a Chat Completions payload chunk by chunk; leaving the context ends the run.

        Raises what ``chat`` raises, at the start or while iterating.
        """
        async with self.chunks(replace(self.parse(payload), stream=True)) as chunks:
            yield _Typed(chunks)

    def stream(self, request: RunRequest) -> AbstractAsyncContextManager[AsyncIterator[RunEvent]]:
        """Open a run and follow its events; leaving the context ends it.

        Raises ``InvalidRequest`` (of an unknown team: ``ModelNotFound``), or another
        ``MassGenError`` while iterating.
        """
        return streamed(self._run(self.team(request.team), request))

    def admit(self, request: ChatRequest) -> ChatRequest:
        """The request as its team will answer it, found out before anything is spent.

        It names the parameters that an agent has no place for, and the rule by which one agent
        answers alone. Raises ``InvalidRequest`` for what the team cannot do; of an unknown team:
        ``ModelNotFound``.
        """
        own = self.team(request.run.team)
        team = narrowed(own, request.run.narrowing)
        admit(team, request.run, self._costs.of_team(team))
        lost = unhonoured(team, request.run)
        if request.run.cache_key is not None and not any(map(self._keyed, team.agents)):
            lost += ("prompt_cache_key",)
        rule = self.background_rule(request)
        return replace(
            request,
            run=replace(request.run, trace=request.run.trace or own.settings.trace),
            ignored=tuple(dict.fromkeys((*request.ignored, *lost))),
            background=rule and rule.name,
            admitted=True,
        )

    def background_rule(self, request: ChatRequest) -> BackgroundRule | None:
        """The rule by which one agent of the team answers the request alone, if there is one.

        Raises ``ModelNotFound``.
        """
        team = self.team(request.run.team)
        if team.name not in self._background:
            return None
        return matching_rule(request, rules_with(team.settings.background_rules))

    async def answer(
        self,
        request: ChatRequest,
        listener: Callable[[Renderer], Sink[RunEvent]],
    ) -> None:
        """Answer a parsed request, in this task. The ``listener`` is made with what renders the
        answer, and is told the events of the run. Raises what ``chat`` raises.
        """
        if not request.admitted:
            request = self.admit(request)
        team = self.team(request.run.team)
        if request.background:
            alone = request.run.narrowing.limits_only()
            request = replace(request, run=replace(request.run, narrowing=alone))
            team = self._background[team.name]
            logger.info(
                "background request to %s: %s, by agent %s",
                team.name,
                request.background,
                team.agents[0].id,
            )
        renderer = Renderer(
            request, id=f"chatcmpl-{secrets.token_hex(15)}", created=int(time.time())
        )
        await self._run(team, request.run)(listener(renderer))

    def chunks(
        self, request: ChatRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[dict[str, Any]]]:
        """A parsed request as chunks in the shape of the wire; leaving the context ends the run.

        Raises what ``chat`` raises while iterating.
        """

        def tell(chunks: Sink[dict[str, Any]]) -> Awaitable[None]:
            return self.answer(request, partial(_Rendered, chunks))

        return streamed(tell)

    async def complete(self, request: ChatRequest) -> dict[str, Any]:
        """A parsed request as a completion in the shape of the wire: the fold of its chunks."""
        chunks = Channel[dict[str, Any]](inf)
        await self.answer(replace(request, stream=False), partial(_Rendered, chunks))
        return fold(chunks.held())

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

    def _run(self, team: Team, request: RunRequest) -> Callable[[Sink[RunEvent]], Awaitable[None]]:
        """What executes the request's run. Raises ``InvalidRequest``."""
        team = escalating(narrowed(team, request.narrowing), request)
        admit(team, request, self._costs.of_team(team))
        engine, run_id = self._engines.of(team), f"run_{secrets.token_hex(12)}"

        def run(events: Sink[RunEvent]) -> Awaitable[None]:
            return engine.run(team, request, events, run_id=run_id)

        observe = self._observe
        return (lambda events: observed(observe, team, request, events, run)) if observe else run

    def _keyed(self, agent: Agent) -> bool:
        """Whether the agent's requests carry a key for its provider's prompt cache."""
        if self._env is None or agent.backend.type not in BACKENDS:
            return False
        return takes_cache_key(agent, base_url(agent.backend, self._env))

    def _connect(self, agent: Agent) -> ModelClient:
        if agent.backend.type == "scripted":
            from massgen_compat.scripted import ScriptedModel  # noqa: PLC0415 - not in production

            return ScriptedModel(agent.backend.script)
        return self._connections.connect(agent)


class _Typed(AsyncIterator[ChatCompletionChunk]):
    def __init__(self, chunks: AsyncIterator[dict[str, Any]]) -> None:
        self._chunks = chunks

    async def __anext__(self) -> ChatCompletionChunk:
        return ChatCompletionChunk.model_validate(await anext(self._chunks))
