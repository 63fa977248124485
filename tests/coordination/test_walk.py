"""Every reachable state of small teams: the rules end, decide once, and never lose an agent."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from massgen_compat._coordination import (
    Abort,
    Began,
    CancelTurn,
    Complete,
    CorrectTurn,
    Effect,
    Elapsed,
    Failed,
    GraceTimer,
    LimitReached,
    Malformed,
    NewAnswer,
    Objection,
    Presented,
    ReleaseMessage,
    RepairMessages,
    Replied,
    RoundTimer,
    Rules,
    RunTimer,
    Signal,
    Stage,
    Standing,
    StartTimer,
    StartTurn,
    State,
    Transition,
    Unusable,
    VoteFor,
    begin,
    call_bound,
    calls_of,
    ranked,
    step,
    stop_before,
)
from massgen_compat._coordination.rules import TRIES_PER_ROUND
from massgen_compat._run.turn import Phase
from massgen_compat.events import (
    Abstained,
    AgentLeft,
    Answered,
    PresentationStarted,
    SubmissionRejected,
    TurnStarted,
    VoteCast,
    VotesVoided,
    WinnerChosen,
)

pytestmark = pytest.mark.timeout(300)
"""A walk takes seconds, more where other work shares the machine."""

TWO = ("a", "b")
THREE = ("a", "b", "c")

OBJECTION = Objection("missing_evaluations", "Evaluate first.")

AMPLE = 10_000
"""A call limit that no walk reaches; the teams with a limit that bites are named so."""

TEAMS = {
    "two agents, one answer each": Rules(
        agents=TWO, max_answers=1, first_round_seconds=1, max_calls=AMPLE
    ),
    "two agents, two answers each": Rules(
        agents=TWO, max_answers=2, later_round_seconds=1, max_calls=AMPLE
    ),
    "two agents, one lead": Rules(
        agents=TWO, max_answers=3, max_answers_global=3, lead_cap=1, max_calls=AMPLE
    ),
    "two agents, novelty": Rules(agents=TWO, max_answers=2, novelty=0.5, max_calls=AMPLE),
    "two agents, reuse": Rules(agents=TWO, max_answers=1, strategy="winner_reuse", max_calls=AMPLE),
    "two agents, no votes": Rules(agents=TWO, max_answers=1, skip_voting=True, max_calls=AMPLE),
    "two agents, gated": Rules(
        agents=TWO, max_answers=2, message_drafts=frozenset(TWO), max_calls=AMPLE
    ),
    "two agents, gated, objections stand": Rules(
        agents=TWO,
        max_answers=1,
        message_drafts=frozenset(TWO),
        waive_objections=False,
        max_calls=AMPLE,
    ),
    "two agents, gated, five calls": Rules(agents=TWO, message_drafts=frozenset(TWO), max_calls=5),
    "two agents, default limit": Rules(agents=TWO, max_answers=1),
    "two agents, one call": Rules(agents=TWO, max_calls=1),
    "two agents, four calls": Rules(agents=TWO, max_calls=4),
    "two agents, solo": Rules(agents=TWO, solo=True),
    "one agent, solo": Rules(agents=("a",), solo=True),
    "one agent, three messages": Rules(agents=("a",), solo=True, presentations=3, repairs=True),
    "two agents, two messages": Rules(
        agents=TWO, max_answers=1, presentations=2, repairs=True, max_calls=9
    ),
    "one agent, workflow": Rules(agents=("a",), max_answers=2),
    "three agents, one answer each": Rules(agents=THREE, max_answers=1, max_calls=AMPLE),
    "one of two asked first": Rules(agents=TWO, max_answers=2, first=("b",), max_calls=AMPLE),
    "one of two asked first, one answer each": Rules(agents=TWO, max_answers=1, first=("a",)),
    "one of two asked first, gated, objections stand": Rules(
        agents=TWO,
        max_answers=1,
        first=("a",),
        message_drafts=frozenset(TWO),
        waive_objections=False,
        max_calls=AMPLE,
    ),
    "one of two asked first, three calls": Rules(agents=TWO, first=("a",), max_calls=3),
    "two of three asked first": Rules(
        agents=THREE, max_answers=1, first=("a", "c"), max_calls=AMPLE
    ),
    "three of four asked first, a majority": Rules(
        agents=(*THREE, "d"),
        max_answers=1,
        first=THREE,
        until="majority",
        max_calls=8,
    ),
    "three agents, speculating": Rules(
        agents=THREE, max_answers=1, speculate=True, max_calls=AMPLE
    ),
    "three agents, eager": Rules(agents=THREE, max_answers=1, defer_voting=False, max_calls=AMPLE),
}


def replies(state: State, agent: str, number: int) -> Iterator[Signal]:
    """All that an agent could say that the rules tell apart.

    What is turned back concerns one agent's round only: two agents show all of it.
    """
    yield Replied(agent, number, (NewAnswer(f"answer of {agent}"),))
    if state.rules.message_drafts:
        yield Replied(agent, number, (NewAnswer(f"rash answer of {agent}", OBJECTION),))
        yield Replied(agent, number, (VoteFor("a", "", OBJECTION),))
        yield Replied(agent, number, (), "cut short", complete=False)
        yield Replied(agent, number, (), "prose")
    if len(state.members) < 3:
        yield Replied(agent, number)
        yield Replied(agent, number, (NewAnswer("x"), VoteFor("nobody")), text="prose")
    for other in state.rules.agents:
        yield Replied(agent, number, (VoteFor(other),))


def signals(state: State) -> Iterator[Signal]:
    """All signals that can arrive in the state, late ones included."""
    yield Elapsed(RunTimer())
    yield Elapsed(GraceTimer(state.epoch))
    yield Elapsed(GraceTimer(state.epoch - 1))
    for member in state.members:
        agent, number = member.agent, member.round
        yield Failed(agent, number)
        yield Elapsed(RoundTimer(agent, number))
        yield Began(agent, number)
        yield Presented(agent, number)
        if state.rules.repairs:
            yield Malformed(agent, number, state.rules.presentations)
        yield Replied(agent, number - 1, (NewAnswer("late"),))
        yield from replies(state, agent, number)


@dataclass
class Walk:
    """All states and the edges between them, self-loops left out."""

    states: dict[State, set[State]]
    transitions: int


def core(state: State) -> State:
    """The state without its counters, which no rule reads except to compare them.

    ``calls`` counts where the limit can bite. What is left has to make progress by itself, so a
    walk over cores that finds no cycle proves more than one over states.
    """
    members = tuple(replace(member, round=0) for member in state.members)
    calls = 0 if state.rules.max_calls == AMPLE else state.calls
    return replace(state, members=members, calls=calls, epoch=0)


def walk(rules: Rules) -> Walk:
    first = begin(rules)
    check_effects(None, first)
    found: dict[State, set[State]] = {core(first.state): set()}
    queue = deque([first.state])
    transitions = 0
    while queue:
        state = queue.popleft()
        here = core(state)
        check_state(state)
        check_limit(state)
        for signal in signals(state):
            after = step(state, signal)
            transitions += 1
            check_objection(state, signal, after)
            check_stopped(state, after)
            if after.state == state:
                assert after.effects == ()
                assert after.events == ()
                continue
            assert state.stage is not Stage.DONE, "nothing happens after the end"
            check_effects(state, after)
            there = core(after.state)
            if there != here:
                found[here].add(there)
            if there not in found:
                found[there] = set()
                queue.append(after.state)
    return Walk(found, transitions)


def check_state(state: State) -> None:
    answered = {member.agent for member in state.answered}
    working = [member for member in state.members if member.standing is Standing.WORKING]
    assert state.calls <= state.rules.call_limit
    assert all(member.vote is None or member.vote.target in answered for member in state.members)
    for member in state.members:
        disagreed = 2 if member.agent in state.rules.first else 1
        assert member.answers <= max(disagreed, state.rules.max_answers)
    check_reserves(state)
    assert all(member.tries <= TRIES_PER_ROUND for member in state.members)
    match state.stage:
        case Stage.COORDINATING:
            assert working, "somebody is always at work, or the run would hang"
            assert state.winner is None
            check_writer(state)
            assert all(
                (member.standing is Standing.VOTED) == (member.vote is not None)
                for member in state.members
            )
            held = {*Standing} - {Standing.WAITING}
            drafting = any(member.living and member.answer is None for member in state.members)
            for member in state.members:
                waits_for_drafts = member.standing is Standing.WAITING and drafting
                assert member.standing in held or waits_for_drafts
        case Stage.PRESENTING:
            assert [member.agent for member in working] == [state.presenter]
            assert state.winner is not None or state.rules.solo
        case Stage.DONE:
            pass


def check_writer(state: State) -> None:
    """Who writes ahead of the decision has voted, and leads."""
    if state.presenter is not None:
        member = state.member(state.presenter)
        assert member is not None
        assert member.standing is Standing.VOTED
        assert state.rules.speculate
        assert state.grace
        assert ranked(state)[0][0] == state.presenter


def check_reserves(state: State) -> None:
    """Either nobody in reserve was asked yet, or all of them were."""
    reserves = {member.agent for member in state.reserves}
    others = {*state.rules.agents} - {*state.rules.first} if state.rules.first else set[str]()
    assert reserves in (set[str](), others)
    for member in state.reserves:
        assert (member.round, member.answer, member.vote) == (0, None, None)
    if reserves and state.stage is Stage.PRESENTING:
        check_agreement(state)


def check_agreement(state: State) -> None:
    """Those who were asked first agree, all or most, without an objection or a new answer."""
    first = [member for member in state.members if member.agent in state.rules.first]
    for_winner = [
        member.vote for member in first if member.vote and member.vote.target == state.winner
    ]
    verified = sum(vote.objection is None for vote in for_winner)
    assert all(member.answers == 1 for member in first)
    if state.rules.until == "unanimous":
        assert verified == len(first)
    else:
        assert verified * 2 > len(first)


def check_limit(state: State) -> None:
    """A limit that is counted outside ends a run in any state, as its deadline does."""
    after, timed = step(state, LimitReached("max_tokens")), step(state, Elapsed(RunTimer()))
    if state.stage is Stage.DONE:
        assert after == Transition(state)
        return
    assert (after.state.stage, after.state.limited_by) == (Stage.DONE, "max_tokens")
    assert replace(after.state, limited_by="deadline_seconds") == timed.state
    assert [type(effect) for effect in after.effects] == [type(e) for e in timed.effects]
    check_effects(state, after)


def check_stopped(state: State, after: Transition) -> None:
    """Whatever a transition would start: a limit ends the run before it, and what came counts."""
    if not calls_of(after):
        assert after.state.stage is not Stage.DONE or stop_before(after, "x", calls=0) == after
        return
    stopped = stop_before(after, "max_cost", calls=state.calls)
    assert (stopped.state.stage, stopped.state.limited_by) == (Stage.DONE, "max_cost")
    assert not calls_of(stopped)
    assert stopped.state.calls == state.calls
    assert not [e for e in stopped.events if isinstance(e, TurnStarted | PresentationStarted)]
    brought = Answered | VoteCast | VotesVoided | Abstained | AgentLeft | SubmissionRejected
    for event in after.events:
        assert event in stopped.events or not isinstance(event, brought)
    (end,) = [e for e in stopped.effects if isinstance(e, Complete | Abort)]
    check_end(stopped.state, end)
    assert [member.answer for member in stopped.state.members] == [
        s.answer for s in after.state.members
    ]


def number_of_calls(after: Transition) -> Callable[[Effect], int]:
    """How many model calls an effect starts."""

    def calls(effect: Effect) -> int:
        presents = isinstance(effect, StartTurn) and effect.phase is Phase.PRESENT
        several = presents or isinstance(effect, RepairMessages)
        return after.state.rules.presentations if several else 1

    return calls


def check_effects(before: State | None, after: Transition) -> None:
    asked = [e for e in after.effects if isinstance(e, StartTurn | CorrectTurn | RepairMessages)]
    assert after.state.calls - (before.calls if before else 0) == sum(
        map(number_of_calls(after), asked)
    )
    ends = [e for e in after.effects if isinstance(e, Complete | Abort)]
    newly_done = after.state.stage is Stage.DONE and (
        before is None or before.stage is not Stage.DONE
    )
    assert len(ends) == newly_done
    for end in ends:
        check_end(after.state, end)
    chosen = [e for e in after.events if isinstance(e, WinnerChosen)]
    assert len(chosen) <= 1
    if chosen:
        assert before is None or before.winner is None, "a run decides once"
    if before and before.winner:
        assert after.state.winner == before.winner
    for effect in after.effects:
        check_turn(after.state, effect)


def check_objection(state: State, signal: Signal, after: Transition) -> None:
    """What a policy objects to counts only in the last try of a round, marked as unverified."""
    match signal:
        case Replied(agent, number, (NewAnswer() | VoteFor() as decision,)) if decision.objection:
            member = state.member(agent)
            counted = [e for e in after.events if isinstance(e, Answered | VoteCast)]
            assert all(not event.verified for event in counted)
            if counted:
                assert member is not None
                assert state.rules.waive_objections
                out_of_calls = state.calls >= state.rules.call_limit
                assert member.tries + 1 == TRIES_PER_ROUND or out_of_calls
            for event in after.events:
                if isinstance(event, SubmissionRejected):
                    assert (event.round, event.attempt < TRIES_PER_ROUND) == (number, True)
        case _:
            counted = [e for e in after.events if isinstance(e, Answered | VoteCast)]
            cut_short = isinstance(signal, Replied) and not signal.complete
            assert all(event.verified is not cut_short for event in counted)


def check_end(state: State, end: Effect) -> None:
    if isinstance(end, Abort):
        assert not state.answered or state.began, "an answer is never lost"
    elif isinstance(end, Complete) and end.source == "answer":
        assert state.winner in {member.agent for member in state.answered}
    elif isinstance(end, Complete) and end.source == "unfit":
        room = state.rules.call_limit - state.calls
        assert state.repaired or room < state.rules.presentations
        assert state.presenter is None
    elif isinstance(end, Complete) and end.source == "cut":
        assert state.limited_by
        assert state.began


def check_turn(state: State, effect: Effect) -> None:
    match effect:
        case StartTurn(agent, number, phase) | CorrectTurn(agent, number, phase):
            member = state.member(agent)
            assert member is not None
            assert member.round == number
            ahead = phase is Phase.PRESENT and state.stage is Stage.COORDINATING
            assert member.standing is (Standing.VOTED if ahead else Standing.WORKING)
            if ahead:
                check_ahead(state, agent)
            if phase is Phase.EVALUATE:
                assert member.answer is not None, "nobody sees a peer's answer before its own"
        case RepairMessages(agent, number):
            member = state.member(agent)
            assert member is not None
            assert (member.round, member.standing) == (number, Standing.WORKING)
            assert (state.presenter, state.repaired) == (agent, True), "once, by the presenter"
        case ReleaseMessage(agent):
            assert (state.presenter, state.winner) == (agent, agent)
        case CancelTurn() | StartTimer() | Complete() | Abort():
            pass


def check_ahead(state: State, agent: str) -> None:
    """Only who is sure to win unless somebody answers anew writes ahead, and there is room."""
    votes = [member.vote.target for member in state.members if member.vote]
    assert votes.count(agent) * 2 > len(state.living)
    assert any(member.standing is Standing.WORKING for member in state.members), (
        "there is no straggler"
    )
    left = state.rules.call_limit - state.calls
    assert left >= len(state.living) + state.rules.presentations


def longest_path(graph: dict[State, set[State]]) -> int:
    """The length of the longest path; fails on a cycle."""
    depth: dict[State, int] = {}
    on_path: set[State] = set()
    stack: list[tuple[State, Iterator[State]]] = []

    def enter(state: State) -> None:
        assert state not in on_path, "the rules can go in circles"
        on_path.add(state)
        stack.append((state, iter(graph[state])))

    for root in graph:
        if root in depth:
            continue
        enter(root)
        while stack:
            state, successors = stack[-1]
            child = next((s for s in successors if s not in depth), None)
            if child is not None:
                enter(child)
                continue
            depth[state] = 1 + max((depth[s] for s in graph[state]), default=-1)
            on_path.discard(state)
            stack.pop()
    return max(depth.values())


def signal_bound(rules: Rules) -> int:
    """Signals that can change anything: each call ends once or begins and ends, plus one grace
    period for each set of votes, plus the end."""
    agents = len(rules.agents)
    epochs = agents * rules.max_answers + 1
    calls = min(rules.call_limit, call_bound(rules) * TRIES_PER_ROUND)
    return 2 * calls + epochs + 1


@pytest.mark.parametrize("rules", TEAMS.values(), ids=TEAMS.keys())
def test_all_reachable_states_keep_the_promises_and_every_run_ends(rules: Rules) -> None:
    found = walk(rules)
    longest = longest_path(found.states)
    print(f"{len(found.states)} states, {found.transitions} transitions, longest run {longest}")
    assert longest <= signal_bound(rules)
    ends = [state for state, after in found.states.items() if not after]
    assert ends
    assert all(state.stage is Stage.DONE for state in ends)


def test_the_walk_meets_every_kind_of_event() -> None:
    """Guards the walk itself: a signal set that reaches nothing would prove nothing."""
    seen: set[type[object]] = set()
    for state in walk(TEAMS["two agents, two answers each"]).states:
        for signal in signals(state):
            seen.update(type(event) for event in step(state, signal).events)
    assert {Answered, VoteCast, Abstained, AgentLeft, WinnerChosen} <= seen


def test_a_call_that_is_no_decision_is_turned_back_like_any_other() -> None:
    state = begin(TEAMS["two agents, one answer each"]).state
    after = step(state, Replied("a", 1, (Unusable("bad JSON"),)))
    assert [type(effect) for effect in after.effects] == [CorrectTurn]
