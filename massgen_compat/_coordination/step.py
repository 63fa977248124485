"""The transitions: ``begin`` and ``step``. Pure and total. The package has the table."""

from dataclasses import replace
from typing import Final, Literal, TypeAlias

from massgen_compat._coordination.escalation import (
    agreeing,
    call_team,
    disagreement,
    put_in_reserve,
)
from massgen_compat._coordination.judging import verdict_on
from massgen_compat._coordination.members import join, leave, put, start, void_votes, working
from massgen_compat._coordination.message import (
    abort,
    decide,
    fail_ahead,
    is_writing,
    present,
    speculate,
    step_presenting,
    stop,
    unfit,
)
from massgen_compat._coordination.rules import TRIES_PER_ROUND, Rules
from massgen_compat._coordination.state import (
    CancelTurn,
    CorrectTurn,
    Effect,
    Elapsed,
    Failed,
    GraceTimer,
    LimitReached,
    Member,
    NewAnswer,
    Objection,
    Rejection,
    RepairMessages,
    Replied,
    RoundTimer,
    RunTimer,
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
from massgen_compat._run.turn import Phase
from massgen_compat.events import (
    Abstained,
    Answered,
    FirstAsked,
    PresentationStarted,
    RunEvent,
    SpeculationStarted,
    SubmissionRejected,
    TeamCalled,
    TurnStarted,
    VoteCast,
    VotesVoided,
)


def begin(rules: Rules) -> Transition:
    """Return the first transition of a run: all agents start, or those that are asked first.

    Raises ``ValueError`` if the rules name no agent.
    """
    if not rules.agents:
        raise ValueError("a run needs at least one agent")
    state = State(rules=rules, members=tuple(Member(agent=agent) for agent in rules.agents))
    timers: tuple[Effect, ...] = ()
    if rules.deadline_seconds is not None:
        timers = (StartTimer(RunTimer(), rules.deadline_seconds),)
    started = Transition(state, timers)
    if rules.solo:
        return started.then(present)
    if rules.first:
        others = tuple(agent for agent in rules.agents if agent not in rules.first)
        asked = FirstAsked(agents=rules.first, others=others)
        started = Transition(put_in_reserve(state), timers, (asked,))
    for agent in rules.first or rules.agents:
        started = started.then(lambda state, agent=agent: join(state, agent))
    return started.then(_settle)


def step(state: State, signal: Signal) -> Transition:
    """Return what a signal leads to. Total: any signal, in any state, at any time.

    A signal that makes no sense in the state gives the same state, no effects and no events.
    """
    match state.stage, signal:
        case Stage.DONE, _:
            return Transition(state)
        case _, Elapsed(RunTimer()):
            return stop(state, "deadline_seconds")
        case _, LimitReached(limit):
            return stop(state, limit)
        case Stage.COORDINATING, _:
            return _coordinate(state, signal)
        case Stage.PRESENTING, _:
            return step_presenting(state, signal)


# Coordinating


def _coordinate(state: State, signal: Signal) -> Transition:
    match signal:
        case Elapsed(GraceTimer(epoch)) if state.grace and epoch == state.epoch:
            return decide(state)
        case Replied(agent, number) if member := working(state, agent, number):
            return _judge(state, member, signal).then(_settle)
        case Failed(agent, number, reason) if member := working(state, agent, number):
            return leave(state, member, reason).then(_settle)
        case Failed(agent, number) if is_writing(state, agent, number):
            return fail_ahead(state)
        case Elapsed(RoundTimer(agent, number)) if member := working(state, agent, number):
            aborted = Transition(state, (CancelTurn(agent),))
            return aborted.then(lambda state: _give_up(state, member, None, "timeout")).then(
                _settle
            )
        case _:
            return Transition(state)


def _judge(state: State, member: Member, reply: Replied) -> Transition:
    """Accept the one decision of a reply, or turn the reply back, or end the round without one."""
    member = replace(member, tries=member.tries + 1)
    verdict = verdict_on(state, member, reply)
    objection = None if isinstance(verdict, Rejection) else verdict.objection
    spent = state.calls >= state.rules.call_limit
    last_try = spent or member.tries >= TRIES_PER_ROUND
    if not isinstance(verdict, Rejection) and (
        objection is None or (last_try and state.rules.waive_objections)
    ):
        return _accept(state, member, verdict)
    # One reminder is enough for a reply without any call: the text of a draft can be the answer.
    if last_try or (verdict is Rejection.NO_DECISION and member.reminded):
        state = replace(state, limited_by="max_calls") if spent else state
        return _give_up(state, member, reply, "max_calls" if spent else "no answer")
    return _turn_back(state, member, verdict)


def _turn_back(
    state: State, member: Member, verdict: NewAnswer | VoteFor | Rejection
) -> Transition:
    """Ask the agent again in the same round. A decision as ``verdict`` is one with an objection."""
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
    member = replace(member, reminded=member.reminded or verdict is Rejection.NO_DECISION)
    last = member.tries + 1 >= TRIES_PER_ROUND
    correct = CorrectTurn(
        member.agent, member.round, member.phase, rejection, objection, last, meant
    )
    told = SubmissionRejected(
        agent=member.agent,
        round=member.round,
        reason=objection.code if objection else rejection.value,
        attempt=member.tries,
    )
    return Transition(replace(put(state, member), calls=state.calls + 1), (correct,), (told,))


def _accept(state: State, member: Member, decision: NewAnswer | VoteFor) -> Transition:
    match decision:
        case NewAnswer(content, objection):
            return _accept_answer(state, member, content, verified=objection is None)
        case VoteFor():
            return _accept_vote(state, member, decision)


def _accept_answer(
    state: State, member: Member, content: str, *, verified: bool = True
) -> Transition:
    """Make the text the agent's current answer, void all votes, and let all evaluate anew.

    ``_settle`` starts the evaluations, when all drafts are there.
    """
    number = member.answers + 1
    member = replace(member, answer=content, answers=number, standing=Standing.WAITING)
    votes = sum(other.vote is not None for other in state.members)
    events: tuple[RunEvent, ...] = (
        Answered(
            agent=member.agent,
            label=label(state.rules, member.agent),
            round=member.round,
            number=number,
            content=content,
            verified=verified,
        ),
    )
    if votes:
        events += (VotesVoided(votes=votes),)
    voided = void_votes(put(state, member))
    return Transition(voided.state, voided.effects, events + voided.events)


def _accept_vote(state: State, member: Member, vote: VoteFor) -> Transition:
    member = replace(member, vote=vote, standing=Standing.VOTED)
    cast = VoteCast(
        voter=member.agent,
        target=vote.target,
        round=member.round,
        reason=vote.reason,
        verified=vote.verified and vote.objection is None,
    )
    return Transition(put(state, member), (), (cast,))


def _give_up(state: State, member: Member, reply: Replied | None, reason: str) -> Transition:
    """End a round without a decision.

    In an evaluation the agent abstains. In a draft the text that it wrote is its answer, and it
    leaves the run for ``reason`` if there is none. ``reply`` is ``None`` when time ran out: what
    was written until then is not known here.
    """
    if member.phase is Phase.EVALUATE:
        abstained = put(state, replace(member, standing=Standing.ABSTAINED))
        return Transition(abstained, (), (Abstained(agent=member.agent, round=member.round),))
    if reply is not None and reply.text.strip():
        return _accept_answer(state, member, reply.text, verified=reply.complete)
    return leave(state, member, reason)


def _settle(state: State) -> Transition:
    """Do what follows for the team once a member has moved; the first rule that applies counts."""
    if reason := disagreement(state):
        called = call_team(state, reason)
        return called if called.state.stage is Stage.DONE else called.then(_settle)
    living = state.living
    if not state.answered:
        return Transition(state) if living else abort(state, state.limited_by)
    # Also when nobody is living any more: an answer that is there can be the message.
    if all(member.standing in {Standing.VOTED, Standing.ABSTAINED} for member in living):
        return decide(state)
    drafting = any(member.answer is None for member in living)
    # One answer needs no votes, unless its author was asked first and has yet to review it.
    alone = len(state.answered) == 1 and not drafting and not state.reserves
    if state.rules.skip_voting or alone:
        return Transition(state) if drafting else decide(state)
    waiting = [member for member in living if member.standing is Standing.WAITING]
    # With one answer there is nothing to compare, also in MassGen's eager order. Agents that were
    # asked first wait for all drafts in any order: they have compared what there is.
    deferred = state.rules.defer_voting or bool(state.rules.first)
    held = drafting and (deferred or len(state.answered) == 1)
    if waiting and not held:
        # All or none: the votes of a part of the team would be no decision of the team.
        if state.calls + len(waiting) > state.rules.call_limit:
            return stop(state, "max_calls")
        started = Transition(state)
        for member in waiting:
            started = started.then(lambda state, member=member: start(state, member, member.phase))
        return started
    return _watch_stragglers(state).then(speculate)


def _watch_stragglers(state: State) -> Transition:
    """Once a strict majority agrees, give the others ``grace_seconds`` to finish.

    They are not cut off at once, because a new answer of theirs could still change the outcome.
    """
    if state.grace or agreeing(state) < state.votes_needed:
        return Transition(state)
    timer = StartTimer(GraceTimer(state.epoch), state.rules.grace_seconds)
    return Transition(replace(state, grace=True), (timer,))


CallEffect: TypeAlias = StartTurn | CorrectTurn | RepairMessages
"""An effect that makes model calls."""


def calls_of(transition: Transition) -> tuple[CallEffect, ...]:
    """Return the effects of a transition that make model calls."""
    return tuple(effect for effect in transition.effects if isinstance(effect, CallEffect))


_STARTS: Final = TurnStarted | PresentationStarted | SpeculationStarted | TeamCalled
"""Events that announce calls. ``stop_before`` takes them out together with the calls."""


def stop_before(transition: Transition, limit: str, *, calls: int) -> Transition:
    """Return the transition without the calls that it would start, and with the run ended.

    ``limit`` names the limit (``max_tokens`` or ``max_cost``); ``calls`` is the number of model
    calls before the transition. What the signal brought still counts: an answer or a vote is taken.
    A transition that ends the run by itself is returned as it is.
    """
    if transition.state.stage is Stage.DONE:
        return transition
    # A message that needed repair was told to nobody, so the run must not end as one that was cut.
    repairing = any(isinstance(effect, RepairMessages) for effect in transition.effects)
    kept = Transition(
        replace(transition.state, calls=calls),
        tuple(effect for effect in transition.effects if not _starts(effect)),
        tuple(event for event in transition.events if not isinstance(event, _STARTS)),
    )
    if repairing:
        return kept.then(lambda state: unfit(replace(state, limited_by=limit)))
    return kept.then(lambda state: step(state, LimitReached(limit)))


def _starts(effect: Effect) -> bool:
    return isinstance(effect, CallEffect | StartTimer)
