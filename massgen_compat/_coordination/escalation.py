"""Escalation: some agents are asked first, and the others on disagreement only. Pure.

Those who were asked first draft, evaluate and vote by the ordinary rules; one that is alone reviews
its own draft. Agreement is a verified vote of each of them, or of a strict majority, for the same
answer. A new answer, votes that can no longer agree, or an agent that leaves is disagreement, and
is acted on at once: the votes are void, the others join, draft on their own as everybody does, and
then all evaluate.
"""

from collections import Counter
from dataclasses import replace

from massgen_compat._coordination.members import join, void_votes
from massgen_compat._coordination.message import stop
from massgen_compat._coordination.state import Standing, State, Transition
from massgen_compat.events import Disagreement, TeamCalled


def disagreement(state: State) -> Disagreement | None:
    """Why the agents in reserve have to be asked, as soon as that is certain."""
    if not state.reserves:
        return None
    asked = [member for member in state.members if member.agent in state.rules.first]
    if not all(member.living for member in asked):
        return "left"
    if any(member.answers > 1 for member in asked):
        return "new_answer"
    undecided = sum(member.standing in {Standing.WORKING, Standing.WAITING} for member in asked)
    return "votes" if agreeing(state) + undecided < state.votes_needed else None


def agreeing(state: State) -> int:
    """The votes of the answer that leads; before the others have joined, verified ones only."""
    votes = [member.vote for member in state.members if member.vote]
    counted = (vote for vote in votes if not (state.reserves and vote.objection))
    return max(Counter(vote.target for vote in counted).values(), default=0)


def call_team(state: State, reason: Disagreement) -> Transition:
    """The others join. Where the limit has no room for them, what there is decides."""
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
    """Everybody in reserve who is not asked first."""
    first = state.rules.first or state.rules.agents
    members = tuple(
        member if member.agent in first else replace(member, standing=Standing.RESERVE)
        for member in state.members
    )
    return replace(state, members=members)
