"""A team as MassGen's own config, and what a team asks for that MassGen cannot do. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from massgen_compat._massgen.task import system_message
from massgen_compat._run.message import Json
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Agent, Limits, Team
from massgen_compat._upstream.backends import BACKENDS, HOST_KEYS, resolve
from massgen_compat._upstream.tolerant import mapping
from massgen_compat.errors import ConfigError
from massgen_compat.policies import DEFAULT, Policy

PLACEHOLDER: Final = "held-by-massgen-compat"
"""The key that MassGen's backends get where this library makes the calls and has the real one."""


def massgen_config(
    team: Team, request: RunRequest, policy_of: Callable[[Agent], Policy]
) -> dict[str, Any]:
    """The config of one run, in MassGen's format and complete.

    It is the team's file, or it is made of the team's agents where there is no file. Each agent's
    ``system_message`` includes the client's system messages. There are no keys in it.
    """
    given = dict(team.settings.massgen or {})
    known = {agent.get("id"): agent for agent in _given_agents(given)}
    agents: list[dict[str, Any]] = []
    for agent in team.agents:
        made: dict[str, Any] = {"id": agent.id, "backend": _backend(agent)}
        entry = dict(known.get(agent.id) or made)
        backend: dict[str, Any] = {**entry["backend"]}
        backend.pop("api_key", None)
        backend["model"] = agent.model if heard(agent) else backend.get("model", agent.model)
        if agent.backend.base_url:
            backend["base_url"] = agent.backend.base_url
        entry["backend"] = {k: v for k, v in backend.items() if v is not None}
        own = system_message(agent.system_message, request.messages, policy_of(agent))
        if own is not None:
            entry["system_message"] = own
        entry.pop("massgen_compat", None)
        agents.append(entry)
    rest = {k: v for k, v in given.items() if k not in {"agent", "massgen_compat"}}
    settings = dict(given["orchestrator"] or {}) if "orchestrator" in given else {}
    settings = {**({} if given else _orchestrator(team)), **settings, **_narrowed(team, request)}
    if coordination := mapping(settings.get("coordination")):
        # Judging the final answer fails in 0.1.97 (an ImportError in its follow-up).
        settings["coordination"] = {**coordination, "max_orchestration_restarts": 0}
    if len(agents) == 1:
        settings |= _alone(bool(request.tools) and request.tool_choice != "none")
    return {
        **rest,
        "agents": agents,
        "orchestrator": settings,
        "timeout_settings": {**(rest.get("timeout_settings") or {}), **_deadline(team)},
    }


def _deadline(team: Team) -> dict[str, Any]:
    """MassGen's own timeout, an hour after the team's deadline.

    ``drive`` keeps the deadline; MassGen's timeout must not end the run in another way before.
    """
    seconds = team.settings.limits.deadline_seconds
    return {"orchestrator_timeout_seconds": int(seconds + 3600) if seconds else _NEVER}


_NEVER: Final = 10**9


def _given_agents(config: Json) -> list[dict[str, Any]]:
    listed = [config["agent"]] if "agent" in config else list(config.get("agents") or [])
    return [{"id": f"agent{n}", **agent} for n, agent in enumerate(listed, start=1)]


def _backend(agent: Agent) -> dict[str, Any]:
    """The backend block of an agent that was made in code, and has none."""
    made: dict[str, Any] = {"type": agent.backend.type, "model": agent.model, **agent.params}
    for tool in agent.backend.hosted_tools:
        made[f"enable_{tool}"] = True
    return made


def _orchestrator(team: Team) -> dict[str, Any]:
    """The settings of a team that was made in code, under MassGen's names."""
    settings = team.settings
    made = {
        "voting_sensitivity": settings.voting_sensitivity,
        "max_new_answers_per_agent": settings.max_new_answers_per_agent,
        "max_new_answers_global": settings.max_new_answers_global,
        "answer_novelty_requirement": settings.answer_novelty_requirement,
        "fairness_enabled": settings.fairness_lead_cap_answers is not None,
        "fairness_lead_cap_answers": settings.fairness_lead_cap_answers,
        "defer_voting_until_all_answered": settings.defer_voting_until_all_answered,
        "skip_voting": settings.skip_voting,
        "skip_coordination_rounds": settings.skip_coordination_rounds,
        "final_answer_strategy": settings.final_answer_strategy,
        "skip_final_presentation": settings.final_answer_strategy == "winner_reuse",
    }
    return {name: value for name, value in made.items() if value is not None}


def _narrowed(team: Team, request: RunRequest) -> dict[str, Any]:
    """The settings that the request narrows. ``team`` has the narrowed settings already."""
    asked: dict[str, Any] = {}
    if request.narrowing.max_new_answers_per_agent is not None:
        asked["max_new_answers_per_agent"] = team.settings.max_new_answers_per_agent
    if request.narrowing.reuse:
        asked |= {"final_answer_strategy": "winner_reuse", "skip_final_presentation": True}
    return asked


def _alone(tools: bool) -> dict[str, Any]:  # noqa: FBT001 - its one caller says what it is
    """The settings for a team of one agent, which is to make one call.

    MassGen offers the client's tools only while the agents coordinate. So with tools that phase is
    the one that is kept, and without tools the presentation.
    """
    if tools:
        return {"skip_voting": True, "skip_final_presentation": True}
    return {"skip_coordination_rounds": True}


def environment(team: Team, env: Mapping[str, str]) -> dict[str, str]:
    """The environment variables in which MassGen's backends look for the team's keys.

    The value is a placeholder where this library makes the calls, and the key elsewhere. ``env`` is
    where the keys are found. Raises ``ConfigError`` for a key that is missing.
    """
    found: dict[str, str] = {}
    for agent in team.agents:
        row = BACKENDS.get(agent.backend.type)
        if row is None:
            continue
        endpoint = resolve(agent.backend, env)
        names = row.keys or tuple(
            name for domain, keys in HOST_KEYS if domain in endpoint.base_url for name in keys
        )
        for name in names:
            found[name] = PLACEHOLDER if heard(agent) else endpoint.api_key
    return found


# What a team cannot have


OWN_WIRES: Final = frozenset({"azure_openai", "claude", "gemini"})
"""Types of the table ``BACKENDS`` that MassGen reaches through the vendors' own libraries."""


def heard(agent: Agent) -> bool:
    """Whether this library makes the agent's model calls, so that it hears every reply."""
    return agent.backend.type in BACKENDS and agent.backend.type not in OWN_WIRES


def check_team(team: Team, policy_of: Callable[[Agent], Policy]) -> None:
    """Raise ``ConfigError`` for the first of the team's ``problems``."""
    for problem in problems(team, policy_of):
        raise ConfigError(f"team {team.name!r}: {problem}")


def problems(team: Team, policy_of: Callable[[Agent], Policy]) -> list[str]:
    """What the team asks for and cannot have with MassGen, one sentence for each."""
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
    """The problems of an agent whose model calls this library makes."""
    # MassGen chooses the wire by the type of its backend.
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
    """The problems of an agent whose model calls MassGen makes by itself."""
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
