"""The rules of a run: who works on what, which decisions count, and how a run ends.

This page answers "why did agent 2 start again?". ``begin(rules)`` and ``step(state, signal)`` are
pure functions: no await, no clock, no randomness, no log. Each returns a ``Transition``: the next
state, the *effects* that have to be carried out, and the *events* that observers are told. The
driver (``_local/driver.py``) carries out the effects, waits for the next signal and calls ``step``
again. It decides nothing. The rules follow MassGen; where they differ, the reason is given.

Stages and standings
====================

A run is COORDINATING (agents draft, evaluate and vote), then PRESENTING (one agent, the presenter,
writes the final message), then DONE. ``Rules.solo`` starts with PRESENTING, without a winner.
A member, which is one agent's part of the state, has one of these standings:

    RESERVE     not asked yet, because the agents in ``Rules.first`` are asked first
    WORKING     its turn goes on: a draft while it has no answer, an evaluation once it has one
                (while PRESENTING: the presenter writes)
    WAITING     it has nothing to do: its next evaluation has not started, or the team has decided
    VOTED       it voted on the current answers
    ABSTAINED   its evaluation of the current answers ended without a decision
    LEFT        out of the run for good; its answer stays and can win

A member is *living* unless it is in RESERVE or has LEFT. Majorities are counted among the living.

Why there are rounds
====================

A round is the work of one agent up to one decision. Each agent counts its own rounds: 1 is its
draft, and each evaluation, and the message, has the next number. Every signal of an agent carries
the number, and a signal of another round than the current one is ignored. This is needed because
agents work at the same time: a vote can already be in the queue when a peer's new answer makes it
worthless, and to cancel a call does not take back what it has sent. MassGen sets a restart flag on
an agent instead; a number needs nobody who resets it.

Why did an agent start again?
=============================

- A peer (or the agent itself) gave an answer: ``Answered``, then ``TurnStarted`` of the next round.
- Its reply did not count: ``SubmissionRejected``. It is asked again in the same round.
- Those who were asked first disagreed: ``TeamCalled``. All evaluate anew after the new drafts.
- It has to write the message: ``PresentationStarted``. It won, or those before it in rank LEFT.
- Its message lacks the format or the call that was asked for: once a run, in the same round.

**An accepted answer voids all votes**, because a vote compares answers, and now there are others.
``Answered`` says so, and ``VotesVoided`` if there was a vote:

    VOTED, ABSTAINED            -> WAITING, without its vote
    WORKING on an evaluation    -> WAITING, ``CancelTurn``: it reads answers that are out of date
    WORKING on a draft          goes on: a draft does not depend on what the peers have written
    LEFT, RESERVE               stay as they are
    a message begun ahead       ``CancelTurn``; ``SpeculationDropped``

``epoch`` goes up by one, so that a grace timer of the old votes means nothing any more. Then the
team settles (below), and everybody who is WAITING starts again, the author of the answer included.

Transitions while COORDINATING
==============================

A signal of an agent counts only in the agent's current round, and only in the standings below.
After the arrow: the new standing, then effects; then events.

    WORKING on a draft
      Replied: an answer          -> WAITING, all votes void; Answered, VotesVoided
      Replied: anything else      -> WORKING, CorrectTurn; SubmissionRejected
        in the round's last try   -> the text that it wrote counts as its answer, as above;
                                     without text -> LEFT; AgentLeft
      Failed                      -> LEFT; AgentLeft
      Elapsed(RoundTimer)         -> LEFT, CancelTurn; AgentLeft
    WORKING on an evaluation
      Replied: a vote             -> VOTED; VoteCast
      Replied: an answer          -> WAITING, all votes void; Answered, VotesVoided
      Replied: anything else      -> WORKING, CorrectTurn; SubmissionRejected
        in the round's last try   -> ABSTAINED; Abstained
      Failed                      -> LEFT; AgentLeft
      Elapsed(RoundTimer)         -> ABSTAINED, CancelTurn; Abstained
    VOTED, and it writes the message ahead of the decision (``Rules.speculate``)
      Failed                      -> VOTED, CancelTurn; SpeculationDropped
    any standing
      Elapsed(GraceTimer)         -> the team decides, if the timer is of the current epoch
      Elapsed(RunTimer), LimitReached -> the run stops
      anything else               nothing changes

``judging.py`` says which replies count. The last try of a round is the third reply, the second one
without any tool call, or any reply when ``max_calls`` is used up. A decision that a policy objects
to is turned back, too; in the last try it counts as unverified, unless ``waive_objections`` is off.

Once a member that was WORKING has moved, the team settles. The first line that is true applies:

    1. those asked first disagree  -> all votes void; TeamCalled; RESERVE -> WORKING, StartTurn;
                                      TurnStarted (without calls left: the run stops; or, while
                                      nobody has an answer, RESERVE -> LEFT)
    2. nobody has an answer        -> wait while anybody is living, else Abort
    3. all living have VOTED or ABSTAINED -> the team decides
    4. votes are off (``skip_voting``), or there is one answer, nobody drafts and nobody is in
       RESERVE                     -> wait while anybody drafts, then the team decides
    5. anybody is WAITING, and evaluation may start -> all WAITING -> WORKING, StartTurn;
                                      TurnStarted (without calls for all of them: the run stops)
    6. a strict majority agrees    -> StartTimer(GraceTimer), once an epoch; with ``speculate`` the
                                      leader, if VOTED, begins the message: StartTurn;
                                      SpeculationStarted, TurnStarted

Evaluation may start when nobody drafts any more: each draft that came later would void it. In
MassGen's eager order (``defer_voting`` off) it starts with the second answer. One that was asked
first and is alone reviews its own draft. The grace timer bounds how long a slow agent can hold up a
decision that only a new answer could still change.

**The team decides**: most votes win, and a tie goes to the earlier agent of the config;
WinnerChosen. Turns that go on get CancelTurn. Then the winner presents, or, with ``winner_reuse``
or after a limit, its answer is the message: Complete("answer"). A message that the winner has begun
ahead is adopted: ReleaseMessage; PresentationStarted. One that another agent has begun is dropped.

Transitions while PRESENTING
============================

The presenter is the winner or, if it has LEFT, the next in rank that is living (``solo``: the next
in the config). Without calls left for it the winner's answer is the message; RunLimited. Signals
count if they are of the presenter's current round:

      Began                       -> from now on nobody else can present: the client has read a part
      Presented                   -> DONE, Complete("presentation")
      Malformed, first time       -> RepairMessages
      Malformed, again            -> DONE, Complete("unfit"): an answer might have the format
                                     (the same without calls left)
      Failed before Began         -> LEFT, StartTurn of the next in rank; AgentLeft,
                                     PresentationStarted, TurnStarted (nobody is living: DONE,
                                     Complete("answer"), or Abort where there is no winner)
      Failed after Began          -> LEFT, DONE, Abort; AgentLeft

Limits
======

At a limit nothing new starts, and an answer is never lost. When a run *stops* (its deadline, or a
limit that the driver counts), turns get CancelTurn, and the run ends with what there is. While
COORDINATING the team decides, and the winner's answer is the message; without any answer: Abort.
While PRESENTING: after Began the message as far as it was written, Complete("cut"); before it the
winner's answer, Complete("answer"), RunLimited. ``max_calls`` is counted here, before each
StartTurn, CorrectTurn and RepairMessages, and is never exceeded. Tokens and cost are counted by the
driver: ``stop_before`` takes the calls that no longer fit out of a transition, and stops the run.
An answer or a vote that the signal brought still counts.

Totality
========

``step`` accepts every signal in every state. What makes no sense there (an old round, a late timer,
anything after DONE) returns the same state without effects or events. So the driver checks nothing.
``tests/coordination/test_walk.py`` visits all states of small teams: every run ends, decides at
most once, and has exactly one Complete or Abort.
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
