"""The agents' parts of a transition: they start, leave, are cancelled and counted. Pure."""

from dataclasses import replace

from massgen_compat._coordination.state import (
    CancelTurn,
    Effect,
    RoundTimer,
    Seat,
    Standing,
    StartTimer,
    StartTurn,
    State,
    Transition,
)
from massgen_compat._run.turn import Phase
from massgen_compat.events import AgentLeft, SpeculationDropped, TurnStarted


def tally(state: State) -> tuple[tuple[str, int], ...]:
    """The agents with an answer and their votes: most votes first, ties in the config's order."""
    targets = [seat.vote.target for seat in state.seats if seat.vote]
    counted = [(seat.agent, targets.count(seat.agent)) for seat in state.answered]
    return tuple(sorted(counted, key=lambda row: -row[1]))


def answers_by_rank(state: State) -> tuple[str, ...]:
    """The current answers, the one with the most votes first."""
    answers = {seat.agent: seat.answer or "" for seat in state.answered}
    return tuple(answers[agent] for agent, _ in tally(state))


def working(state: State, agent: str, number: int) -> Seat | None:
    """The agent's seat, if it is at work in that very round."""
    seat = state.seat(agent)
    if seat and seat.standing is Standing.WORKING and seat.round == number:
        return seat
    return None


def void_votes(state: State) -> Transition:
    """Whoever has decided waits for another round, and evaluations that go on are cancelled."""
    effects: list[Effect] = []
    seats: list[Seat] = []
    for seat in state.seats:
        evaluating = seat.standing is Standing.WORKING and seat.phase is Phase.EVALUATE
        if evaluating:
            effects.append(CancelTurn(seat.agent))
        decided = seat.standing in {Standing.VOTED, Standing.ABSTAINED}
        standing = Standing.WAITING if evaluating or decided else seat.standing
        seats.append(replace(seat, standing=standing, vote=None))
    state = replace(state, seats=tuple(seats), epoch=state.epoch + 1, grace=False, spoiled=False)
    return Transition(state, tuple(effects)).then(drop_message)


def drop_message(state: State) -> Transition:
    """What is being written ahead of the decision is not the message."""
    writer = state.presenter
    if writer is None:
        return Transition(state)
    dropped = SpeculationDropped(agent=writer)
    return Transition(replace(state, presenter=None), (CancelTurn(writer),), (dropped,))


def join(state: State, agent: str) -> Transition:
    """The agent begins with its draft, or leaves where there is no call for it."""
    seat = Seat(agent=agent)
    if state.calls < state.rules.call_limit:
        return start(state, seat, Phase.DRAFT)
    return leave(replace(state, limited_by="max_calls"), seat, "max_calls")


def start(state: State, seat: Seat, phase: Phase) -> Transition:
    """The agent begins a round."""
    rules = state.rules
    number = seat.round + 1
    seat = replace(seat, standing=Standing.WORKING, round=number, tries=0, nudged=False)
    effects: tuple[Effect, ...] = (StartTurn(seat.agent, number, phase),)
    seconds = rules.first_round_seconds if number == 1 else rules.later_round_seconds
    if seconds is not None and phase is not Phase.PRESENT:
        effects += (StartTimer(RoundTimer(seat.agent, number), seconds),)
    calls = rules.presentations if phase is Phase.PRESENT else 1
    state = replace(put(state, seat), calls=state.calls + calls)
    return Transition(state, effects, (TurnStarted(agent=seat.agent, round=number, phase=phase),))


def leave(state: State, seat: Seat, reason: str) -> Transition:
    """The agent is out; an answer that it gave stays and can win."""
    left = replace(seat, standing=Standing.LEFT)
    event = AgentLeft(agent=seat.agent, round=seat.round, reason=reason)
    return Transition(put(state, left), (), (event,))


def cancel_all(state: State) -> Transition:
    """Nobody works any longer."""
    working = [seat for seat in state.seats if seat.standing is Standing.WORKING]
    for seat in working:
        state = put(state, replace(seat, standing=Standing.WAITING))
    return Transition(state, tuple(CancelTurn(seat.agent) for seat in working))


def put(state: State, seat: Seat) -> State:
    """The state with this seat in the place of the agent's."""
    seats = tuple(seat if other.agent == seat.agent else other for other in state.seats)
    return replace(state, seats=seats)
