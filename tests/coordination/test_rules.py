"""The rules of the coordination, one by one; ``_coordination`` has them as tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from massgen_compat._coordination import (
    Abort,
    Began,
    CancelTurn,
    Complete,
    CorrectTurn,
    Decision,
    Effect,
    Elapsed,
    Failed,
    GraceTimer,
    LimitReached,
    NewAnswer,
    Presented,
    Rejection,
    Replied,
    RoundTimer,
    Rules,
    RunTimer,
    Signal,
    Stage,
    StartTimer,
    StartTurn,
    State,
    Transition,
    Unusable,
    VoteFor,
    begin,
    call_bound,
    step,
)
from massgen_compat._coordination.members import ranked
from massgen_compat._run.turn import Phase
from massgen_compat.events import AgentLeft, Answered, RunEvent, VotesVoided, WinnerChosen

TWO = Rules(agents=("a", "b"))
THREE = Rules(agents=("a", "b", "c"))
SOLO = Rules(agents=("a",), solo=True)


def play(rules: Rules, *signals: Signal) -> Transition:
    """The run after these signals: the last state, and all effects and events so far."""
    run = begin(rules)
    for signal in signals:
        run = run.then(lambda state, signal=signal: step(state, signal))
    return run


def drafts(rules: Rules, *texts: str) -> tuple[Signal, ...]:
    given = texts or tuple(f"answer of {agent}" for agent in rules.agents)
    return tuple(answers(agent, 1, text) for agent, text in zip(rules.agents, given, strict=True))


def answers(agent: str, number: int, text: str) -> Signal:
    return Replied(agent, number, (NewAnswer(text),))


def votes(agent: str, target: str, number: int = 2) -> Signal:
    return Replied(agent, number, (VoteFor(target),))


def started(effects: Sequence[Effect]) -> list[tuple[str, int, Phase]]:
    return [(e.agent, e.round, e.phase) for e in effects if isinstance(e, StartTurn)]


def corrected(effects: Sequence[Effect]) -> list[Rejection]:
    return [e.rejection for e in effects if isinstance(e, CorrectTurn)]


def last(events: Sequence[RunEvent], kind: type[RunEvent]) -> RunEvent:
    return [event for event in events if isinstance(event, kind)][-1]


def ending(run: Transition) -> Effect:
    return next(effect for effect in run.effects if isinstance(effect, Complete | Abort))


def test_all_agents_start_at_once_and_evaluate_when_all_have_drafted() -> None:
    run = play(TWO)
    assert started(run.effects) == [("a", 1, Phase.DRAFT), ("b", 1, Phase.DRAFT)]
    first = step(run.state, answers("a", 1, "x"))
    assert started(first.effects) == []
    second = step(first.state, answers("b", 1, "y"))
    assert started(second.effects) == [("a", 2, Phase.EVALUATE), ("b", 2, Phase.EVALUATE)]


def test_in_the_eager_order_evaluation_starts_with_the_second_answer() -> None:
    run = play(replace(THREE, defer_voting=False), answers("a", 1, "x"))
    assert started(run.effects)[3:] == []
    run = step(run.state, answers("b", 1, "y"))
    assert started(run.effects) == [("a", 2, Phase.EVALUATE), ("b", 2, Phase.EVALUATE)]
    run = step(run.state, answers("c", 1, "z"))
    assert [e.agent for e in run.effects if isinstance(e, CancelTurn)] == ["a", "b"]
    assert [row[0] for row in started(run.effects)] == ["a", "b", "c"]


def test_the_winner_presents_and_the_run_is_complete() -> None:
    run = play(TWO, *drafts(TWO), votes("a", "b"), votes("b", "b"))
    assert run.state.presenter == "b"
    assert started(run.effects)[-1] == ("b", 3, Phase.PRESENT)
    run = step(run.state, Presented("b", 3))
    assert run.effects == (Complete("presentation"),)


@dataclass(frozen=True)
class Votes:
    votes: tuple[str | None, ...]
    winner: str


@pytest.mark.parametrize(
    "case",
    [
        Votes(("a", "a", "b"), "a"),
        Votes(("c", "c", "c"), "c"),
        Votes(("c", "b", "a"), "a"),
        Votes(("c", "b", "b"), "b"),
        Votes((None, "c", "b"), "b"),
        Votes((None, None, None), "a"),
    ],
)
def test_most_votes_win_and_ties_go_to_the_earlier_agent(case: Votes) -> None:
    rules = replace(THREE, grace_seconds=10)
    signals: list[Signal] = []
    for agent, target in zip(rules.agents, case.votes, strict=True):
        signals += (
            [votes(agent, target)] if target else [Replied(agent, 2, ()), Replied(agent, 2, ())]
        )
    run = play(rules, *drafts(rules), *signals)
    assert run.state.winner == case.winner


def test_a_new_answer_voids_all_votes_and_starts_a_new_round() -> None:
    run = play(THREE, *drafts(THREE), votes("a", "b"), answers("b", 2, "better"))
    assert last(run.events, VotesVoided) == VotesVoided(votes=1)
    assert [member.vote for member in run.state.members] == [None, None, None]
    assert [row[:2] for row in started(run.effects)[-3:]] == [("a", 3), ("b", 3), ("c", 3)]
    assert [e.agent for e in run.effects if isinstance(e, CancelTurn)] == ["c"]
    stale = step(run.state, votes("c", "a", number=2))
    assert stale == Transition(run.state)


def test_a_strict_majority_starts_the_grace_period_once() -> None:
    run = play(THREE, *drafts(THREE), votes("a", "b"))
    assert not [e for e in run.effects if isinstance(e, StartTimer)]
    run = step(run.state, votes("b", "b"))
    timer = GraceTimer(run.state.epoch)
    assert run.effects == (StartTimer(timer, 10.0),)
    decided = step(run.state, Elapsed(timer))
    assert decided.state.winner == "b"
    assert [e.agent for e in decided.effects if isinstance(e, CancelTurn)] == ["c"]


def test_the_grace_period_of_voided_votes_decides_nothing() -> None:
    run = play(THREE, *drafts(THREE), votes("a", "b"), votes("b", "b"))
    old = GraceTimer(run.state.epoch)
    run = step(run.state, answers("c", 2, "better"))
    assert step(run.state, Elapsed(old)) == Transition(run.state)


@dataclass(frozen=True)
class Turned:
    """What an agent decides in an evaluation (or a draft) and why it is turned back."""

    decisions: tuple[Decision, ...]
    reason: Rejection
    round: int = 2
    rules: Rules = TWO


@pytest.mark.parametrize(
    "case",
    [
        Turned((), Rejection.NO_DECISION),
        Turned((), Rejection.NO_DECISION, round=1),
        Turned((VoteFor("nobody"),), Rejection.UNKNOWN_AGENT),
        Turned((VoteFor("a"), VoteFor("b")), Rejection.CONTRADICTION),
        Turned((VoteFor("a"), NewAnswer("x")), Rejection.CONTRADICTION),
        Turned((NewAnswer("x"), NewAnswer("y")), Rejection.CONTRADICTION),
        Turned((VoteFor("b"),), Rejection.VOTE_TOO_EARLY, round=1),
        Turned((NewAnswer(" \n"),), Rejection.EMPTY_ANSWER),
        Turned((Unusable("bad JSON"), VoteFor("a")), Rejection.UNUSABLE),
        Turned((NewAnswer("x"),), Rejection.OVER_CAP, rules=replace(TWO, max_answers=1)),
        Turned((NewAnswer("x"),), Rejection.OVER_CAP, rules=replace(TWO, max_answers_global=2)),
        Turned((NewAnswer("x"),), Rejection.OVER_CAP, rules=replace(TWO, lead_cap=0)),
        Turned(
            (NewAnswer("Answer, of A!"),), Rejection.TOO_SIMILAR, rules=replace(TWO, novelty=0.7)
        ),
    ],
)
def test_what_does_not_count_is_turned_back_with_its_reason(case: Turned) -> None:
    run = play(case.rules, *(drafts(case.rules) if case.round == 2 else ()))
    after = step(run.state, Replied("a", case.round, case.decisions))
    assert corrected(after.effects) == [case.reason]


def test_equal_votes_in_one_reply_are_one_vote() -> None:
    run = play(TWO, *drafts(TWO), Replied("a", 2, (VoteFor("b", "x"), VoteFor("b", "y"))))
    assert ranked(run.state) == (("b", 1), ("a", 0))


def test_an_answer_different_enough_is_novel() -> None:
    rules = replace(TWO, novelty=0.7)
    run = play(rules, *drafts(rules), answers("a", 2, "something else altogether"))
    assert isinstance(last(run.events, Answered), Answered)
    assert run.state.members[0].answers == 2


def test_after_three_tries_an_evaluation_counts_as_an_abstention() -> None:
    wrong = Replied("a", 2, (VoteFor("nobody"),))
    run = play(TWO, *drafts(TWO), wrong, wrong, wrong, votes("b", "b"))
    assert run.state.winner == "b"
    assert len(corrected(run.effects)) == 2


def test_a_draft_that_stays_prose_counts_as_the_answer_after_one_reminder() -> None:
    run = play(TWO, Replied("a", 1, (), "prose"), Replied("a", 1, (), "prose"))
    assert corrected(run.effects) == [Rejection.NO_DECISION]
    assert run.state.members[0].answer == "prose"


def test_a_draft_without_a_word_leaves_the_run() -> None:
    run = play(TWO, Replied("a", 1), Replied("a", 1))
    assert last(run.events, AgentLeft) == AgentLeft(agent="a", round=1, reason="no answer")


def test_the_last_agent_with_the_only_answer_presents_without_a_vote() -> None:
    run = play(TWO, Failed("b", 1), answers("a", 1, "x"))
    assert started(run.effects)[-1] == ("a", 2, Phase.PRESENT)


def test_the_answer_of_an_agent_that_left_can_win_and_another_presents_it() -> None:
    run = play(THREE, *drafts(THREE), Failed("a", 2), votes("b", "a"), votes("c", "a"))
    assert (run.state.winner, run.state.presenter) == ("a", "b")


def test_when_nobody_is_left_the_run_fails_or_reuses_an_answer() -> None:
    assert ending(play(TWO, Failed("a", 1), Failed("b", 1))) == Abort(None)
    run = play(TWO, *drafts(TWO), Failed("a", 2), Failed("b", 2))
    assert ending(run) == Complete("answer")


def test_an_agent_alone_that_fails_fails_the_run_and_no_limit_is_blamed() -> None:
    assert ending(play(SOLO, Failed("a", 1))) == Abort(None)


def test_a_presenter_is_replaced_before_its_first_token_only() -> None:
    decided = play(TWO, *drafts(TWO), votes("a", "b"), votes("b", "b")).state
    replaced = step(decided, Failed("b", 3))
    assert started(replaced.effects) == [("a", 3, Phase.PRESENT)]
    assert ending(step(replaced.state, Failed("a", 3))) == Complete("answer")
    begun = step(decided, Began("b", 3)).state
    assert ending(step(begun, Failed("b", 3))) == Abort(None)


@dataclass(frozen=True)
class Stopped:
    signals: tuple[Signal, ...]
    ending: Effect
    rules: Rules = TWO


@pytest.mark.parametrize("stop", [Elapsed(RunTimer()), LimitReached("deadline_seconds")])
@pytest.mark.parametrize(
    "case",
    [
        Stopped((), Abort("deadline_seconds")),
        Stopped((answers("a", 1, "x"),), Complete("answer")),
        Stopped((*drafts(TWO), votes("a", "b")), Complete("answer")),
        Stopped((*drafts(TWO), votes("a", "b"), votes("b", "b")), Complete("answer")),
        Stopped((*drafts(TWO), votes("a", "b"), votes("b", "b"), Began("b", 3)), Complete("cut")),
        Stopped((), Abort("deadline_seconds"), SOLO),
        Stopped((Began("a", 1),), Complete("cut"), SOLO),
    ],
)
def test_at_a_limit_the_best_answer_so_far_is_the_answer(case: Stopped, stop: Signal) -> None:
    run = play(case.rules, *case.signals, stop)
    assert ending(run) == case.ending
    assert run.state.stage is Stage.DONE
    assert run.state.limited_by == "deadline_seconds"


def test_votes_count_also_when_a_limit_ends_the_run() -> None:
    run = play(TWO, *drafts(TWO), votes("a", "b"), Elapsed(RunTimer()))
    chosen = last(run.events, WinnerChosen)
    assert chosen == WinnerChosen(
        winner="b", votes=(("b", 1), ("a", 0)), limited_by="deadline_seconds"
    )


@pytest.mark.parametrize(
    ("calls", "content"), [(1, ("a", 1)), (2, ("a", 2)), (3, ("a", 2)), (4, ("a", 4))]
)
def test_max_calls_holds_exactly_and_reserves_a_whole_evaluation(
    calls: int, content: tuple[str, int]
) -> None:
    rules = replace(TWO, max_calls=calls)
    signals = drafts(TWO) if calls > 1 else (answers("a", 1, "x"),)
    run = play(rules, *signals, votes("a", "a"), votes("b", "a"))
    assert (run.state.winner, run.state.calls) == content
    assert ending(run) == Complete("answer")
    assert run.state.limited_by == "max_calls"


def test_rounds_have_timers_where_the_team_sets_them() -> None:
    rules = replace(TWO, first_round_seconds=5, later_round_seconds=3, deadline_seconds=60)
    run = play(rules, *drafts(rules))
    timers = [(e.timer, e.seconds) for e in run.effects if isinstance(e, StartTimer)]
    assert timers == [
        (RunTimer(), 60),
        (RoundTimer("a", 1), 5),
        (RoundTimer("b", 1), 5),
        (RoundTimer("a", 2), 3),
        (RoundTimer("b", 2), 3),
    ]


def test_out_of_time_a_draft_leaves_and_an_evaluation_abstains() -> None:
    run = play(TWO, Elapsed(RoundTimer("b", 1)), answers("a", 1, "x"))
    assert run.state.presenter == "a"
    assert CancelTurn("b") in run.effects
    run = play(TWO, *drafts(TWO), Elapsed(RoundTimer("a", 2)), votes("b", "b"))
    assert run.state.winner == "b"


def test_without_voting_the_first_agent_with_an_answer_wins() -> None:
    run = play(replace(TWO, skip_voting=True), answers("b", 1, "y"), answers("a", 1, "x"))
    assert started(run.effects)[-1] == ("a", 2, Phase.PRESENT)


def test_alone_an_agent_writes_the_message_at_once() -> None:
    assert started(play(SOLO).effects) == [("a", 1, Phase.PRESENT)]


@dataclass(frozen=True)
class Bound:
    rules: Rules
    calls: int


@pytest.mark.parametrize(
    "case",
    [
        Bound(SOLO, 1),
        Bound(TWO, 18),
        Bound(THREE, 33),
        Bound(replace(TWO, max_answers=1), 10),
        Bound(replace(TWO, max_answers_global=3), 12),
    ],
)
def test_the_default_call_limit_follows_from_the_rules(case: Bound) -> None:
    assert call_bound(case.rules) == case.calls == case.rules.call_limit


def test_the_longest_run_without_corrections_keeps_within_the_bound() -> None:
    rules = replace(TWO, lead_cap=None)
    state = begin(rules).state
    for _ in range(100):
        working = [member for member in state.members if member.standing.value == "working"]
        if state.stage is not Stage.COORDINATING:
            break
        member = working[0]
        decision = (
            NewAnswer(f"{member.agent}{member.answers}") if state.may_answer(member) else None
        )
        signal = Replied(
            member.agent, member.round, (decision or VoteFor(state.answered[0].agent),)
        )
        state = step(state, signal).state
    assert isinstance(state, State)
    assert state.stage is Stage.PRESENTING
    assert state.calls <= rules.call_limit
    assert state.limited_by is None


def test_a_run_without_agents_cannot_begin() -> None:
    with pytest.raises(ValueError, match="at least one agent"):
        begin(Rules(agents=()))
