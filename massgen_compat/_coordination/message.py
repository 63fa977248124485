"""The decision and the final message: who wins, who presents, and how a run ends. Pure."""

from dataclasses import replace

from massgen_compat._coordination.members import (
    cancel_all,
    drop_message,
    leave,
    put,
    ranked,
    start,
    working,
)
from massgen_compat._coordination.state import (
    Abort,
    Began,
    Complete,
    Failed,
    Malformed,
    Presented,
    ReleaseMessage,
    RepairMessages,
    Signal,
    Stage,
    Standing,
    StartTurn,
    State,
    Transition,
)
from massgen_compat._run.turn import Phase
from massgen_compat.events import (
    PresentationStarted,
    RunEvent,
    RunLimited,
    SpeculationStarted,
    TurnStarted,
    WinnerChosen,
)


def decide(state: State) -> Transition:
    """Choose the winner; then an agent presents, or the winner's answer is the message.

    Most votes win, and a tie goes to the earlier agent. Some agent must have an answer.
    """
    ranking = ranked(state)
    winner = ranking[0][0]
    chosen = WinnerChosen(winner=winner, votes=ranking, limited_by=state.limited_by)
    done = Transition(replace(state, winner=winner), (), (chosen,)).then(cancel_all)
    if state.presenter == winner and not state.limited_by:
        return done.then(adopt)
    done = done.then(drop_message)
    if state.rules.strategy == "winner_reuse" or state.limited_by:
        return done.then(_complete_with_answer)
    return done.then(present)


def present(state: State) -> Transition:
    """Ask the winner for the message, or the next in rank that is living.

    Living agents without an answer come last: all are in a ``solo`` run. Without a living agent, or
    without calls left, the winner's answer is the message; without a winner the run fails.
    """
    rank = [agent for agent, _ in ranked(state)]
    order = sorted(
        state.living,
        key=lambda member: rank.index(member.agent) if member.agent in rank else len(rank),
    )
    if order and state.calls + state.rules.presentations > state.rules.call_limit:
        limited = replace(state, limited_by="max_calls")
        if state.winner:
            return Transition(limited, (), _told("max_calls")).then(_complete_with_answer)
        return abort(limited, "max_calls")
    if not order:
        return _complete_with_answer(state) if state.winner else abort(state, state.limited_by)
    presenter = order[0]
    state = replace(state, stage=Stage.PRESENTING, presenter=presenter.agent, began=False)
    started = Transition(state, (), (PresentationStarted(agent=presenter.agent),))
    return started.then(lambda state: start(state, presenter, Phase.PRESENT))


def step_presenting(state: State, signal: Signal) -> Transition:
    """Apply a signal while presenting: only signals of the presenter mean anything."""
    match signal:
        case Began(agent, number) if working(state, agent, number):
            return Transition(replace(state, began=True))
        case Presented(agent, number) if working(state, agent, number):
            return _complete(state, Complete("presentation"))
        case Malformed(agent, number, messages) if working(state, agent, number):
            return _repair(state, agent, number, messages)
        case Failed(agent, number, reason) if member := working(state, agent, number):
            # Another agent cannot go on with a message of which the client has read a part.
            left = leave(state, member, reason)
            return left.then(lambda state: abort(state, None) if state.began else present(state))
        case _:
            return Transition(state)


def _repair(state: State, agent: str, number: int, messages: int) -> Transition:
    """Ask once more for messages without what was asked for; the second time, end the run."""
    if state.repaired:
        return unfit(state)
    if state.calls + messages > state.rules.call_limit:
        return unfit(replace(state, limited_by="max_calls"))
    state = replace(state, repaired=True, calls=state.calls + messages)
    return Transition(state, (RepairMessages(agent, number),))


def unfit(state: State) -> Transition:
    """End a run whose messages lack what was asked for and are not tried again."""
    return _complete(replace(state, presenter=None), Complete("unfit"))


def stop(state: State, limit: str) -> Transition:
    """End the run at a limit with what there is; nothing new starts.

    In order of preference: the winning answer, a message as far as it was written, an error.
    """
    state = replace(state, limited_by=limit)
    if state.stage is Stage.COORDINATING and state.answered:
        return decide(state)
    stopped = cancel_all(state)
    if state.began:
        return stopped.then(lambda state: _complete(state, Complete("cut")))
    if state.winner:
        told = stopped.then(lambda state: Transition(state, (), _told(limit)))
        return told.then(_complete_with_answer)
    return stopped.then(lambda state: abort(state, limit))


def _told(limit: str) -> tuple[RunEvent, ...]:
    return (RunLimited(limit=limit),)


def _complete(state: State, outcome: Complete) -> Transition:
    return Transition(_done(state), (outcome,))


def _complete_with_answer(state: State) -> Transition:
    return _complete(replace(state, presenter=None), Complete("answer"))


def abort(state: State, limit: str | None) -> Transition:
    """End a run that has nothing to answer with."""
    return Transition(_done(state), (Abort(limit),))


def _done(state: State) -> State:
    return replace(state, stage=Stage.DONE)


def speculate(state: State) -> Transition:
    """Let the agent that a strict majority agrees on begin the message, if that is safe.

    It has to have voted itself, because an agent that still evaluates would have two turns at once.
    And ``max_calls`` has to leave room for a wrong guess: for another evaluation by everybody and
    another message. The agent stays ``VOTED`` meanwhile, and its vote counts.
    """
    if not (state.rules.speculate and state.grace) or state.reserves:
        return Transition(state)
    member = state.member(ranked(state)[0][0])
    another = len(state.living) + state.rules.presentations
    after = state.calls + state.rules.presentations
    busy = state.presenter is not None or state.ahead_failed
    if member is None or member.standing is not Standing.VOTED or busy:
        return Transition(state)
    if after + another > state.rules.call_limit:
        return Transition(state)
    agent, number = member.agent, member.round + 1
    state = put(state, replace(member, round=number))
    return Transition(
        replace(state, presenter=agent, calls=after),
        (StartTurn(agent, number, Phase.PRESENT),),
        (
            SpeculationStarted(agent=agent),
            TurnStarted(agent=agent, round=number, phase=Phase.PRESENT),
        ),
    )


def is_writing(state: State, agent: str, number: int) -> bool:
    """Tell whether the agent writes ahead of the decision, and in this round."""
    member = state.member(agent)
    return state.presenter == agent and member is not None and member.round == number


def fail_ahead(state: State) -> Transition:
    """Drop the message of an agent that failed while it wrote ahead of the decision.

    Nobody tries it again with the same votes, but the agent is asked again if it wins.
    """
    return drop_message(replace(state, ahead_failed=True))


def adopt(state: State) -> Transition:
    """Take what the winner has begun to write as the message, and let it go on."""
    presenter = state.member(state.presenter or "")
    if presenter is None:
        return Transition(state)
    state = put(state, replace(presenter, standing=Standing.WORKING))
    return Transition(
        replace(state, stage=Stage.PRESENTING, began=False),
        (ReleaseMessage(presenter.agent),),
        (PresentationStarted(agent=presenter.agent),),
    )
