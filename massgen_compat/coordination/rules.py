"""The transitions: ``begin`` and ``step``. Pure and total; see the package's docstring."""

from dataclasses import replace
from typing import Literal

from massgen_compat.coordination.judging import verdict_on
from massgen_compat.coordination.state import (
    TRIES_PER_ROUND,
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
    Rejection,
    RepairMessages,
    Replied,
    RoundTimer,
    Rules,
    RunTimer,
    Seat,
    Signal,
    Stage,
    Standing,
    StartTimer,
    StartTurn,
    State,
    Transition,
    VoteFor,
    label,
)
from massgen_compat.events import (
    Abstained,
    AgentLeft,
    Answered,
    PresentationStarted,
    RunEvent,
    RunLimited,
    SubmissionRejected,
    TurnStarted,
    VoteCast,
    VotesVoided,
    WinnerChosen,
)
from massgen_compat.turn import Phase


def begin(rules: Rules) -> Transition:
    """Start a run: all agents at once. Raises ``ValueError`` without agents."""
    if not rules.agents:
        raise ValueError("a run needs at least one agent")
    state = State(rules=rules, seats=tuple(Seat(agent=agent) for agent in rules.agents))
    clock: tuple[Effect, ...] = ()
    if rules.deadline_seconds is not None:
        clock = (StartTimer(RunTimer(), rules.deadline_seconds),)
    started = Transition(state, clock)
    if rules.solo:
        return started.then(_present)
    for agent in rules.agents:
        started = started.then(lambda state, agent=agent: _join(state, agent))
    return started.then(_settle)


def step(state: State, signal: Signal) -> Transition:
    """Apply one signal. Total: any signal, in any state, at any time."""
    match state.stage, signal:
        case Stage.DONE, _:
            return Transition(state)
        case _, Elapsed(RunTimer()):
            return _stop(state, "deadline_seconds")
        case _, LimitReached(limit):
            return _stop(state, limit)
        case Stage.COORDINATING, _:
            return _coordinate(state, signal)
        case Stage.PRESENTING, _:
            return _attend(state, signal)


# Coordinating


def _coordinate(state: State, signal: Signal) -> Transition:
    match signal:
        case Elapsed(GraceTimer(epoch)) if state.grace and epoch == state.epoch:
            return _decide(state)
        case Replied(agent, number) if seat := _working(state, agent, number):
            return _judge(state, seat, signal).then(_settle)
        case Failed(agent, number, reason) if seat := _working(state, agent, number):
            return _leave(state, seat, reason).then(_settle)
        case Elapsed(RoundTimer(agent, number)) if seat := _working(state, agent, number):
            aborted = Transition(state, (CancelTurn(agent),))
            return aborted.then(lambda state: _give_up(state, seat, None, "timeout")).then(_settle)
        case _:
            return Transition(state)


def _judge(state: State, seat: Seat, reply: Replied) -> Transition:
    """Accept the reply's one decision, or turn the reply back, or end the round without one."""
    seat = replace(seat, tries=seat.tries + 1)
    verdict = verdict_on(state, seat, reply)
    objection = None if isinstance(verdict, Rejection) else verdict.objection
    spent = state.calls >= state.rules.call_limit
    last_try = spent or seat.tries >= TRIES_PER_ROUND
    if not isinstance(verdict, Rejection) and (
        objection is None or (last_try and state.rules.waive_objections)
    ):
        return _accept(state, seat, verdict)
    # A reply without any call is asked once for one; then its text has to do (design §3.5).
    if last_try or (verdict is Rejection.NO_DECISION and seat.nudged):
        state = replace(state, limited_by="max_calls") if spent else state
        return _give_up(state, seat, reply, "max_calls" if spent else "no answer")
    return _turn_back(state, seat, verdict)


def _turn_back(state: State, seat: Seat, verdict: NewAnswer | VoteFor | Rejection) -> Transition:
    objection: Objection | None = None
    meant: Literal["new_answer", "vote"] | None = None
    rejection = Rejection.OBJECTION
    match verdict:
        case NewAnswer():
            objection, meant = verdict.objection, "new_answer"
        case VoteFor():
            objection, meant = verdict.objection, "vote"
        case Rejection():
            rejection = verdict
    seat = replace(seat, nudged=seat.nudged or verdict is Rejection.NO_DECISION)
    last = seat.tries + 1 >= TRIES_PER_ROUND
    correct = CorrectTurn(seat.agent, seat.round, seat.phase, rejection, objection, last, meant)
    told = SubmissionRejected(
        agent=seat.agent,
        round=seat.round,
        reason=objection.code if objection else rejection.value,
        attempt=seat.tries,
    )
    return Transition(replace(_put(state, seat), calls=state.calls + 1), (correct,), (told,))


def _accept(state: State, seat: Seat, decision: NewAnswer | VoteFor) -> Transition:
    match decision:
        case NewAnswer(content, objection):
            return _accept_answer(state, seat, content, verified=objection is None)
        case VoteFor():
            return _accept_vote(state, seat, decision)


