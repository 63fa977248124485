"""Every scenario of ``docs/gpt-5.2.md`` §6, replayed through a real team: does it keep its promise?

The cassettes hold what the scripted model said over HTTP (``source: scripted``): they prove what
is sent and how replies are read, not how the real model behaves.
"""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import yaml

from massgen_compat._run.team import Api
from massgen_compat._run.turn import Phase
from massgen_compat.errors import UpstreamUnreachable
from massgen_compat.events import (
    AgentLeft,
    Answered,
    HostedToolCalled,
    ParametersDropped,
    RunCompleted,
    RunEvent,
    SubmissionRejected,
    TurnFinished,
    VoteCast,
)
from tests.recording import (
    CASSETTES,
    HOST,
    KEPT_REQUEST_HEADERS,
    KEPT_RESPONSE_HEADERS,
    NOWHERE,
    Recorded,
    agent_of,
    body_of,
    calls_of,
    replaying,
    tool_names,
)
from tests.scenarios import REFUSED_EFFORT, SCENARIOS, UNTOUCHED, Scenario, follow

pytestmark = pytest.mark.anyio

FILES: dict[str, tuple[Scenario, Api]] = {
    scenario.cassette(api): (scenario, api)
    for scenario in SCENARIOS.values()
    for api in scenario.apis
}
E = TypeVar("E", bound=RunEvent)


@dataclass(frozen=True)
class Replayed:
    """A run from a cassette: its events, and the requests that it made, by agent."""

    api: Api
    events: tuple[RunEvent, ...]
    requests: tuple[Recorded, ...]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def bodies(self, agent: str) -> list[dict[str, Any]]:
        return [body_of(request) for request in self.requests if agent_of(request) == agent]

    def tools(self, agent: str) -> list[list[str]]:
        return [tool_names(request) for request in self.requests if agent_of(request) == agent]

    def efforts(self, agent: str) -> list[str | None]:
        return [effort_of(body) for body in self.bodies(agent)]

    def rejections(self, agent: str) -> list[tuple[int, str, int]]:
        return [
            (event.round, event.reason, event.attempt)
            for event in self.of(SubmissionRejected)
            if event.agent == agent
        ]

    def votes(self) -> dict[str, tuple[str, bool]]:
        return {vote.voter: (vote.target, vote.verified) for vote in self.of(VoteCast)}

    @property
    def result(self) -> Any:
        return self.of(RunCompleted)[0].result


def effort_of(body: dict[str, Any]) -> str | None:
    return body.get("reasoning_effort") or body.get("reasoning", {}).get("effort")


def items_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    return body.get("input") or body["messages"]


async def replay(name: str, api: Api, *, policy: str | None = None) -> Replayed:
    """Replay a scenario, and check what holds for all of them."""
    scenario = SCENARIOS[name]
    with replaying(scenario.cassette(api), bytewise=scenario.bytewise) as cassette:
        events = await follow(scenario, api, NOWHERE, policy=policy)
    assert cassette.all_played
    run = Replayed(api, events, tuple(cassette.requests))
    streamed = sum(body_of(request).get("stream") is True for request in run.requests)
    assert streamed == (len(run.requests) if scenario.turns == "always" else 1), "the message"
    assert run.result.content
    assert run.result.limited_by is None
    assert sum(agent.calls for agent in run.result.agents) >= len(run.of(TurnFinished))
    return run


