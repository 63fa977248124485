"""``GET /v1/models``: a team for every model that OpenAI would list."""

from collections.abc import Iterable
from typing import Any

from massgen_compat.run import Team


def render_models(teams: Iterable[Team], *, created: int) -> dict[str, Any]:
    """The list of teams; ``created`` is in Unix seconds."""
    return {"object": "list", "data": [render_model(team, created=created) for team in teams]}


def render_model(team: Team, *, created: int) -> dict[str, Any]:
    """One team as a model object; ``massgen`` names its agents and tells nothing of their keys."""
    agents = [
        {"id": agent.id, "model": agent.model, "backend": agent.backend.type}
        for agent in team.agents
    ]
    return {
        "id": team.name,
        "object": "model",
        "created": created,
        "owned_by": "massgen",
        "massgen": {"agents": agents},
    }
