"""The body of ``GET /v1/models``, in which each team stands as a model."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from massgen_compat._run.team import Agent, Team

Inputs: TypeAlias = Callable[[Iterable[Agent]], Sequence[str]]
"""Gives the kinds of input beside text that at least one of the agents takes."""

PolicyName: TypeAlias = Callable[[Agent], str]
"""Gives the name of the model policy that an agent is under."""


def render_models(
    teams: Iterable[Team], *, created: int, inputs: Inputs, policy: PolicyName
) -> dict[str, Any]:
    """The teams as a list object of OpenAI; ``created`` is in Unix seconds."""
    rows = [render_model(team, created=created, inputs=inputs, policy=policy) for team in teams]
    return {"object": "list", "data": rows}


def render_model(team: Team, *, created: int, inputs: Inputs, policy: PolicyName) -> dict[str, Any]:
    """One team as a model object of OpenAI; ``created`` is in Unix seconds.

    Its ``massgen`` object names the agents, and nothing about their keys or URLs.
    """
    agents = [
        {
            "id": agent.id,
            "model": agent.model,
            "backend": agent.backend.type,
            "policy": policy(agent),
            "inputs": ["text", *inputs([agent])],
        }
        for agent in team.agents
    ]
    return {
        "id": team.name,
        "object": "model",
        "created": created,
        "owned_by": "massgen",
        "massgen": {
            "engine": "local",
            "inputs": ["text", *inputs(team.answering)],
            "agents": agents,
        },
    }
