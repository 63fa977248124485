"""A team as a config in MassGen's own format: that of its file, or one made of its agents. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from massgen_compat._massgen.fit import heard
from massgen_compat._massgen.task import system_message
from massgen_compat._run.message import Json
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Agent, Team
from massgen_compat._upstream.backends import BACKENDS, HOST_KEYS, resolve
from massgen_compat._upstream.tolerant import mapping
from massgen_compat.policies import Policy

PLACEHOLDER: Final = "held-by-massgen-compat"
"""The key that MassGen's backends get: the real one stays with the client that makes the calls."""


def massgen_config(
    team: Team, request: RunRequest, policy_of: Callable[[Agent], Policy]
) -> dict[str, Any]:
    """The config of one run: the team's agents, told what the client's application instructs."""
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
    """The run's deadline is kept around MassGen, so that of its own comes later."""
    seconds = team.settings.limits.deadline_seconds
    return {"orchestrator_timeout_seconds": int(seconds + 3600) if seconds else _NEVER}


_NEVER: Final = 10**9


def _given_agents(config: Json) -> list[dict[str, Any]]:
    listed = [config["agent"]] if "agent" in config else list(config.get("agents") or [])
    return [{"id": f"agent{n}", **agent} for n, agent in enumerate(listed, start=1)]


def _backend(agent: Agent) -> dict[str, Any]:
    """The backend of an agent that was made in code."""
    made: dict[str, Any] = {"type": agent.backend.type, "model": agent.model, **agent.params}
    for tool in agent.backend.hosted_tools:
        made[f"enable_{tool}"] = True
    return made


def _orchestrator(team: Team) -> dict[str, Any]:
    """The settings of a team that was made in code, in MassGen's words."""
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
    """What the request makes cheaper; ``team`` was narrowed already."""
    asked: dict[str, Any] = {}
    if request.narrowing.max_new_answers_per_agent is not None:
        asked["max_new_answers_per_agent"] = team.settings.max_new_answers_per_agent
    if request.narrowing.reuse:
        asked |= {"final_answer_strategy": "winner_reuse", "skip_final_presentation": True}
    return asked


def _alone(tools: bool) -> dict[str, Any]:  # noqa: FBT001 - its one caller says what it is
    """An agent alone makes one call. MassGen offers the client's tools in the coordination only."""
    if tools:
        return {"skip_voting": True, "skip_final_presentation": True}
    return {"skip_coordination_rounds": True}


def environment(team: Team, env: Mapping[str, str]) -> dict[str, str]:
    """The variables in which MassGen's backends look for the keys of the team.

    A placeholder where the calls are made by this library; else the key. Raises ``ConfigError``
    for one that is missing.
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
