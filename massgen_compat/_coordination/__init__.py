"""The rules by which a team comes to a decision, and nothing else.

``begin`` and ``step`` are pure and total: no await, clock, random or logging; time arrives as a
signal, and a signal that makes no sense changes nothing. Whoever drives them does the effects,
waits for a signal and calls ``step`` again. The rules follow MassGen's coordination; where they
differ (rounds instead of restart flags, independent drafts, a cap on answers), the reason stands
beside the rule.

An agent's *round* is one stretch of work that ends in a decision; everything that an agent says
carries its round, and what comes from an older round is ignored.
"""

from massgen_compat._coordination.members import answers_by_rank, ranked
from massgen_compat._coordination.rules import TRIES_PER_ROUND, Rules, call_bound
from massgen_compat._coordination.state import (
    Abort,
    Began,
    CancelTurn,
    Complete,
    CorrectTurn,
    Decision,
    Effect,
    Elapsed,
    Failed,
    GraceTimer,
    LimitReached,
    Malformed,
    Member,
    NewAnswer,
    Objection,
    Presented,
    Rejection,
    ReleaseMessage,
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
    Timer,
    Transition,
    Unusable,
    VoteFor,
    label,
)
from massgen_compat._coordination.step import CallEffect, begin, calls_of, step, stop_before

__all__ = [
    "TRIES_PER_ROUND",
    "Abort",
    "Began",
    "CallEffect",
    "CancelTurn",
    "Complete",
    "CorrectTurn",
    "Decision",
    "Effect",
    "Elapsed",
    "Failed",
    "GraceTimer",
    "LimitReached",
    "Malformed",
    "Member",
    "NewAnswer",
    "Objection",
    "Presented",
    "Rejection",
    "ReleaseMessage",
    "RepairMessages",
    "Replied",
    "RoundTimer",
    "Rules",
    "RunTimer",
    "Signal",
    "Stage",
    "Standing",
    "StartTimer",
    "StartTurn",
    "State",
    "Timer",
    "Transition",
    "Unusable",
    "VoteFor",
    "answers_by_rank",
    "begin",
    "call_bound",
    "calls_of",
    "label",
    "ranked",
    "step",
    "stop_before",
]
