"""Models that will not learn: every run ends with an answer, in a bounded number of calls."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from massgen_compat._coordination import Rules
from massgen_compat._coordination.rules import call_bound
from massgen_compat._run.result import RunResult
from massgen_compat._run.team import Api
from massgen_compat.cli.server import serving
from massgen_compat.errors import UpstreamMalformed
from massgen_compat.events import (
    Abstained,
    AgentLeft,
    Answered,
    HostedToolCalled,
    RunCompleted,
    RunEvent,
    SubmissionRejected,
    VoteCast,
)
from massgen_compat.testing import ScriptedServer, ServedRequest
from tests.scenarios import AGREEABLE, Scenario, follow, member

pytestmark = pytest.mark.anyio

APIS: tuple[Api, ...] = ("responses", "chat")
STUBBORN, SOUND = "gpt-5.2", "gpt-5.2-2025-12-11"


def always(**step: Any) -> dict[str, Any]:
    """A step that is repeated word for word after every rejection."""
    return {**step, "on_correction": [step]}


def evaluations(*labels: str, strengths: str = "Right.", weaknesses: str = "") -> list[Any]:
    return [
        {"agent_id": label, "strengths": f"{strengths}", "weaknesses": weaknesses}
        for label in labels
    ]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A team of models with the same bad habit, and what has to come of it.

    ``reasons`` are all those for which something was turned back. ``decided`` says how every
    evaluation round ended: in decisions that are verified or not, or in abstentions.
    """

    name: str
    script: dict[str, Any]
    reasons: frozenset[str]
    decided: str
    drafts_verified: bool = True
    apis: tuple[Api, ...] = APIS
    params: dict[str, Any] = field(default_factory=dict[str, Any])


AT_ONCE = {
    "draft": always(new_answer="At once.", reasoning="I know."),
    "evaluate": always(vote="agent1", evaluations=[], reasoning="I know."),
}
CASES = [
    *(
        Case(
            name=f"submits at once, effort {params.get('reasoning_effort', 'unset')}",
            script=AT_ONCE,
            params=params,
            reasons=frozenset({"tool_not_offered", "missing_evaluations"}),
            decided="unverified",
            drafts_verified=False,
        )
        for params in ({}, {"reasoning_effort": "none"}, {"reasoning_effort": "xhigh"})
    ),
    Case(
        name="calls tools that it was not offered",
        script={"evaluate": always(calls=[{"name": "shell", "arguments": {}}])},
        reasons=frozenset({"unusable_call"}),
        decided="abstained",
    ),
    Case(
        name="votes in the draft",
        script={"draft": [{"vote": "agent1"}, "After all."]},
        reasons=frozenset({"vote_too_early"}),
        decided="verified",
    ),
    Case(
        name="works and decides in one response",
        script={"evaluate": {"vote": "agent1", "hosted": ["web_search"]}},
        reasons=frozenset(),
        decided="verified",
        apis=("responses",),
    ),
    Case(
        name="leaves its evaluations blank",
        script={
            "evaluate": always(
                vote="agent1",
                evaluations=evaluations("agent1", "agent2", "agent3", strengths=" \n "),
            )
        },
        reasons=frozenset({"missing_evaluations"}),
        decided="unverified",
    ),
    Case(
        name="writes one evaluation for all answers",
        script={
            "evaluate": always(vote="agent1", evaluations=evaluations("agent1", "agent2", "agent3"))
        },
        reasons=frozenset({"missing_evaluations"}),
        decided="unverified",
    ),
    Case(
        name="evaluates agents that do not exist",
        script={"evaluate": always(vote="agent1", evaluations=evaluations("agent1", "agent9"))},
        reasons=frozenset({"unknown_evaluation"}),
        decided="unverified",
    ),
    Case(
        name="answers a rejection with prose",
        script={
            "evaluate": {
                "vote": "agent1",
                "evaluations": [],
                "on_correction": [{"text": "I stand by my vote."}],
            }
        },
        reasons=frozenset({"missing_evaluations", "no_decision"}),
        decided="abstained",
    ),
    Case(
        name="votes and answers in one response",
        script={"evaluate": always(vote="agent1", new_answer="Both.")},
        reasons=frozenset({"contradicting_decisions"}),
        decided="abstained",
    ),
    Case(
        name="never completes its draft",
        script={"draft": {"text": "Half an", "finish_reason": "length"}},
        reasons=frozenset({"no_decision"}),
        decided="verified",
        drafts_verified=False,
    ),
]
TEAM = (member("a", STUBBORN, "web_search"), member("b", STUBBORN), member("c", STUBBORN))
BOUND = call_bound(Rules(agents=("a", "b", "c")))


