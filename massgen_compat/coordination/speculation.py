"""Speculation: the message is begun before the last votes are in. Pure.

Once a strict majority agrees on an agent, and that agent has voted itself, only a new answer can
change the outcome. So it begins the message, with the votes so far in view, while the others
finish. What it writes is held until the decision, and is the message then. A new answer, and a
limit, drop it: the call is aborted, and counts.
"""

from dataclasses import replace

from massgen_compat.coordination.seats import drop_message, put, tally
from massgen_compat.coordination.state import (
    ReleaseMessage,
    Stage,
    Standing,
    StartTurn,
    State,
    Transition,
)
from massgen_compat.events import PresentationStarted, SpeculationStarted, TurnStarted
from massgen_compat.turn import Phase


def speculate(state: State) -> Transition:
    """Let the agent that a strict majority agrees on begin the message, if there is room for it.

    There is if the limit of calls would still allow another evaluation and another message.
    """
    if not (state.rules.speculate and state.grace) or state.reserves:
        return Transition(state)
    seat = state.seat(tally(state)[0][0])
    another = len(state.living) + state.rules.presentations
    after = state.calls + state.rules.presentations
    busy = state.presenter is not None or state.spoiled
    if seat is None or seat.standing is not Standing.VOTED or busy:
        return Transition(state)
    if after + another > state.rules.call_limit:
        return Transition(state)
    agent, number = seat.agent, seat.round + 1
    state = put(state, replace(seat, round=number))
    return Transition(
        replace(state, presenter=agent, calls=after),
        (StartTurn(agent, number, Phase.PRESENT),),
        (
            SpeculationStarted(agent=agent),
            TurnStarted(agent=agent, round=number, phase=Phase.PRESENT),
        ),
    )


def is_writing(state: State, agent: str, number: int) -> bool:
    """Whether the agent writes ahead of the decision, in that very round."""
    seat = state.seat(agent)
    return state.presenter == agent and seat is not None and seat.round == number


def spoil(state: State) -> Transition:
    """The agent failed at it. It may still be asked when the team has decided."""
    return drop_message(replace(state, spoiled=True))


def adopt(state: State) -> Transition:
    """What the winner has begun is the message."""
    presenter = state.seat(state.presenter or "")
    if presenter is None:
        return Transition(state)
    state = put(state, replace(presenter, standing=Standing.WORKING))
    return Transition(
        replace(state, stage=Stage.PRESENTING, began=False),
        (ReleaseMessage(presenter.agent),),
        (PresentationStarted(agent=presenter.agent),),
    )
