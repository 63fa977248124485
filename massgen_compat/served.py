"""What is served: the teams by name, what stands beside each, and whether it can start. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from massgen_compat.background import OFF
from massgen_compat.errors import ConfigError
from massgen_compat.run import Agent, Team
from massgen_compat.upstream.backends import resolve


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