def both(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Runs a test on every API of the scenario."""
    return pytest.mark.parametrize("api", SCENARIOS[name].apis)


@both("01-defaults")
async def test_gpt_5_2_is_asked_for_effort_and_drafts_without_workflow_tools(api: Api) -> None:
    run = await replay("01-defaults", api)
    draft, evaluation, *presentation = run.bodies("a")
    assert run.efforts("a") + run.efforts("b") == ["medium"] * len(run.requests)
    assert all("temperature" not in body_of(request) for request in run.requests)
    assert run.of(ParametersDropped) == [ParametersDropped(agent="a", parameters=("temperature",))]
    assert "tools" not in draft
    assert run.tools("a")[1] == ["vote", "new_answer"]
    assert all("tools" not in body for body in presentation)
    assert evaluation["parallel_tool_calls"] is False
    for tool in evaluation["tools"]:
        function = tool.get("function", tool)
        assert function["strict"] is True
        assert next(iter(function["parameters"]["properties"])) == "evaluations"
    if api == "responses":
        assert draft["store"] is False
        assert draft["include"] == ["reasoning.encrypted_content"]
    turns = run.of(TurnFinished)
    assert {turn.effort_asked for turn in turns} == {"medium"}
    assert {turn.effort for turn in turns} == ({"medium"} if api == "responses" else {None})
    assert run.rejections("a") == run.rejections("b") == []


@both("02-absent-new-answer")
async def test_a_call_of_the_absent_new_answer_is_turned_back_and_the_message_is_the_draft(
    api: Api,
) -> None:
    run = await replay("02-absent-new-answer", api)
    assert run.rejections("a") == [(1, "tool_not_offered", 1)]
    assert [(e.content, e.verified) for e in run.of(Answered) if e.agent == "a"] == [
        ("It scatters.", True)
    ]
    assert run.tools("a")[:2] == [[], []]
    (text,) = told(run.bodies("a")[1])
    assert "no tool `new_answer` in a draft" in text


def told(body: dict[str, Any]) -> list[str]:
    """The tool results at the end of a request; every call before them has one."""
    items = items_of(body)
    results = [
        (item.get("call_id") or item["tool_call_id"], item.get("output") or item["content"])
        for item in items
        if item.get("type") == "function_call_output" or item.get("role") == "tool"
    ]
    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    calls += [call["id"] for item in items for call in calls_of(item)]
    assert [call for call, _ in results] == calls
    return [text for _, text in results]


@both("03-hasty-vote-at-none")
async def test_a_vote_without_evaluations_is_turned_back_at_effort_none(api: Api) -> None:
    run = await replay("03-hasty-vote-at-none", api)
    assert run.efforts("a") == ["none"] * 4
    assert run.rejections("a") == [(2, "missing_evaluations", 1)]
    assert run.votes() == {"a": ("b", True), "b": ("a", True)}
    if api == "responses":
        assert {turn.effort for turn in run.of(TurnFinished)} == {"none"}
    (text,) = told(run.bodies("a")[2])
    assert "no evaluation of agent2" in text


@both("04-hasty-answer-after-reasoning")
async def test_reasoning_does_not_excuse_an_answer_without_evaluations(api: Api) -> None:
    run = await replay("04-hasty-answer-after-reasoning", api)
    assert set(run.efforts("a")) == {"high"}
    assert run.rejections("a") == [(2, "missing_evaluations", 1)]
    assert [event.number for event in run.of(Answered)] == [1, 1]
    assert run.votes()["a"] == ("a", True)
    hasty = run.of(TurnFinished)
    assert any(t.usage and t.usage.reasoning_tokens for t in hasty if t.phase is Phase.EVALUATE)
    if api == "responses":  # what the model said goes back, verbatim and in order
        kinds = [item.get("type", "message") for item in run.bodies("a")[2]["input"]]
        assert kinds[-3:] == ["reasoning", "function_call", "function_call_output"]
        assert run.bodies("a")[2]["input"][-3]["encrypted_content"].endswith("-done")


@both("05-never-evaluates")
async def test_after_two_rejections_a_vote_counts_as_unverified(api: Api) -> None:
    run = await replay("05-never-evaluates", api)
    assert run.rejections("a") == [
        (2, "missing_evaluations", 1),
        (2, "missing_evaluations", 2),
    ]
    assert run.votes() == {"a": ("b", False), "b": ("a", True)}
    assert run.tools("a")[1:4] == [["vote", "new_answer"], ["vote", "new_answer"], ["vote"]]
    assert run.efforts("a")[:4] == ["medium", "medium", "medium", "high"]
    assert run.efforts("a")[4:] in ([], ["medium"])


@both("06-work-and-decision")
async def test_hosted_work_and_a_decision_in_one_response_both_count(api: Api) -> None:
    run = await replay("06-work-and-decision", api)
    assert run.of(HostedToolCalled) == [
        HostedToolCalled(agent="a", round=2, tool="web_search_call")
    ]
    assert run.tools("a")[1] == ["vote", "new_answer", "web_search"]
    assert run.votes()["a"] == ("a", True)
    assert run.rejections("a") == []


@both("07-cut-in-the-middle")
async def test_a_stream_that_is_cut_costs_the_agent_and_not_the_run(api: Api) -> None:
    run = await replay("07-cut-in-the-middle", api)
    (left,) = run.of(AgentLeft)
    assert (left.agent, left.round) == ("a", 1)
    assert [event.agent for event in run.of(Answered)] == ["b"]
    assert run.result.winner == "b"
    assert "because" not in run.result.content


@both("08-effort-refused")
async def test_a_refused_effort_is_dropped_once_and_for_all(api: Api) -> None:
    run = await replay("08-effort-refused", api)
    assert run.efforts("a")[:4] == ["medium", "medium", None, None]
    assert run.tools("a")[:4] == [[]] + [["vote", "new_answer"]] * 3
    assert run.rejections("a") == [(2, "missing_evaluations", 1)]
    asked = [
        turn.effort_asked
        for turn in run.of(TurnFinished)
        if turn.agent == "a" and turn.phase is Phase.EVALUATE
    ]
    assert asked == [None, None]
    assert REFUSED_EFFORT in (CASSETTES / "08-effort-refused-chat.yaml").read_text("utf-8")


@both("09-explicit-none")
async def test_an_explicit_none_is_kept_with_its_temperature_and_still_gated(api: Api) -> None:
    run = await replay("09-explicit-none", api)
    assert set(run.efforts("a")) == {"none"}
    assert {body["temperature"] for body in run.bodies("a")} == {0.7}
    assert set(run.efforts("b")) == {"medium"}
    assert run.of(ParametersDropped) == []
    assert run.rejections("a") == [(2, "missing_evaluations", 1)]
    assert run.tools("a")[0] == []


@both("10-untouched-models")
@pytest.mark.parametrize("policy", [None, "default"])
async def test_other_models_get_the_default_policys_bytes(api: Api, policy: str | None) -> None:
    run = await replay("10-untouched-models", api, policy=policy)
    bodies = [body_of(request) for request in run.requests]
    assert {body["model"] for body in bodies} == set(UNTOUCHED)
    assert not any("reasoning" in body or "reasoning_effort" in body for body in bodies)
    assert all(run.tools(agent.id)[0] == ["new_answer"] for agent in agents("10-untouched-models"))


def agents(name: str) -> tuple[Any, ...]:
    return SCENARIOS[name].agents


@both("11-hosted-search-in-the-draft")
async def test_a_draft_may_search_the_web_and_is_still_a_message(api: Api) -> None:
    run = await replay("11-hosted-search-in-the-draft", api)
    assert run.tools("a")[0] == ["web_search"]
    assert HostedToolCalled(agent="a", round=1, tool="web_search_call") in run.events
    assert run.rejections("a") == []
    assert all(answer.verified for answer in run.of(Answered))


@both("12-incomplete-draft")
async def test_an_incomplete_draft_is_none_and_gets_one_more_try(api: Api) -> None:
    run = await replay("12-incomplete-draft", api)
    assert run.rejections("a") == [(1, "no_decision", 1)]
    cap = "max_output_tokens" if api == "responses" else "max_completion_tokens"
    assert {body[cap] for body in run.bodies("a")} == {64}
    drafts = {answer.agent: answer.content for answer in run.of(Answered) if answer.verified}
    assert drafts == {"a": "It scatters.", "b": "Short waves scatter more."}


@both("12-reasoning-only-draft")
async def test_an_agent_that_only_reasons_leaves_after_its_second_try(api: Api) -> None:
    run = await replay("12-reasoning-only-draft", api)
    assert run.rejections("a") == [(1, "no_decision", 1)]
    assert [event.agent for event in run.of(AgentLeft)] == ["a"]
    assert run.result.winner == "b"
    roles = [item.get("role") for item in items_of(run.bodies("a")[1])]
    # The reasoning that nothing followed is not sent back; on Chat there was nothing to send.
    assert roles == ["system", "user", "user"][: 3 if api == "responses" else 2]


@pytest.mark.parametrize("name", [n for n, (_, api) in FILES.items() if api == "responses"])
async def test_a_reasoning_item_is_never_sent_back_without_the_item_that_it_belongs_to(
    name: str,
) -> None:
    scenario, api = FILES[name]
    run = await replay(scenario.name, api)
    for body in map(body_of, run.requests):
        kinds = [item.get("type", "message") for item in body["input"]]
        roles = [item.get("role", "assistant") for item in body["input"]]
        for index, kind in enumerate(kinds):
            if kind == "reasoning":
                assert kinds[index + 1] in {"message", "function_call", "web_search_call"}
                assert roles[index + 1] == "assistant"


@both("13-partial-reasoning")
async def test_an_effort_joins_a_partial_reasoning_object(api: Api) -> None:
    run = await replay("13-partial-reasoning", api)
    if api == "responses":
        expected = {"summary": "auto", "effort": "medium"}
        assert all(body["reasoning"] == expected for body in run.bodies("a"))
    assert set(run.efforts("a")) == {"medium"}


@both("15-replies-in-one-piece")
async def test_replies_in_one_piece_decide_like_streamed_ones(api: Api) -> None:
    run, streamed = await replay("15-replies-in-one-piece", api), await replay("01-defaults", api)
    assert run.votes() == streamed.votes()
    assert run.result.content == streamed.result.content
    assert run.result.usage == streamed.result.usage
    answers, others = run.of(Answered), streamed.of(Answered)
    assert {a.label: a.content for a in answers} == {a.label: a.content for a in others}
    options = [body_of(request) for request in run.requests]
    assert all("stream" in body or "stream_options" not in body for body in options)


@both("14-many-decisions")
async def test_contradicting_decisions_are_turned_back_together(api: Api) -> None:
    run = await replay("14-many-decisions", api)
    assert run.rejections("a") == [
        (2, "contradicting_decisions", 1),
        (2, "contradicting_decisions", 2),
    ]
    assert [event.number for event in run.of(Answered)] == [1, 1]
    assert run.votes()["a"] == ("b", True)
    assert len(told(run.bodies("a")[3])) == 4


# The cassettes themselves


def test_every_file_is_a_scenario_and_every_scenario_has_its_files() -> None:
    assert {path.stem for path in CASSETTES.iterdir()} == set(FILES)
    assert {path.suffix for path in CASSETTES.iterdir()} == {".yaml"}


@pytest.mark.parametrize("name", FILES)
def test_a_cassette_says_where_it_comes_from_and_holds_no_secrets(name: str) -> None:
    path = CASSETTES / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 200_000
    assert text.startswith(("source: scripted\n", "source: live\n"))
    assert not SECRET.search(text)
    exchanges: list[dict[str, Any]] = yaml.safe_load(text)["interactions"]
    assert exchanges
    for exchange in exchanges:
        request, response = exchange["request"], exchange["response"]
        assert request["uri"].startswith(f"{HOST}/")
        assert set(request["headers"]) <= KEPT_REQUEST_HEADERS
        assert {name.lower() for name in response["headers"]} <= KEPT_RESPONSE_HEADERS
        if text.startswith("source: scripted"):
            assert response["headers"]["x-massgen-scripted"] == ["true"]


SECRET = re.compile(r"authorization|bearer |\bsk-\w|127\.0\.0\.1", re.IGNORECASE)


def changed(request: Recorded, change: Callable[[dict[str, Any]], object]) -> Recorded:
    body = body_of(request)
    change(body)
    other = copy.copy(request)
    other.body = json.dumps(body).encode()
    return other


TOOL = {"type": "function", "name": "extra", "parameters": {"type": "object"}}
CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another effort": lambda body: body["reasoning"].update(effort="high"),
    "an extra tool": lambda body: body["tools"].append(TOOL),
    "a tool less": lambda body: body["tools"].pop(),
    "another tool choice": lambda body: body.update(tool_choice="required"),
    "another model": lambda body: body.update(model="gpt-5"),
    "a temperature": lambda body: body.update(temperature=0.7),
    "another role": lambda body: body["input"][0].update(role="developer"),
    "one more message": lambda body: body["input"].append({"role": "user", "content": "Hi"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_wrong_request_is_not_on_the_cassette(name: str) -> None:
    with replaying("01-defaults-responses") as cassette:
        request = next(request for request in cassette.requests if tool_names(request))
        assert cassette.can_play_response_for(changed(request, lambda _: None))
        assert not cassette.can_play_response_for(changed(request, CHANGES[name]))


def test_another_agents_request_is_not_on_the_cassette() -> None:
    with replaying("01-defaults-responses") as cassette:
        other = copy.copy(cassette.requests[0])
        other.headers = {**other.headers, "x-massgen-agent": "c"}
        assert not cassette.can_play_response_for(other)


async def test_a_run_with_another_effort_fails_and_nothing_is_sent() -> None:
    scenario = SCENARIOS["01-defaults"]
    other = Scenario(name=scenario.name, params={"reasoning_effort": "high"})
    with (
        replaying(scenario.cassette("responses")) as cassette,
        pytest.raises(UpstreamUnreachable),
    ):
        await follow(other, "responses", NOWHERE)
    assert cassette.play_count == 0
