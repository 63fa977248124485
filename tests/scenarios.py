"""The scenarios of the cassettes: teams, and how their scripted models misbehave.

Numbers and promises are those of ``docs/gpt-5.2.md`` §6. ``test_cassettes`` holds each of them to
its promise, ``record_cassettes`` records them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from massgen_compat import Agent, MassGen, Team
from massgen_compat._run.message import text_message
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Api, Backend, StreamTurns, TeamSettings
from massgen_compat._upstream.connections import Connections
from massgen_compat.events import RunEvent
from tests.recording import Labelled

A, B = "gpt-5.2", "gpt-5.2-2025-12-11"
"""Two spellings of one model, so that each agent can have a script of its own."""

UNTOUCHED = ("gpt-5", "gpt-4o", "gpt-4.1", "gpt-5.2-chat-latest", "gpt-5.2-pro", "no-such-model")
REFUSED_EFFORT = (
    "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions. "
    "Please use /v1/responses instead."
)
Script = dict[str, Any]


def member(name: str, model: str, *hosted: str, **params: Any) -> Agent:
    return Agent(name, model=model, backend=Backend(hosted_tools=hosted), params=params)


def first(**script: Any) -> dict[str, Script]:
    """A script for the first agent; what it leaves out is agreeable."""
    return {A: {"draft": "It scatters.", "evaluate": VOTE_1, **script}, B: AGREEABLE}


EVALUATION = {"agent_id": "agent1", "strengths": "Right.", "weaknesses": "Short."}
AGREEABLE = {
    "draft": "Short waves scatter more.",
    "evaluate": {"vote": "agent1", "reason": "It is right.", "evaluations": [EVALUATION]},
}
"""The second agent's script."""