def _accept_answer(state: State, seat: Seat, content: str, *, verified: bool = True) -> Transition:
    """An accepted answer voids all votes and sends everybody who has answered into a new round."""
    number = seat.answers + 1
    seat = replace(seat, answer=content, answers=number, standing=Standing.WAITING)
    votes = sum(other.vote is not None for other in state.seats)
    events: tuple[RunEvent, ...] = (
        Answered(
            agent=seat.agent,
            label=label(state.rules, seat.agent),
            round=seat.round,
            number=number,
            content=content,
            verified=verified,
        ),
    )
    if votes:
        events += (VotesVoided(votes=votes),)
    state = _put(state, seat)
    effects: list[Effect] = []
    seats: list[Seat] = []
    for other in state.seats:
        evaluating = other.standing is Standing.WORKING and other.phase is Phase.EVALUATE
        if evaluating:
            effects.append(CancelTurn(other.agent))
        decided = other.standing in {Standing.VOTED, Standing.ABSTAINED}
        standing = Standing.WAITING if evaluating or decided else other.standing
        seats.append(replace(other, standing=standing, vote=None))
    state = replace(state, seats=tuple(seats), epoch=state.epoch + 1, grace=False)
    return Transition(state, tuple(effects), events)


def _accept_vote(state: State, seat: Seat, vote: VoteFor) -> Transition:
    seat = replace(seat, vote=vote, standing=Standing.VOTED)
    cast = VoteCast(
        voter=seat.agent,
        target=vote.target,
        round=seat.round,
        reason=vote.reason,
        verified=vote.objection is None,
    )
    return Transition(_put(state, seat), (), (cast,))


def _give_up(state: State, seat: Seat, reply: Replied | None, reason: str) -> Transition:
    """End a round without a decision: text of a draft is an answer, an evaluation abstains."""
    if seat.phase is Phase.EVALUATE:
        abstained = _put(state, replace(seat, standing=Standing.ABSTAINED))
        return Transition(abstained, (), (Abstained(agent=seat.agent, round=seat.round),))
    if reply is not None and reply.text.strip():
        return _accept_answer(state, seat, reply.text, verified=reply.complete)
    return _leave(state, seat, reason)


def _settle(state: State) -> Transition:
    """Do what follows once an agent has moved: nothing, another round, or the decision."""
    living = state.living
    if not state.answered:
        return Transition(state) if living else _abort(state, state.limited_by)
    if all(seat.standing in {Standing.VOTED, Standing.ABSTAINED} for seat in living):
        return _decide(state)
    drafting = any(seat.answer is None for seat in living)
    if state.rules.skip_voting or (len(state.answered) == 1 and not drafting):
        return Transition(state) if drafting else _decide(state)
    waiting = [seat for seat in living if seat.standing is Standing.WAITING]
    # With one answer there is nothing to compare, also in MassGen's eager order.
    held = drafting and (state.rules.defer_voting or len(state.answered) == 1)
    if waiting and not held:
        if state.calls + len(waiting) > state.rules.call_limit:
            return _stop(state, "max_calls")
        started = Transition(state)
        for seat in waiting:
            started = started.then(lambda state, seat=seat: _start(state, seat, seat.phase))
        return started
    return _watch_stragglers(state)


def _watch_stragglers(state: State) -> Transition:
    """Once a strict majority agrees, the others get a last period of grace (design §3.4)."""
    leader = max((count for _, count in tally(state)), default=0)
    if state.grace or leader * 2 <= len(state.living):
        return Transition(state)
    timer = StartTimer(GraceTimer(state.epoch), state.rules.grace_seconds)
    return Transition(replace(state, grace=True), (timer,))


# Deciding and presenting


def tally(state: State) -> tuple[tuple[str, int], ...]:
    """The agents with an answer and their votes: most votes first, ties in the config's order."""
    targets = [seat.vote.target for seat in state.seats if seat.vote]
    counted = [(seat.agent, targets.count(seat.agent)) for seat in state.answered]
    return tuple(sorted(counted, key=lambda row: -row[1]))


def answers_by_rank(state: State) -> tuple[str, ...]:
    """The current answers, the one with the most votes first."""
    answers = {seat.agent: seat.answer or "" for seat in state.answered}
    return tuple(answers[agent] for agent, _ in tally(state))


def _decide(state: State) -> Transition:
    ranking = tally(state)
    winner = ranking[0][0]
    chosen = WinnerChosen(winner=winner, votes=ranking, limited_by=state.limited_by)
    done = Transition(replace(state, winner=winner), (), (chosen,)).then(_cancel_all)
    if state.rules.strategy == "winner_reuse" or state.limited_by:
        return done.then(_complete_with_answer)
    return done.then(_present)


