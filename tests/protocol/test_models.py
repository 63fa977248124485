"""The list of models: teams in OpenAI's shape, with nothing of their keys and addresses."""

import json
from collections.abc import Callable, Iterable

from massgen_compat._run.team import Agent, Backend, Team, TeamSettings
from massgen_compat.protocol.models import render_model, render_models

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


def inputs(agents: Iterable[Agent]) -> list[str]:
    return ["image"] if any(agent.model == "gpt-5.2" for agent in agents) else []


def policy(agent: Agent) -> str:
    return f"policy of {agent.id}"


def test_a_team_is_a_model_that_names_its_agents_and_what_they_take() -> None:
    assert render_model(TEAM, created=5, inputs=inputs, policy=policy) == {
        "id": "pair",
        "object": "model",
        "created": 5,
        "owned_by": "massgen",
        "massgen": {
            "engine": "local",
            "inputs": ["text", "image"],
            "agents": [
                {
                    "id": "a",
                    "model": "gpt-5.2",
                    "backend": "openai",
                    "policy": "policy of a",
                    "inputs": ["text", "image"],
                },
                {
                    "id": "b",
                    "model": "llama",
                    "backend": "chatcompletion",
                    "policy": "policy of b",
                    "inputs": ["text"],
                },
            ],
        },
    }


def test_a_team_takes_what_the_one_agent_takes_that_answers_without_coordination() -> None:
    alone = TeamSettings(skip_coordination_rounds=True)
    team = Team("pair", TEAM.agents[::-1], settings=alone)
    listed = render_model(team, created=5, inputs=inputs, policy=policy)["massgen"]
    assert listed["inputs"] == ["text"]
    assert [agent["inputs"] for agent in listed["agents"]] == [["text"], ["text", "image"]]


def test_the_list_follows_the_published_schema_and_keeps_the_order(
    conforms: Callable[[str, object], None],
) -> None:
    listed = render_models(
        [TEAM, Team("solo", [Agent("x", model="m")])], created=5, inputs=inputs, policy=policy
    )
    assert [model["id"] for model in listed["data"]] == ["pair", "solo"]
    for model in listed["data"]:
        del model["massgen"]
    conforms("ListModelsResponse", listed)


def test_neither_keys_nor_addresses_are_listed() -> None:
    listed = json.dumps(render_models([TEAM], created=5, inputs=inputs, policy=policy))
    assert "sk-1" not in listed
    assert "10.0.0.1" not in listed
