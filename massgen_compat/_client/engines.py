"""Which engine executes the runs of a team: this library's own, or the real MassGen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from massgen_compat._massgen.config import check_team, environment
from massgen_compat._run.team import Agent, EngineName, Team
from massgen_compat.engine import Engine
from massgen_compat.errors import ConfigError
from massgen_compat.policies import Policy


class Engines:
    """The engines of one ``MassGen``. Without ``massgen``, every team is on ``local``."""

    def __init__(self, local: Engine, massgen: Engine | None = None) -> None:
        self._local = local
        self._massgen = massgen

    def of(self, team: Team) -> Engine:
        """The engine that executes the team's runs."""
        chosen = self._massgen if team.settings.engine == "massgen" else None
        return chosen or self._local


def with_engine(teams: Sequence[Team], engine: EngineName | None) -> tuple[Team, ...]:
    """The teams, all set to that engine; with ``None`` each keeps the engine of its settings."""
    if engine is None:
        return tuple(teams)
    return tuple(
        Team(team.name, team.agents, settings=replace(team.settings, engine=engine))
        for team in teams
    )


def massgen_teams(
    teams: Sequence[Team],
    policy_of: Callable[[Agent], Policy],
    env: Mapping[str, str],
    *,
    replaced_models: bool,
) -> bool:
    """Whether any of the teams is executed by MassGen, after a check of those that are.

    Raises ``ConfigError`` for what such a team cannot have, for a missing key, and if
    ``replaced_models``: MassGen would not use the caller's ``connect``.
    """
    chosen = [team for team in teams if team.settings.engine == "massgen"]
    for team in chosen:
        if replaced_models:
            raise ConfigError(
                f"team {team.name!r}: `connect` is for the local engine; MassGen's agents are "
                "reached by their backends"
            )
        check_team(team, policy_of)
        environment(team, env)
    return bool(chosen)
