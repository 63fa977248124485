"""The catalogue: what is served, made at the start, and the one admission of every request.

``Catalogue.admit`` decides once which team answers a request, on which engine, and whether it can
do what is asked; what comes after only executes an ``Admitted``. Nothing is spent here. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from massgen_compat.admission import admit, escalating, narrowed, unhonoured
from massgen_compat.background import BackgroundRule, rules_with
from massgen_compat.engine import Engine
from massgen_compat.engines import Engines
from massgen_compat.errors import ModelNotFound
from massgen_compat.prices import Costs
from massgen_compat.protocol.answer import Rendering
from massgen_compat.protocol.background import matching_rule
from massgen_compat.protocol.parsed import BodyPlaces, ParsedRequest
from massgen_compat.run import Agent, RunRequest, Team
from massgen_compat.served import background_teams, by_name


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

    ``teams`` are by the names that clients use. ``takes_cache_key`` tells whether an agent's
    requests carry a key for its provider's prompt cache. Raises ``ConfigError`` for two teams of
    one name and for an unknown background agent.
    """

    def __init__(
        self,
        teams: Sequence[Team],
        *,
        engines: Engines,
        costs: Costs,
        takes_cache_key: Callable[[Agent], bool],
    ) -> None:
        self._teams = by_name(teams)
        self._background = background_teams(self._teams.values())
        self._engines = engines
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
            engine=self._engines.of(team),
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
