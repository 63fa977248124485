"""What a team asks for and cannot have where MassGen executes its runs. Pure."""

from collections.abc import Callable
from typing import Final

from massgen_compat._run.team import Agent, Limits, Team
from massgen_compat._upstream.backends import BACKENDS
from massgen_compat._upstream.tolerant import mapping
from massgen_compat.errors import ConfigError
from massgen_compat.policies import DEFAULT, Policy

OWN_WIRES: Final = frozenset({"azure_openai", "claude", "gemini"})
"""Backend types of the table that MassGen reaches through the vendors' own libraries."""


def heard(agent: Agent) -> bool:
    """Whether the agent's model calls go through this library's client."""
    return agent.backend.type in BACKENDS and agent.backend.type not in OWN_WIRES


def check_team(team: Team, policy_of: Callable[[Agent], Policy]) -> None:
    """Raise ``ConfigError`` for what the team cannot have."""
    for problem in problems(team, policy_of):
        raise ConfigError(f"team {team.name!r}: {problem}")


def problems(team: Team, policy_of: Callable[[Agent], Policy]) -> list[str]:
    """What the team cannot have, a sentence each."""
    found: list[str] = []
    limits = team.settings.limits
    if team.settings.escalation is not None:
        found.append("`escalation` is for the local engine: MassGen asks all agents at once")
    if team.settings.speculate:
        found.append("`speculate` is for the local engine: MassGen presents when it has decided")
    if team.settings.unverified == "discard":
        found.append("`unverified: discard` is for the local engine: MassGen has no abstention")
    for agent in team.agents:
        who = f"agent {agent.id!r}"
        if agent.backend.type == "scripted":
            found.append(f"{who}: MassGen has no backend type `scripted`")
        elif heard(agent):
            found += [f"{who}: {each}" for each in _unlike(agent, team, policy_of(agent))]
        else:
            found += [f"{who}: {each}" for each in _unheard(agent, limits, policy_of(agent))]
    return found


def _unlike(agent: Agent, team: Team, policy: Policy) -> list[str]:
    """An agent whose calls go through this library's client, on the wire that MassGen chooses."""
    wire = "responses" if agent.backend.type in {"openai", "grok"} else "chat"
    found: list[str] = []
    if agent.backend.api not in (None, wire):
        found.append(f"MassGen reaches `{agent.backend.type}` through `api: {wire}` only")
    settings = mapping((team.settings.massgen or {}).get("orchestrator"))
    if policy is not DEFAULT and settings.get("coordination_mode") == "decomposition":
        found.append(
            f"model policy {policy.name!r} is about votes and cannot be held in "
            "`coordination_mode: decomposition`; use `massgen_compat: {policy: default}`"
        )
    return found


def _unheard(agent: Agent, limits: Limits, policy: Policy) -> list[str]:
    """An agent that MassGen reaches by itself."""
    by_itself = f"the backend `{agent.backend.type}`, which MassGen reaches by itself"
    found: list[str] = []
    if policy is not DEFAULT:
        found.append(
            f"model policy {policy.name!r} cannot be held with {by_itself}; use another backend, "
            "or `massgen_compat: {policy: default}`"
        )
    if limits != Limits(deadline_seconds=limits.deadline_seconds):
        found.append(f"limits of calls, tokens and cost cannot be held with {by_itself}")
    return found
