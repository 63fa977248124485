"""The list of models: teams in OpenAI's shape, with nothing of their keys and addresses."""

import json
from collections.abc import Callable

from massgen_compat.protocol.models import render_model, render_models
from massgen_compat.run import Agent, Backend, Team

TEAM = Team(
    "pair",
    [
        Agent("a", model="gpt-5.2"),
        Agent(
            "b",
            model="llama",
            backend=Backend(type="chatcompletion", base_url="http://10.0.0.1", api_key="sk-1"),
        ),
    ],
)


def test_a_team_is_a_model_that_names_its_agents() -> None:
    assert render_model(TEAM, created=5) == {
        "id": "pair",
        "object": "model",
        "created": 5,
        "owned_by": "massgen",
        "massgen": {
            "agents": [
                {"id": "a", "model": "gpt-5.2", "backend": "openai"},
                {"id": "b", "model": "llama", "backend": "chatcompletion"},
            ]
        },
    }


def test_the_list_follows_the_published_schema_and_keeps_the_order(
    conforms: Callable[[str, object], None],
) -> None:
    listed = render_models([TEAM, Team("solo", [Agent("x", model="m")])], created=5)
    assert [model["id"] for model in listed["data"]] == ["pair", "solo"]
    for model in listed["data"]:
        del model["massgen"]
    conforms("ListModelsResponse", listed)


def test_neither_keys_nor_addresses_are_listed() -> None:
    listed = json.dumps(render_models([TEAM], created=5))
    assert "sk-1" not in listed
    assert "10.0.0.1" not in listed
