"""The catalogue: what is served, made at the start, and the one admission of every request.

``Catalogue.admit`` decides once which team answers a request, on which engine, and whether it can
do what is asked; what comes after only executes an ``Admitted``. Nothing is spent here. Pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from massgen_compat._admission.admit import admit, escalating, narrowed, unhonoured
from massgen_compat._admission.background import matching_rule
from massgen_compat._admission.prices import Costs
from massgen_compat._run.background_rules import OFF, BackgroundRule, rules_with
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Agent, Team
from massgen_compat._upstream.backends import resolve
from massgen_compat.engine import Engine
from massgen_compat.errors import ConfigError, ModelNotFound
from massgen_compat.protocol.answer import Rendering
from massgen_compat.protocol.request import BodyPlaces, ParsedRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedRun:
    """A run that may begin: the team that really answers, what it is asked, and its engine."""

    team: Team
    request: RunRequest
    engine: Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A request of a client that may be answered.

    ``model`` is the name that the client asked for. ``ignored`` names the parameters that are not
    honoured, by this library or by an agent that answers. ``background`` is the name of the rule by
    which one agent answers alone. The others are as in ``ParsedRequest``.
    """

    run: AdmittedRun
    model: str
    rendering: Rendering
    stream: bool
    ignored: tuple[str, ...]
    background: str | None
    places: BodyPlaces


class Catalogue:
    """The teams of one ``MassGen``, with what stands beside each of them.

    ``teams`` are by the names that clients use. ``engine_of`` gives the engine that executes a
    team's runs, ``costs`` what its agents' calls cost. ``takes_cache_key`` tells whether an agent's
    requests carry a key for its provider's prompt cache. Raises ``ConfigError`` for two teams of
    one name and for an unknown background agent.
    """

    def __init__(
        self,
        teams: Sequence[Team],
        *,
        engine_of: Callable[[Team], Engine],
        costs: Costs,
        takes_cache_key: Callable[[Agent], bool],
    ) -> None:
        self._teams = by_name(teams)
        self._background = background_teams(self._teams.values())
        self._engine_of = engine_of
        self._costs = costs
        self._takes_cache_key = takes_cache_key

    @property
    def teams(self) -> Mapping[str, Team]:
        """The teams by the model names that clients use, ``NAME-single`` included."""
        return self._teams

    def team(self, model: str) -> Team:
        """The team behind a model name; raises ``ModelNotFound``."""
        if model not in self._teams:
            raise ModelNotFound(model, self._teams)
        return self._teams[model]

    def admit(self, parsed: ParsedRequest[Rendering]) -> Admitted:
        """The request as it will be answered.

        Raises ``InvalidRequest``, in the terms of the body that was sent, for what the answering
        team cannot do; of an unknown team: ``ModelNotFound``.
        """
        with parsed.places.named_in_errors():
            asked = self.team(parsed.run.team)
            team = narrowed(asked, parsed.run.narrowing)
            run, rule = parsed.run, self._background_rule(asked, parsed)
            if rule is not None:
                run = replace(run, narrowing=run.narrowing.limits_only())
                team = narrowed(self._background[asked.name], run.narrowing)
            admitted = self._admitted(team, run)
        return Admitted(
            run=admitted,
            model=parsed.run.team,
            rendering=parsed.rendering,
            stream=parsed.stream,
            ignored=tuple(dict.fromkeys((*parsed.ignored, *self._unhonoured(team, run)))),
            background=rule and rule.name,
            places=parsed.places,
        )

    def admit_run(self, request: RunRequest) -> AdmittedRun:
        """A request that was made in process. Raises ``InvalidRequest`` (``ModelNotFound``)."""
        return self._admitted(narrowed(self.team(request.team), request.narrowing), request)

    def _admitted(self, team: Team, request: RunRequest) -> AdmittedRun:
        team = escalating(team, request)
        admit(team, request, self._costs.of_team(team))
        return AdmittedRun(
            team=team,
            request=replace(request, trace=request.trace or team.settings.trace),
            engine=self._engine_of(team),
        )

    def _background_rule(
        self, team: Team, parsed: ParsedRequest[Rendering]
    ) -> BackgroundRule | None:
        """The rule by which one agent of the team answers the request alone, if there is one."""
        if team.name not in self._background:
            return None
        rules = rules_with(team.settings.background_rules)
        return matching_rule(parsed.run, rules, stream=parsed.stream)

    def _unhonoured(self, team: Team, request: RunRequest) -> tuple[str, ...]:
        """The parameters that an agent of the answering team has no place for."""
        lost = unhonoured(team, request)
        if request.cache_key is not None and not any(map(self._takes_cache_key, team.agents)):
            lost += ("prompt_cache_key",)
        return lost


def by_name(teams: Sequence[Team]) -> dict[str, Team]:
    """The teams by the names that clients use, with ``NAME-single`` for those of several agents.

    Raises ``ConfigError`` for two teams of one name.
    """
    named: dict[str, Team] = {}
    for team in teams:
        if team.name in named:
            raise ConfigError(
                f"two teams are called {team.name!r}; set `massgen_compat: {{model: NAME}}` in "
                "one of them"
            )
        named[team.name] = team
    for team in teams:
        if len(team.agents) > 1:
            alone = f"{team.name}-single"
            named.setdefault(alone, _alone(alone, team, team.agents[0]))
    return named


def background_teams(teams: Iterable[Team]) -> dict[str, Team]:
    """By the names of the teams: the agent that answers background requests, as a team.

    Raises ``ConfigError`` for a ``background_agent`` that is none of the agents.
    """
    answering: dict[str, Team] = {}
    for team in teams:
        agents = {agent.id: agent for agent in team.agents}
        wanted = team.settings.background_agent or team.agents[0].id
        if wanted not in {*agents, OFF}:
            raise ConfigError(
                f"team {team.name!r}: background_agent {wanted!r} is none of its agents: "
                f"{', '.join(agents)}; or {OFF!r}"
            )
        if len(agents) > 1 and wanted != OFF:
            answering[team.name] = _alone(team.name, team, agents[wanted])
    return answering


def _alone(name: str, team: Team, agent: Agent) -> Team:
    """An agent of a team alone: its limit of calls follows from its own rules."""
    limits = replace(team.settings.limits, max_calls=None)
    settings = replace(team.settings, limits=limits, background_agent=None, escalation=None)
    return Team(name, (agent,), settings=settings)


def check_backends(team: Team, env: Mapping[str, str]) -> None:
    """Raise ``ConfigError`` for a missing key or URL: at the start, not at the first request."""
    for agent in team.agents if team.settings.engine == "local" else ():
        if agent.backend.type != "scripted":
            try:
                resolve(agent.backend, env)
            except ConfigError as error:
                raise ConfigError(f"team {team.name!r}, agent {agent.id!r}: {error}") from None
