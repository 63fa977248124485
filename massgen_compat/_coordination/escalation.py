"""Escalation: some agents are asked first, and the others on disagreement only. Pure.

The agents that are asked first draft, evaluate and vote by the ordinary rules; one that is alone
reviews its own draft. They agree if each of them, or a strict majority, gives a verified vote for
the same answer. They disagree as soon as one of them gives a new answer, one of them leaves, or
their votes can no longer agree. Then the votes are void, the others join and draft on their own, as
everybody does, and then all evaluate (``docs/costs.md``, "Ask one agent first").
"""

from collections import Counter
from dataclasses import replace

from massgen_compat._coordination.members import join, void_votes
from massgen_compat._coordination.message import stop
from massgen_compat._coordination.state import Standing, State, Transition
from massgen_compat.events import Disagreement, TeamCalled


def disagreement(state: State) -> Disagreement | None:
    """Return why the agents in reserve have to be asked; ``None`` while they do not have to be."""
    if not state.reserves:
        return None
    asked = [member for member in state.members if member.agent in state.rules.first]
    if not all(member.living for member in asked):
        return "left"
    if any(member.answers > 1 for member in asked):
        return "new_answer"
    # The votes that may still come count as agreement, so that nobody is asked too early.
    undecided = sum(member.standing in {Standing.WORKING, Standing.WAITING} for member in asked)
    return "votes" if agreeing(state) + undecided < state.votes_needed else None


def agreeing(state: State) -> int:
    """Count the votes for the answer that has most; before the others join, verified ones only."""
    votes = [member.vote for member in state.members if member.vote]
    counted = (vote for vote in votes if not (state.reserves and vote.objection))
    return max(Counter(vote.target for vote in counted).values(), default=0)


def call_team(state: State, reason: Disagreement) -> Transition:
    """Let the others join, or stop the run if there is an answer and not a call for each of them.

    Without any answer as many join as there are calls; the rest leave.
    """
    reserves = [member.agent for member in state.reserves]
    if state.answered and state.calls + len(reserves) > state.rules.call_limit:
        return stop(state, "max_calls")
    called = void_votes(state).then(
        lambda state: Transition(state, (), (TeamCalled(agents=tuple(reserves), reason=reason),))
    )
    for agent in reserves:
        called = called.then(lambda state, agent=agent: join(state, agent))
    return called


def put_in_reserve(state: State) -> State:
    """Put every agent that is not asked first in reserve."""
    first = state.rules.first or state.rules.agents
    members = tuple(
        member if member.agent in first else replace(member, standing=Standing.RESERVE)
        for member in state.members
    )
    return replace(state, members=members)