REAL = {"evaluations": [{**EVALUATION, "agent_id": "agent2"}], "reason": "It is right."}
VOTE_1, VOTE_2 = {"vote": "agent1", **REAL}, {"vote": "agent2", **REAL}
SHORT_VOTE = {"vote": "agent1", "reason": "It is right."}
HASTY_VOTE: Script = {"vote": "agent2", "evaluations": []}
HASTY_ANSWER: Script = {"new_answer": "Because of Rayleigh.", "evaluations": []}
SECOND_VOTE: Script = {
    "name": "vote",
    "arguments": {"evaluations": [], "agent_id": "agent2", "reason": ""},
}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A team, its models' scripts, and what is sent with the request.

    ``held``: see ``Labelled``. ``turns``: whether drafts and evaluations are streamed.
    ``bytewise``: a replay has to send the very bytes of the recording. ``ragged``: a broken reply
    ends as if it were complete (a broken connection cannot be recorded). ``live``: the real API can
    be expected to do the same, so that it can be recorded there too; the others need a model that
    misbehaves.
    """

    name: str
    agents: tuple[Agent, ...] = (member("a", A), member("b", B))
    scripts: Mapping[str, Script] = field(default_factory=first)
    apis: tuple[Api, ...] = ("responses", "chat")
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    held: frozenset[tuple[str, int]] = frozenset()
    turns: StreamTurns = "always"
    bytewise: bool = False
    ragged: bool = False
    live: bool = False

    def cassette(self, api: Api) -> str:
        """The name of the cassette's file, without its suffix."""
        return f"{self.name}-{api}"


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="01-defaults",
            agents=(member("a", A, temperature=0.7), member("b", B)),
            live=True,
        ),
        Scenario(
            name="02-absent-new-answer",
            scripts=first(draft=[{"new_answer": "Rayleigh."}, {"text": "It scatters."}]),
        ),
        Scenario(
            name="03-hasty-vote-at-none",
            params={"reasoning_effort": "none"},
            scripts=first(evaluate={**HASTY_VOTE, "on_correction": [VOTE_2]}),
        ),
        Scenario(
            name="04-hasty-answer-after-reasoning",
            agents=(member("a", A, reasoning={"effort": "high"}), member("b", B)),
            scripts=first(
                evaluate={
                    **HASTY_ANSWER,
                    "reasoning": "I know this.",
                    "on_correction": [VOTE_1],
                }
            ),
        ),
        Scenario(
            name="05-never-evaluates",
            scripts=first(evaluate={**HASTY_VOTE, "on_correction": [HASTY_VOTE]}),
        ),
        Scenario(
            name="06-work-and-decision",
            agents=(member("a", A, "web_search"), member("b", B)),
            scripts=first(evaluate={"hosted": ["web_search"], **VOTE_1}),
            apis=("responses",),
        ),
        Scenario(
            name="07-cut-in-the-middle",
            scripts=first(
                draft={"text": "It scatters, because", "fail": {"cut": True, "after_tokens": 2}}
            ),
            ragged=True,
        ),
        Scenario(
            name="08-effort-refused",
            agents=(member("a", "gpt-5.4"), member("b", "gpt-5.4-mini")),
            scripts={
                "gpt-5.4-mini": AGREEABLE,
                "gpt-5.4": {
                    "draft": "It scatters.",
                    "evaluate": {
                        **HASTY_VOTE,
                        "fail": {
                            "status": 400,
                            "message": REFUSED_EFFORT,
                            "param": "reasoning_effort",
                            "when_sent": "reasoning_effort",
                        },
                        "on_correction": [VOTE_2],
                    },
                },
            },
            apis=("chat",),
        ),
        Scenario(
            name="09-explicit-none",
            agents=(member("a", A, reasoning={"effort": "none"}, temperature=0.7), member("b", B)),
            scripts=first(evaluate={**HASTY_VOTE, "on_correction": [VOTE_2]}),
        ),
        Scenario(
            name="10-untouched-models",
            agents=tuple(member(model.replace(".", "-"), model) for model in UNTOUCHED),
            scripts={
                UNTOUCHED[0]: {"draft": [{"text": "Hm.", "calls": [{"name": "look"}]}, "Blue."]},
                **{model: {"draft": "Waves.", "evaluate": SHORT_VOTE} for model in UNTOUCHED[1:]},
            },
            bytewise=True,
        ),
        Scenario(
            name="11-hosted-search-in-the-draft",
            agents=(member("a", A, "web_search"), member("b", B)),
            scripts=first(draft={"hosted": ["web_search"], "text": "It scatters."}),
            apis=("responses",),
            live=True,
        ),
        Scenario(
            name="12-incomplete-draft",
            agents=(member("a", A, max_output_tokens=64), member("b", B)),
            scripts=first(
                draft=[
                    {"reasoning": "Let me see.", "text": "It sc", "finish_reason": "length"},
                    {"text": "It scatters."},
                ]
            ),
        ),
        Scenario(
            name="12-reasoning-only-draft",
            scripts=first(draft={"reasoning": "Let me see.", "finish_reason": "length"}),
        ),
        Scenario(
            name="13-partial-reasoning",
            agents=(member("a", A, reasoning={"summary": "auto"}), member("b", B)),
            scripts=first(draft={"reasoning": "Short waves.", "text": "It scatters."}),
            live=True,
        ),
        Scenario(
            name="14-many-decisions",
            scripts=first(
                evaluate={
                    "vote": "agent1",
                    "calls": [SECOND_VOTE],
                    "on_correction": [{"vote": "agent1", "new_answer": "Both."}, VOTE_2],
                }
            ),
        ),
        Scenario(name="15-replies-in-one-piece", turns="auto", live=True),
    )
}


QUESTION = RunRequest(team="team", messages=(text_message("user", "Why is the sky blue?"),))


async def follow(
    scenario: Scenario,
    api: Api,
    url: str,
    *,
    key: str = "sk-none",
    policy: str | None = None,
    patience: float = 20,
) -> tuple[RunEvent, ...]:
    """Run the scenario's team against a provider at ``url``; the events of the run.

    ``policy`` puts every agent under that policy; ``patience`` is in seconds.
    """
    agents = [
        replace(
            agent,
            policy=policy,
            backend=replace(agent.backend, api=api, base_url=url),
        )
        for agent in scenario.agents
    ]
    env = {"OPENAI_API_KEY": key}
    massgen = MassGen(
        Team("team", agents, settings=TeamSettings(stream_turns=scenario.turns)),
        env=env,
        connect=lambda agent: Labelled(connections.connect(agent), scenario.held),
    )
    connections = Connections(env, policy_of=massgen.policy_of, max_retries=0)
    request = replace(QUESTION, agent_params=dict(scenario.params))
    with anyio.fail_after(patience):
        try:
            async with massgen.stream(request) as events:
                return tuple([event async for event in events])
        finally:
            await connections.aclose()
