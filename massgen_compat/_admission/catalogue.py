"""The catalogue: the teams that are served, and the one admission of every request. Pure.

It is made at the start. ``Catalogue.admit`` decides once which team answers a request, on which
engine, and whether that team can do what is asked. Everything after it only executes an
``Admitted``. Nothing is spent here.
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
    """A run that may begin: the team that answers, its request, and the engine for it."""

    team: Team
    request: RunRequest
    engine: Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A client's request that may be answered, and all that is needed to answer it.

    ``model`` is the name that the client asked for. ``ignored`` has the names of the parameters
    that are not honoured by this library or by an agent that answers. ``background`` is the name of
    the rule by which one agent answers alone, if one does. The other fields are as in
    ``ParsedRequest``.
    """

    run: AdmittedRun
    model: str
    rendering: Rendering
    stream: bool
    ignored: tuple[str, ...]
    background: str | None
    places: BodyPlaces


class Catalogue:
    """The teams of one ``MassGen``, with their engines and costs.

    ``engine_of`` gives the engine that executes a team's runs. ``costs`` knows what the calls of
    its agents cost. ``takes_cache_key`` says whether an agent's requests have a key for its
    provider's prompt cache. Raises ``ConfigError`` for two teams of one name and for an unknown
    background agent.
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
        """Decide how the request is answered.

        Raises ``InvalidRequest`` for what the answering team cannot do, with ``param`` as a path in
        the body that the client sent, and ``ModelNotFound`` for an unknown team.
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
        """Decide the same for a request that was made in process, without a wire.

        Background rules do not apply to it. Raises ``InvalidRequest`` (for an unknown team
        ``ModelNotFound``).
        """
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
        """The names of the parameters that an agent of the team cannot honour."""
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
    """For each team, by its name: the agent that answers background requests, as a team of one.

    Teams of one agent, and teams that have switched this off, are left out. Raises ``ConfigError``
    for a ``background_agent`` that is none of the team's agents.
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
    """An agent of a team alone. ``max_calls`` is set anew, by the rule for a team of one."""
    limits = replace(team.settings.limits, max_calls=None)
    settings = replace(team.settings, limits=limits, background_agent=None, escalation=None)
    return Team(name, (agent,), settings=settings)


def check_backends(team: Team, env: Mapping[str, str]) -> None:
    """Raise ``ConfigError`` if the key or URL of an agent's backend is missing.

    It is called at the start, so that the fault does not show with the first request only.
    """
    for agent in team.agents if team.settings.engine == "local" else ():
        if agent.backend.type != "scripted":
            try:
                resolve(agent.backend, env)
            except ConfigError as error:
                raise ConfigError(f"team {team.name!r}, agent {agent.id!r}: {error}") from None
