"""Teams that run through the real core, one by one: who wins, and how many calls it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from massgen_compat._coordination import (
    Failed,
    NewAnswer,
    Replied,
    Rules,
    Signal,
    Stage,
    State,
    VoteFor,
    begin,
    ranked,
    step,
)
from massgen_compat._coordination.ballots import Reading


@dataclass(frozen=True, slots=True)
class Decided:
    """What the core made of a team: its agents with an answer, best first, and the calls."""

    order: tuple[str, ...]
    votes: Mapping[str, int]
    calls: int


# What agents send. These three follow the core's vocabulary; nothing else here knows it.


def rules_of(agents: Sequence[str]) -> Rules:
    """A team that votes once; the answer that wins is the message, so no presenter is called."""
    return Rules(agents=tuple(agents), strategy="winner_reuse")


def drafts(agent: str, number: int) -> Signal:
    """The agent's draft."""
    text = f"The draft of {agent}."
    return Replied(agent, number, (NewAnswer(text),), text)


def votes(agent: str, number: int, reading: Reading) -> Signal:
    """The agent's vote."""
    return Replied(agent, number, (VoteFor(reading.target),))


def decided(
    agents: Sequence[str], answers: Sequence[str], readings: Mapping[str, Reading]
) -> Decided:
    """Play a run: those in ``answers`` draft, those in ``readings`` vote, all others fail."""
    state = begin(rules_of(agents)).state
    for agent in agents:
        number = _round(state, agent)
        state = step(
            state, drafts(agent, number) if agent in answers else Failed(agent, number)
        ).state
    for agent in agents:
        if state.stage is not Stage.COORDINATING:
            break
        number = _round(state, agent)
        reading = readings.get(agent)
        state = step(
            state, votes(agent, number, reading) if reading else Failed(agent, number)
        ).state
    assert state.stage is Stage.DONE, "the run goes on"
    order = ranked(state)
    assert order[0][0] == state.winner, "the first in rank is not the winner"
    return Decided(tuple(agent for agent, _ in order), dict(order), state.calls)


def _round(state: State, agent: str) -> int:
    member = state.member(agent)
    return member.round if member else 0