def _present(state: State) -> Transition:
    """Ask the next presenter: the winner, else the next in rank that is still there."""
    rank = [agent for agent, _ in tally(state)]
    order = sorted(
        state.living, key=lambda seat: rank.index(seat.agent) if seat.agent in rank else len(rank)
    )
    if order and state.calls + state.rules.presentations > state.rules.call_limit:
        limited = replace(state, limited_by="max_calls")
        if state.winner:
            return Transition(limited, (), _told("max_calls")).then(_complete_with_answer)
        return _abort(limited, "max_calls")
    if not order:
        return _complete_with_answer(state) if state.winner else _abort(state, state.limited_by)
    presenter = order[0]
    state = replace(state, stage=Stage.PRESENTING, presenter=presenter.agent, began=False)
    started = Transition(state, (), (PresentationStarted(agent=presenter.agent),))
    return started.then(lambda state: _start(state, presenter, Phase.PRESENT))


def _attend(state: State, signal: Signal) -> Transition:
    """Presenting: only the presenter's signals mean anything."""
    match signal:
        case Began(agent, number) if _working(state, agent, number):
            return Transition(replace(state, began=True))
        case Presented(agent, number) if _working(state, agent, number):
            return _complete(state, Complete("presentation"))
        case Malformed(agent, number, messages) if _working(state, agent, number):
            return _repair(state, agent, number, messages)
        case Failed(agent, number, reason) if seat := _working(state, agent, number):
            left = _leave(state, seat, reason)
            return left.then(lambda state: _abort(state, None) if state.began else _present(state))
        case _:
            return Transition(state)


def _repair(state: State, agent: str, number: int, messages: int) -> Transition:
    """Messages without the format that was asked for get one more try; then an answer has to do."""
    if state.repaired:
        return unfit(state)
    if state.calls + messages > state.rules.call_limit:
        return unfit(replace(state, limited_by="max_calls"))
    state = replace(state, repaired=True, calls=state.calls + messages)
    return Transition(state, (RepairMessages(agent, number),))


def unfit(state: State) -> Transition:
    """The end of a run whose messages lack what was asked for and are not tried again."""
    return _complete(replace(state, presenter=None), Complete("unfit"))


def _stop(state: State, limit: str) -> Transition:
    """At a limit nothing new starts: decide with what there is."""
    state = replace(state, limited_by=limit)
    if state.stage is Stage.COORDINATING and state.answered:
        return _decide(state)
    stopped = _cancel_all(state)
    if state.began:
        return stopped.then(lambda state: _complete(state, Complete("cut")))
    if state.winner:
        told = stopped.then(lambda state: Transition(state, (), _told(limit)))
        return told.then(_complete_with_answer)
    return stopped.then(lambda state: _abort(state, limit))


def _told(limit: str) -> tuple[RunEvent, ...]:
    return (RunLimited(limit=limit),)


def _complete(state: State, outcome: Complete) -> Transition:
    return Transition(_done(state), (outcome,))


def _complete_with_answer(state: State) -> Transition:
    return _complete(replace(state, presenter=None), Complete("answer"))


def _abort(state: State, limit: str | None) -> Transition:
    return Transition(_done(state), (Abort(limit),))


def _done(state: State) -> State:
    return replace(state, stage=Stage.DONE)


# Seats


def _working(state: State, agent: str, number: int) -> Seat | None:
    """The agent's seat, if it is at work in that very round."""
    seat = state.seat(agent)
    if seat and seat.standing is Standing.WORKING and seat.round == number:
        return seat
    return None


def _join(state: State, agent: str) -> Transition:
    seat = Seat(agent=agent)
    if state.calls < state.rules.call_limit:
        return _start(state, seat, Phase.DRAFT)
    return _leave(replace(state, limited_by="max_calls"), seat, "max_calls")


def _start(state: State, seat: Seat, phase: Phase) -> Transition:
    rules = state.rules
    number = seat.round + 1
    seat = replace(seat, standing=Standing.WORKING, round=number, tries=0, nudged=False)
    effects: tuple[Effect, ...] = (StartTurn(seat.agent, number, phase),)
    seconds = rules.first_round_seconds if number == 1 else rules.later_round_seconds
    if seconds is not None and phase is not Phase.PRESENT:
        effects += (StartTimer(RoundTimer(seat.agent, number), seconds),)
    calls = rules.presentations if phase is Phase.PRESENT else 1
    state = replace(_put(state, seat), calls=state.calls + calls)
    return Transition(state, effects, (TurnStarted(agent=seat.agent, round=number, phase=phase),))


def _leave(state: State, seat: Seat, reason: str) -> Transition:
    """The agent is out; an answer that it gave stays and can win."""
    left = replace(seat, standing=Standing.LEFT)
    event = AgentLeft(agent=seat.agent, round=seat.round, reason=reason)
    return Transition(_put(state, left), (), (event,))


def _cancel_all(state: State) -> Transition:
    working = [seat for seat in state.seats if seat.standing is Standing.WORKING]
    for seat in working:
        state = _put(state, replace(seat, standing=Standing.WAITING))
    return Transition(state, tuple(CancelTurn(seat.agent) for seat in working))


def _put(state: State, seat: Seat) -> State:
    seats = tuple(seat if other.agent == seat.agent else other for other in state.seats)
    return replace(state, seats=seats)