@dataclass(frozen=True)
class Run:
    """What came of a run: its events, and every request that a provider saw."""

    events: tuple[RunEvent, ...]
    requests: tuple[ServedRequest, ...]

    @property
    def result(self) -> RunResult:
        (completed,) = [event for event in self.events if isinstance(event, RunCompleted)]
        return completed.result


async def play(scenario: Scenario, api: Api, script: dict[str, Any]) -> Run:
    """Play a run, and check what holds for all of them."""
    server = ScriptedServer({STUBBORN: script, SOUND: AGREEABLE})
    with serving(server) as url:
        run = Run(await follow(scenario, api, f"{url}/v1"), server.requests)
    assert run.result.content
    rejections = Counter(
        (event.agent, event.round) for event in run.events if isinstance(event, SubmissionRejected)
    )
    assert max(rejections.values(), default=0) <= 2
    unverified = [
        (event.voter if isinstance(event, VoteCast) else event.agent, event.round)
        for event in run.events
        if isinstance(event, VoteCast | Answered) and not event.verified
    ]
    # Nothing is waived at the first try, unless there is no call left for a second one.
    assert run.result.limited_by == "max_calls" or all(rejections[place] for place in unverified)
    calls = sum(agent.calls for agent in run.result.agents)
    assert len(run.requests) <= calls <= BOUND
    return run


@pytest.mark.parametrize(
    ("case", "api"),
    [pytest.param(case, api, id=f"{case.name}, {api}") for case in CASES for api in case.apis],
)
async def test_a_bad_habit_is_turned_back_and_the_run_ends(case: Case, api: Api) -> None:
    run = await play(Scenario(name=case.name, agents=TEAM, params=case.params), api, case.script)
    reasons = {event.reason for event in run.events if isinstance(event, SubmissionRejected)}
    assert reasons == case.reasons
    answered = [event for event in run.events if isinstance(event, Answered)]
    assert [event.verified for event in answered] == [case.drafts_verified] * 3
    votes = [event for event in run.events if isinstance(event, VoteCast)]
    assert [event.verified for event in votes] == (
        [] if case.decided == "abstained" else [case.decided == "verified"] * 3
    )
    abstained = [event for event in run.events if isinstance(event, Abstained)]
    assert len(abstained) + len(votes) == 3
    assert len(run.requests) == sum(agent.calls for agent in run.result.agents)
    searches = [event for event in run.events if isinstance(event, HostedToolCalled)]
    assert len(searches) == (3 if case.apis != APIS else 0)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("verified", [True, False])
async def test_models_that_never_stop_improving_are_stopped(
    api: Api,
    verified: bool,  # noqa: FBT001 - a parameter of the table above
) -> None:
    hasty: dict[str, Any] = {} if verified else {"evaluations": []}
    script = {"draft": "First.", "evaluate": always(new_answer="Better.", **hasty)}
    run = await play(Scenario(name="restless", agents=TEAM), api, script)
    answers = [event for event in run.events if isinstance(event, Answered)]
    assert all(event.verified for event in answers if event.number == 1)
    assert {event.verified for event in answers if event.number > 1} == {verified}
    assert max(event.number for event in answers) in {2, 3}
    assert run.result.limited_by in {None, "max_calls"}
    # At the limit the first of equals wins, and it may not have got to its second answer.
    assert run.result.content in {"First.", "Better."}


@pytest.mark.parametrize("api", APIS)
async def test_an_agent_without_a_draft_leaves_and_the_others_go_on(api: Api) -> None:
    team = (member("a", STUBBORN), member("b", SOUND), member("c", SOUND))
    run = await play(Scenario(name="empty", agents=team), api, {"draft": {"text": " \n"}})
    assert [event.agent for event in run.events if isinstance(event, AgentLeft)] == ["a"]
    assert run.result.winner == "b"
    assert len([event for event in run.events if isinstance(event, SubmissionRejected)]) >= 1


@pytest.mark.parametrize("api", APIS)
async def test_a_team_without_any_draft_says_so(api: Api) -> None:
    with pytest.raises(UpstreamMalformed, match="No agent gave an answer"):
        await play(Scenario(name="mute", agents=TEAM), api, {"draft": {"text": ""}})
