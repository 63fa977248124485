"""What happens to the members in a transition: they start, wait, leave; votes are counted. Pure."""

from dataclasses import replace

from massgen_compat._coordination.ballots import Reading, count
from massgen_compat._coordination.state import (
    CancelTurn,
    Effect,
    Member,
    RoundTimer,
    Standing,
    StartTimer,
    StartTurn,
    State,
    Transition,
)
from massgen_compat._run.turn import Phase
from massgen_compat.events import AgentLeft, SpeculationDropped, TurnStarted


def ranked(state: State) -> tuple[tuple[str, int], ...]:
    """List the agents that have an answer, with their number of votes.

    Most votes come first; agents with as many votes are in the order of the config.
    """
    votes = (member.vote for member in state.members)
    counted = count(
        [member.agent for member in state.answered],
        [Reading(vote.target, {}) for vote in votes if vote],
        ballot="single",
    )
    return tuple((agent, counted.votes[agent]) for agent in counted.order)


def answers_by_rank(state: State) -> tuple[str, ...]:
    """List the texts of the current answers in the order of ``ranked``."""
    answers = {member.agent: member.answer or "" for member in state.answered}
    return tuple(answers[agent] for agent, _ in ranked(state))


def working(state: State, agent: str, number: int) -> Member | None:
    """Return the member of the agent if it is working, and in this round; else ``None``."""
    member = state.member(agent)
    if member and member.standing is Standing.WORKING and member.round == number:
        return member
    return None


def void_votes(state: State) -> Transition:
    """Make all votes void, because there is a new answer, or new agents join.

    Members that have decided wait for another round. Evaluations that go on are cancelled, and so
    is a message that was begun ahead of the decision. Drafts go on.
    """
    effects: list[Effect] = []
    members: list[Member] = []
    for member in state.members:
        evaluating = member.standing is Standing.WORKING and member.phase is Phase.EVALUATE
        if evaluating:
            effects.append(CancelTurn(member.agent))
        decided = member.standing in {Standing.VOTED, Standing.ABSTAINED}
        standing = Standing.WAITING if evaluating or decided else member.standing
        members.append(replace(member, standing=standing, vote=None))
    state = replace(
        state, members=tuple(members), epoch=state.epoch + 1, grace=False, ahead_failed=False
    )
    return Transition(state, tuple(effects)).then(drop_message)


def drop_message(state: State) -> Transition:
    """Cancel the message that an agent is writing ahead of the decision, if one is."""
    writer = state.presenter
    if writer is None:
        return Transition(state)
    dropped = SpeculationDropped(agent=writer)
    return Transition(replace(state, presenter=None), (CancelTurn(writer),), (dropped,))


def join(state: State, agent: str) -> Transition:
    """Start the draft of an agent; without a call left for it the agent leaves."""
    member = Member(agent=agent)
    if state.calls < state.rules.call_limit:
        return start(state, member, Phase.DRAFT)
    return leave(replace(state, limited_by="max_calls"), member, "max_calls")


def start(state: State, member: Member, phase: Phase) -> Transition:
    """Start the next round of an agent."""
    rules = state.rules
    number = member.round + 1
    member = replace(member, standing=Standing.WORKING, round=number, tries=0, reminded=False)
    effects: tuple[Effect, ...] = (StartTurn(member.agent, number, phase),)
    # A message has no round timer: the run's deadline bounds it, and keeps what was written.
    seconds = rules.first_round_seconds if number == 1 else rules.later_round_seconds
    if seconds is not None and phase is not Phase.PRESENT:
        effects += (StartTimer(RoundTimer(member.agent, number), seconds),)
    calls = rules.presentations if phase is Phase.PRESENT else 1
    state = replace(put(state, member), calls=state.calls + calls)
    return Transition(state, effects, (TurnStarted(agent=member.agent, round=number, phase=phase),))


def leave(state: State, member: Member, reason: str) -> Transition:
    """Take the agent out of the run for good. An answer that it gave stays and can win."""
    left = replace(member, standing=Standing.LEFT)
    event = AgentLeft(agent=member.agent, round=member.round, reason=reason)
    return Transition(put(state, left), (), (event,))


def cancel_all(state: State) -> Transition:
    """Cancel the turns of all members that are working."""
    working = [member for member in state.members if member.standing is Standing.WORKING]
    for member in working:
        state = put(state, replace(member, standing=Standing.WAITING))
    return Transition(state, tuple(CancelTurn(member.agent) for member in working))


def put(state: State, member: Member) -> State:
    """Return the state with this member in the place of the one of the same agent."""
    members = tuple(member if other.agent == member.agent else other for other in state.members)
    return replace(state, members=members)
