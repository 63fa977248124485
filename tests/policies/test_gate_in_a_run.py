"""The gate in whole runs, with models that are functions: what is asked, turned back, counted."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import anyio
import pytest

from massgen_compat._coordination import Objection
from massgen_compat._local.engine import LocalEngine
from massgen_compat._run.message import text_message
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Agent, Team, TeamSettings
from massgen_compat._run.turn import HostedToolUsed, Phase, Reply, TurnEvent, TurnRequest
from massgen_compat.events import (
    Abstained,
    Answered,
    ParametersDropped,
    RunCompleted,
    RunEvent,
    SubmissionRejected,
    TurnFinished,
    VoteCast,
)
from massgen_compat.policies import DEFAULT, Policy, Submission, resolve
from tests.fakes import COST, Model, answer, call, reading, say

pytestmark = pytest.mark.anyio

GATED = resolve("gpt-5.2")
QUESTION = RunRequest(team="team", messages=(text_message("user", "Why?"),))


def evaluations(*labels: str) -> list[dict[str, str]]:
    return [
        {"agent_id": label, "strengths": f"{label} is right", "weaknesses": f"{label} is short"}
        for label in labels
    ]


def decide(name: str, *labels: str, **arguments: str) -> list[TurnEvent]:
    return [call(name, json.dumps({"evaluations": evaluations(*labels), **arguments}))]


def peers(request: TurnRequest) -> tuple[str, ...]:
    schema = request.tools[0].parameters["properties"]["evaluations"]
    return tuple(schema["items"]["properties"]["agent_id"]["enum"])


def diligent(request: TurnRequest) -> list[TurnEvent]:
    match request.phase:
        case Phase.DRAFT:
            return say(f"draft of {request.agent}")
        case Phase.EVALUATE:
            return decide("vote", *peers(request), agent_id="agent1", reason="best")
        case Phase.PRESENT:
            return say("Because.")


def turned_back(request: TurnRequest) -> int:
    return sum(message.role == "tool" for message in request.messages)


async def run(
    models: Mapping[str, Model],
    policy: Policy = GATED,
    request: RunRequest = QUESTION,
    policy_of: Callable[[Agent], Policy] | None = None,
    settings: TeamSettings | None = None,
) -> list[RunEvent]:
    engine = LocalEngine(lambda agent: models[agent.id], policy_of or (lambda _: policy))
    team = Team("team", [Agent(name, model="gpt-5.2") for name in models], settings=settings)
    with anyio.fail_after(5):
        async with reading(engine, team, request) as events:
            return [event async for event in events]


def rejections(events: Sequence[RunEvent]) -> list[tuple[str, int, str, int]]:
    return [
        (event.agent, event.round, event.reason, event.attempt)
        for event in events
        if isinstance(event, SubmissionRejected)
    ]


def content(events: Sequence[RunEvent]) -> str | None:
    last = events[-1]
    assert isinstance(last, RunCompleted)
    return last.result.content


async def test_a_team_that_complies_makes_the_same_calls_as_any_other() -> None:
    models = {name: Model(diligent) for name in "abc"}
    events = await run(models)
    assert sum(len(model.requests) for model in models.values()) == 7
    assert rejections(events) == []
    assert content(events) == "Because."


async def test_a_draft_round_offers_no_workflow_tool() -> None:
    models = {name: Model(diligent) for name in "ab"}
    await run(models)
    drafts = [r for model in models.values() for r in model.requests if r.phase is Phase.DRAFT]
    assert [request.tools for request in drafts] == [(), ()]
    assert all("ordinary message" in request.messages[-1].text for request in drafts)
    evaluations = [r for m in models.values() for r in m.requests if r.phase is Phase.EVALUATE]
    for request in evaluations:
        assert request.parallel_tool_calls is False
        for tool in request.tools:
            assert next(iter(tool.parameters["properties"])) == "evaluations"
            assert tool.strict


async def test_a_call_of_the_absent_tool_is_answered_and_the_turn_goes_on() -> None:
    def rash(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is Phase.DRAFT and not turned_back(request):
            return answer("at once")
        return diligent(request)

    events = await run({"a": Model(rash), "b": Model(diligent)})
    assert rejections(events) == [("a", 1, "tool_not_offered", 1)]
    drafted = [e for e in events if isinstance(e, Answered) and e.agent == "a"]
    assert [(event.content, event.verified) for event in drafted] == [("draft of a", True)]


async def test_a_model_that_only_ever_submits_is_counted_as_unverified_at_last() -> None:
    def stubborn(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is Phase.PRESENT:
            return diligent(request)
        if request.phase is Phase.DRAFT:
            return answer("at once")
        return [call("vote", '{"agent_id": "agent1", "reason": "", "evaluations": []}')]

    model = Model(stubborn)
    events = await run({"a": model, "b": Model(diligent)})
    assert [row[2:] for row in rejections(events)] == [
        ("tool_not_offered", 1),
        ("tool_not_offered", 2),
        ("missing_evaluations", 1),
        ("missing_evaluations", 2),
    ]
    of_a = [e for e in events if isinstance(e, Answered) and e.agent == "a"]
    of_a += [e for e in events if isinstance(e, VoteCast) and e.voter == "a"]
    assert [event.verified for event in of_a] == [False, False]
    assert content(events) == "Because."
    assert len(model.requests) == 7


async def test_a_team_may_discard_what_is_unverified() -> None:
    def unjust(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is Phase.EVALUATE:
            return [call("vote", '{"agent_id": "agent1", "evaluations": []}')]
        return diligent(request)

    models = {"a": Model(unjust), "b": Model(diligent)}
    events = await run(models, settings=TeamSettings(unverified="discard"))
    assert [event.agent for event in events if isinstance(event, Abstained)] == ["a"]
    assert [event.voter for event in events if isinstance(event, VoteCast)] == ["b"]


async def test_the_last_try_offers_only_what_was_meant_and_asks_for_more_effort() -> None:
    def unjust(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is Phase.EVALUATE and turned_back(request) < 2:
            return [call("vote", '{"agent_id": "agent1", "evaluations": []}')]
        return diligent(request)

    model = Model(unjust)
    await run({"a": model, "b": Model(diligent)})
    first, second, third = [r for r in model.requests if r.phase is Phase.EVALUATE]
    assert [tool.name for tool in second.tools] == [tool.name for tool in first.tools]
    assert [tool.name for tool in third.tools] == ["vote"]
    efforts = [request.params.get("reasoning_effort") for request in (first, second, third)]
    assert efforts == [None, None, "high"]


async def test_an_effort_that_the_client_asked_for_is_not_raised() -> None:
    def unjust(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is Phase.EVALUATE:
            return [call("vote", '{"agent_id": "agent1", "evaluations": []}')]
        return diligent(request)

    model = Model(unjust)
    asked = replace(QUESTION, agent_params={"reasoning_effort": "none"})
    await run({"a": model, "b": Model(diligent)}, request=asked)
    assert {request.params["reasoning_effort"] for request in model.requests} == {"none"}


async def test_a_rejection_answered_with_prose_ends_in_an_abstention() -> None:
    def talker(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is not Phase.EVALUATE:
            return diligent(request)
        if not turned_back(request):
            return [call("vote", '{"agent_id": "agent1", "evaluations": []}')]
        return say("I find both answers good.")

    events = await run({"a": Model(talker), "b": Model(diligent)})
    assert [row[2] for row in rejections(events)] == ["missing_evaluations", "no_decision"]
    assert [event.agent for event in events if isinstance(event, Abstained)] == ["a"]
    assert content(events) == "Because."


async def test_an_evaluation_of_nobody_is_turned_back() -> None:
    def confused(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is Phase.EVALUATE and not turned_back(request):
            return decide("vote", *peers(request), "agent9", agent_id="agent1")
        return diligent(request)

    events = await run({"a": Model(confused), "b": Model(diligent)})
    assert rejections(events) == [("a", 2, "unknown_evaluation", 1)]


async def test_hosted_work_and_a_decision_in_one_reply_are_both_taken() -> None:
    def busy(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is Phase.EVALUATE:
            return [HostedToolUsed("web_search_call"), *diligent(request)]
        return diligent(request)

    events = await run({"a": Model(busy), "b": Model(diligent)})
    assert rejections(events) == []
    assert sum(isinstance(event, VoteCast) for event in events) == 2


async def test_a_draft_that_was_cut_short_is_asked_for_once_more() -> None:
    def short(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is Phase.DRAFT and len(request.messages) < 3:
            return [Reply(text="half a", finish_reason="length", usage=COST)]
        return diligent(request)

    model = Model(short)
    events = await run({"a": model, "b": Model(diligent)})
    assert rejections(events) == [("a", 1, "no_decision", 1)]
    assert next(e for e in events if isinstance(e, Answered) and e.agent == "a").verified
    assert "ordinary message" in model.requests[1].messages[-1].text


async def test_a_model_that_never_stops_improving_is_stopped_by_the_cap() -> None:
    def restless(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is Phase.EVALUATE and len(request.tools) == 2:
            text = f"better, says {request.agent} in round {request.round}"
            return decide("new_answer", *peers(request), content=text)
        return diligent(request)

    models = {name: Model(restless) for name in "ab"}
    events = await run(models)
    counts = [sum(isinstance(e, Answered) and e.agent == n for e in events) for n in "ab"]
    assert counts == [3, 3]
    assert content(events) == "Because."
    assert sum(len(model.requests) for model in models.values()) <= 14


async def test_in_a_mixed_team_only_the_gated_agent_is_gated() -> None:
    def free(request: TurnRequest) -> list[TurnEvent]:
        match request.phase:
            case Phase.DRAFT:
                return answer("at once")
            case Phase.EVALUATE:
                return [call("vote", '{"agent_id": "agent1", "reason": "x"}')]
            case Phase.PRESENT:
                return say("Because.")

    models = {"a": Model(diligent), "b": Model(free)}
    policies = {"a": GATED, "b": DEFAULT}
    events = await run(models, policy_of=lambda agent: policies[agent.id])
    assert rejections(events) == []
    assert [tool.name for tool in models["b"].requests[0].tools] == ["new_answer"]
    assert "evaluations" not in str(models["b"].requests[1].tools)
    assert "evaluations" not in models["b"].requests[1].messages[-1].text


async def test_a_policy_of_the_users_own_may_review_and_prepare() -> None:
    def review(submission: Submission) -> Objection | None:
        if submission.kind == "vote" and submission.arguments.get("reason") == "best":
            return Objection("no_reason", "Say why, in more than a word.")
        return None

    def prepare(request: TurnRequest) -> TurnRequest:
        return replace(request, headers={"x-agent": request.agent})

    mine = Policy(name="mine", summary="reasons count", review=review, prepare=prepare)

    def voter(request: TurnRequest) -> list[TurnEvent]:
        match request.phase:
            case Phase.DRAFT:
                return answer(f"draft of {request.agent}")
            case Phase.EVALUATE:
                reason = "because it is true" if turned_back(request) else "best"
                return [call("vote", json.dumps({"agent_id": "agent1", "reason": reason}))]
            case Phase.PRESENT:
                return say("Because.")

    models = {name: Model(voter) for name in "ab"}
    events = await run(models, mine)
    assert sorted(rejections(events)) == [("a", 2, "no_reason", 1), ("b", 2, "no_reason", 1)]
    assert models["a"].requests[-1].headers == {"x-agent": "a"}
    told = models["b"].requests[2].messages[-1].text
    assert told == "Say why, in more than a word."


async def test_dropped_parameters_are_told_once_for_each_agent() -> None:
    def dropping(request: TurnRequest) -> list[TurnEvent]:
        *pieces, reply = diligent(request)
        assert isinstance(reply, Reply)
        return [*pieces, replace(reply, dropped=("temperature",), effort_asked="medium")]

    events = await run({"a": Model(dropping), "b": Model(diligent)})
    drops = [event for event in events if isinstance(event, ParametersDropped)]
    assert drops == [ParametersDropped(agent="a", parameters=("temperature",))]
    turns = [e for e in events if isinstance(e, TurnFinished) and e.agent == "a"]
    assert {turn.effort_asked for turn in turns} == {"medium"}
