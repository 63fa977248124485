"""Judges a reply: it makes one decision that counts, or is turned back for a reason. Pure."""

import re

from massgen_compat._coordination.state import (
    Decision,
    Member,
    NewAnswer,
    Rejection,
    Replied,
    State,
    Unusable,
    VoteFor,
)
from massgen_compat._run.turn import Phase


def verdict_on(state: State, member: Member, reply: Replied) -> NewAnswer | VoteFor | Rejection:
    """Return the one decision that a reply makes, or why none of its calls counts.

    Several equal decisions count as one; decisions that contradict each other do not count. The
    objection of a policy stays in the decision: the caller decides what follows from it.
    """
    # A draft that was cut short (token limit, content filter) is not taken as it is: the agent is
    # asked once more for a whole one.
    drafts_by_message = member.phase is Phase.DRAFT and member.agent in state.rules.message_drafts
    if drafts_by_message and reply.complete and not reply.decisions and reply.text.strip():
        return NewAnswer(reply.text)
    distinct: dict[object, Decision] = {}
    for decision in reply.decisions:
        match decision:
            case Unusable():
                return Rejection.UNUSABLE
            case VoteFor(target):
                distinct.setdefault(("vote", target), decision)
            case NewAnswer(content):
                distinct.setdefault(("answer", content), decision)
    match list(distinct.values()):
        case []:
            return Rejection.NO_DECISION
        case [VoteFor() as vote]:
            return _check_vote(state, member, vote)
        case [NewAnswer() as answer]:
            return _check_answer(state, member, answer)
        case _:
            return Rejection.CONTRADICTION


def _check_vote(state: State, member: Member, vote: VoteFor) -> VoteFor | Rejection:
    if member.phase is Phase.DRAFT:
        return Rejection.VOTE_TOO_EARLY
    if vote.target not in {other.agent for other in state.answered}:
        return Rejection.UNKNOWN_AGENT
    return vote


def _check_answer(state: State, member: Member, answer: NewAnswer) -> NewAnswer | Rejection:
    if not answer.content.strip():
        return Rejection.EMPTY_ANSWER
    if not state.may_answer(member):
        return Rejection.OVER_CAP
    # Drafts are independent of each other, so only an answer to known answers can be too similar.
    if member.phase is Phase.EVALUATE and _too_similar(state, answer.content):
        return Rejection.TOO_SIMILAR
    return answer


def _too_similar(state: State, content: str) -> bool:
    """Apply MassGen's ``answer_novelty_requirement``: Jaccard overlap with each current answer."""
    most = state.rules.novelty
    if most is None:
        return False
    words = _words(content)
    return any(
        len(words & other) > most * len(words | other)
        for other in (_words(member.answer or "") for member in state.answered)
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))
