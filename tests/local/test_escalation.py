"""Escalation: some agents are asked first, and the others on disagreement only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest

from massgen_compat import Agent, Backend, Escalation, Limits, MassGen, Team, TeamSettings
from massgen_compat._coordination import (
    CancelTurn,
    Complete,
    Failed,
    NewAnswer,
    Objection,
    Presented,
    Replied,
    Rules,
    Signal,
    Stage,
    StartTurn,
    Transition,
    VoteFor,
    begin,
    call_bound,
    step,
)
from massgen_compat._local.engine import LocalEngine
from massgen_compat._run.message import Image, Message, Text
from massgen_compat._run.request import Narrowing, RunRequest
from massgen_compat._run.turn import Phase, TurnEvent, TurnRequest
from massgen_compat.errors import UpstreamUnreachable
from massgen_compat.events import (
    Disagreement,
    FirstAsked,
    RunCompleted,
    RunEvent,
    TeamCalled,
    WinnerChosen,
)
from tests.fakes import QUESTION, Model, Script, agreeable, answer, failing, reading, vote

ONE = Rules(agents=("a", "b", "c"), first=("a",))
TWO = replace(ONE, first=("a", "b"))
MOST = Rules(agents=("a", "b", "c", "d"), first=("a", "b", "c"), until="majority")


def play(rules: Rules, *signals: Signal) -> Transition:
    run = begin(rules)
    for signal in signals:
        run = run.then(lambda state, signal=signal: step(state, signal))
    return run


def drafts(agent: str) -> Signal:
    return Replied(agent, 1, (NewAnswer(f"answer of {agent}"),))


def votes(agent: str, target: str, number: int = 2) -> Signal:
    return Replied(agent, number, (VoteFor(target),))


def started(run: Transition) -> list[str]:
    return [f"{e.agent} {e.phase.value}" for e in run.effects if isinstance(e, StartTurn)]


def called(run: Transition) -> list[Disagreement]:
    return [event.reason for event in run.events if isinstance(event, TeamCalled)]


# The rules


def test_one_that_is_asked_first_reviews_its_draft_and_a_vote_for_it_decides() -> None:
    run = play(ONE, drafts("a"), votes("a", "a"))
    assert started(run) == ["a draft", "a evaluate", "a present"]
    assert called(run) == []
    assert run.state.calls == 3
    assert run.events[0] == FirstAsked(agents=("a",), others=("b", "c"))


def test_a_new_answer_calls_the_others_who_draft_on_their_own_before_all_evaluate() -> None:
    run = play(ONE, drafts("a"), Replied("a", 2, (NewAnswer("better"),)))
    assert called(run) == ["new_answer"]
    assert started(run)[2:] == ["b draft", "c draft"]
    run = play(ONE, drafts("a"), Replied("a", 2, (NewAnswer("better"),)), drafts("b"), drafts("c"))
    assert started(run)[4:] == ["a evaluate", "b evaluate", "c evaluate"]


def test_several_agree_and_nobody_else_is_asked() -> None:
    run = play(TWO, drafts("b"), drafts("a"), votes("a", "b"), votes("b", "b"))
    assert started(run)[-1] == "b present"
    assert run.state.calls == 5
    assert called(run) == []


def test_votes_that_differ_call_the_others_at_once_and_are_void() -> None:
    run = play(TWO, drafts("a"), drafts("b"), votes("a", "a"), votes("b", "b"))
    assert called(run) == ["votes"]
    assert [member.vote for member in run.state.members] == [None, None, None]


def test_what_can_no_longer_become_agreement_is_not_waited_for() -> None:
    both = (drafts("a"), drafts("b"))
    unverified = VoteFor("a", "", Objection("missing_evaluations", "Evaluate."))
    run = play(TWO, *both, *[Replied("a", 2, (unverified,))] * 3)
    assert called(run) == ["votes"]
    assert CancelTurn("b") in run.effects


def test_an_abstention_is_no_agreement() -> None:
    run = play(ONE, drafts("a"), Replied("a", 2), Replied("a", 2))
    assert called(run) == ["votes"]


@pytest.mark.parametrize("phase", ["draft", "evaluate"])
def test_where_one_leaves_the_others_are_called(phase: str) -> None:
    before = () if phase == "draft" else (drafts("a"),)
    run = play(ONE, *before, Failed("a", 1 if phase == "draft" else 2))
    assert called(run) == ["left"]
    assert started(run)[-2:] == ["b draft", "c draft"]


def test_a_majority_may_do_and_has_the_ordinary_grace_for_the_last_vote() -> None:
    three = (drafts("a"), drafts("b"), drafts("c"))
    run = play(MOST, *three, votes("a", "b"), votes("b", "b"))
    assert run.state.grace
    assert run.state.stage is Stage.COORDINATING
    assert step(run.state, votes("c", "c")).state.presenter == "b"
    disagreed = step(run.state, Replied("c", 2, (NewAnswer("better"),)))
    assert called(disagreed) == ["new_answer"]
    assert called(play(MOST, *three, votes("a", "a"), votes("b", "b"), votes("c", "c"))) == [
        "votes"
    ]


def test_one_that_may_answer_once_only_can_still_disagree() -> None:
    rules = replace(ONE, max_answers=1)
    run = play(rules, drafts("a"), Replied("a", 2, (NewAnswer("better"),)))
    assert called(run) == ["new_answer"]
    assert run.state.members[0].answer == "better"
    assert not run.state.may_answer(run.state.members[0])


def test_in_the_eager_order_too_the_new_drafts_are_waited_for() -> None:
    rules = replace(TWO, defer_voting=False)
    run = play(rules, drafts("a"), drafts("b"), votes("a", "a"), votes("b", "b"))
    assert started(run)[4:] == ["c draft"]


def test_without_calls_for_the_others_what_there_is_decides() -> None:
    run = play(replace(ONE, max_calls=3), drafts("a"), Replied("a", 2, (NewAnswer("better"),)))
    assert called(run) == []
    assert run.effects[-1] == Complete("answer")
    assert run.state.limited_by == "max_calls"


def test_the_longest_run_has_one_more_evaluation_of_those_who_were_asked_first() -> None:
    alone = Rules(agents=ONE.agents)
    assert call_bound(ONE) == call_bound(alone) + 1
    assert call_bound(TWO) == call_bound(alone) + 2


def test_who_was_not_asked_does_not_present() -> None:
    run = play(ONE, drafts("a"), votes("a", "a"), Failed("a", 3))
    assert run.effects[-1] == Complete("answer")
    assert isinstance(run.events[-2], WinnerChosen) or run.state.winner == "a"


def test_after_the_call_the_run_ends_like_any_other() -> None:
    run = play(
        ONE,
        drafts("a"),
        Replied("a", 2, (NewAnswer("better"),)),
        drafts("b"),
        drafts("c"),
        votes("a", "c", 3),
        votes("b", "c"),
        votes("c", "c"),
        Presented("c", 3),
    )
    assert run.effects[-1] == Complete("presentation")


# The engine


def team(settings: TeamSettings) -> Team:
    return Team("team", [Agent(name, model="m") for name in "abc"], settings=settings)


FIRST_A = TeamSettings(escalation=Escalation(first=("a",)))


async def run(scripts: Mapping[str, Script], settings: TeamSettings = FIRST_A) -> list[RunEvent]:
    models = {name: Model(scripts.get(name, agreeable)) for name in "abc"}
    engine = LocalEngine(lambda agent: models[agent.id])
    with anyio.fail_after(5):
        async with reading(engine, team(settings), QUESTION) as events:
            return [event async for event in events]


def calls(events: Sequence[RunEvent]) -> list[int]:
    last = events[-1]
    assert isinstance(last, RunCompleted)
    return [row.calls for row in last.result.agents]


def improving(request: TurnRequest) -> Sequence[TurnEvent]:
    if request.phase is Phase.EVALUATE and "draft of" in request.messages[-1].text:
        return (
            answer("no, better")
            if "no, better" not in request.messages[-1].text
            else vote("agent1")
        )
    return agreeable(request)


def for_second(request: TurnRequest) -> Sequence[TurnEvent]:
    return vote("agent2") if request.phase is Phase.EVALUATE else agreeable(request)


@pytest.mark.anyio
async def test_agreement_costs_three_calls_in_place_of_seven() -> None:
    assert calls(await run({})) == [3, 0, 0]
    reuse = replace(FIRST_A, final_answer_strategy="winner_reuse")
    assert calls(await run({}, reuse)) == [2, 0, 0]


@pytest.mark.anyio
async def test_disagreement_costs_one_evaluation_more_than_the_whole_team() -> None:
    events = await run({"a": improving})
    assert [event for event in events if isinstance(event, TeamCalled)] == [
        TeamCalled(agents=("b", "c"), reason="new_answer")
    ]
    assert calls(events) == [4, 2, 2]


@pytest.mark.anyio
async def test_a_provider_that_fails_calls_the_others() -> None:
    broken = failing(Phase.DRAFT, UpstreamUnreachable("gone"))
    events = await run({"a": broken, "b": for_second, "c": for_second})
    assert calls(events) == [1, 3, 2]


@pytest.mark.anyio
async def test_a_limit_of_tokens_that_the_others_do_not_fit_in_leaves_the_first_answer() -> None:
    limited = replace(FIRST_A, limits=Limits(max_tokens=700))
    events = await run({"a": improving}, limited)
    last = events[-1]
    assert isinstance(last, RunCompleted)
    assert last.result.limited_by == "max_tokens"
    assert [row.calls for row in last.result.agents][1:] == [0, 0]
    assert not [event for event in events if isinstance(event, TeamCalled)]


# The surface


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "team", "messages": [{"role": "user", "content": "Why?"}], **more}


def served(*agents: Agent, settings: TeamSettings = FIRST_A) -> MassGen:
    return MassGen(Team("team", agents, settings=settings), connect=lambda _: Model())


ABC = [Agent(name, model="m") for name in "abc"]


@pytest.mark.anyio
async def test_the_client_reads_who_was_asked_first() -> None:
    message = (await served(*ABC).chat(chat())).choices[0].message
    assert message.model_extra
    told = message.model_extra["reasoning_content"]
    assert told.startswith("Asked first: a. On disagreement: b, c.\na answered.\n")
    assert "called" not in told


@dataclass(frozen=True)
class Narrowed:
    agents: tuple[str, ...]
    calls: list[int]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "case",
    [
        Narrowed(("a", "b"), [3, 0]),
        Narrowed(("b", "c"), [3, 2]),
        Narrowed(("a",), [1]),
    ],
    ids=lambda case: "".join(case.agents),
)
async def test_a_smaller_team_asks_those_first_whom_it_has(case: Narrowed) -> None:
    request = replace(QUESTION, narrowing=Narrowing(agents=case.agents))
    with anyio.fail_after(5):
        async with served(*ABC).stream(request) as events:
            assert calls([event async for event in events]) == case.calls


@pytest.mark.anyio
async def test_an_input_that_those_asked_first_do_not_take_goes_to_the_whole_team() -> None:
    blind = Agent("a", model="m", inputs=(), backend=Backend(type="chatcompletion"))
    picture = Message(role="user", content=(Text("What?"), Image("https://example.com/x.png")))
    request = RunRequest(team="team", messages=(picture,))
    with anyio.fail_after(5):
        async with served(blind, *ABC[1:]).stream(request) as events:
            assert sum(calls([event async for event in events])) == 7


@pytest.mark.anyio
async def test_one_agent_alone_has_nobody_to_call() -> None:
    completion = await served(*ABC).chat(chat(model="team-single"))
    extra = completion.model_extra or {}
    assert [row["calls"] for row in extra["massgen"]["agents"]] == [1]


def test_an_escalation_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="'x', which is none of its agents: a, b, c"):
        Team("team", ABC, settings=TeamSettings(escalation=Escalation(first=("x",))))
    with pytest.raises(ValueError, match="nobody to call"):
        Team("team", ABC[:1], settings=FIRST_A)
    with pytest.raises(ValueError, match="needs votes"):
        TeamSettings(skip_coordination_rounds=True, escalation=Escalation(first=("a",)))
    with pytest.raises(ValueError, match="one or more"):
        Escalation(first=())
