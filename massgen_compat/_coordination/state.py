"""The vocabulary of the coordination: decisions, signals, effects and the state. Values only."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from massgen_compat._coordination.rules import Rules
from massgen_compat._run.turn import Phase
from massgen_compat.events import RunEvent

# Decisions: what the tool calls of a reply say


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a policy does not let a decision count: ``code`` for events, ``text`` for the agent."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """The agent submits an answer; ``objection`` is its policy's, if it has one."""

    content: str
    objection: Objection | None = None


@dataclass(frozen=True, slots=True)
class VoteFor:
    """The agent votes for the answer of ``target``.

    ``target`` is an agent's id, or a text that is the id of no agent if the label was unknown.
    ``verified`` is false for a vote that was read from plain words.
    """

    target: str
    reason: str = ""
    objection: Objection | None = None
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Unusable:
    """A call that is no decision: its arguments are not JSON, or there is no tool of its name."""

    problem: str


Decision: TypeAlias = NewAnswer | VoteFor | Unusable


class Rejection(StrEnum):
    """Why a reply was turned back; the value is the reason in ``SubmissionRejected``."""

    NO_DECISION = "no_decision"
    UNUSABLE = "unusable_call"
    CONTRADICTION = "contradicting_decisions"
    VOTE_TOO_EARLY = "vote_too_early"
    UNKNOWN_AGENT = "unknown_agent"
    EMPTY_ANSWER = "empty_answer"
    OVER_CAP = "answer_over_cap"
    TOO_SIMILAR = "answer_too_similar"
    OBJECTION = "objection"


# Signals: what has happened. Each signal of an agent carries its round; the package says why.


@dataclass(frozen=True, slots=True)
class RunTimer:
    """The timer of the whole run: its deadline."""


@dataclass(frozen=True, slots=True)
class RoundTimer:
    """The timer of one agent's round."""

    agent: str
    round: int


@dataclass(frozen=True, slots=True)
class GraceTimer:
    """The timer of those who have not voted when a majority agrees; ``epoch``: ``State.epoch``."""

    epoch: int


Timer: TypeAlias = RunTimer | RoundTimer | GraceTimer


@dataclass(frozen=True, slots=True)
class Replied:
    """A model call of a draft or an evaluation ended.

    ``text`` is the last text that the agent wrote in the round. ``complete`` is false if the reply
    was cut short (token limit, content filter).
    """

    agent: str
    round: int
    decisions: tuple[Decision, ...] = ()
    text: str = ""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """A model call of the agent failed; ``reason`` says why, in a few words."""

    agent: str
    round: int
    reason: str = "failed"


@dataclass(frozen=True, slots=True)
class Began:
    """The first piece of the presenter's message was told to the client."""

    agent: str
    round: int


@dataclass(frozen=True, slots=True)
class Presented:
    """All messages of the presenter are complete, and have what was asked for."""

    agent: str
    round: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """So many of the presenter's messages lack the format, or the call, that was asked for."""

    agent: str
    round: int
    messages: int


@dataclass(frozen=True, slots=True)
class Elapsed:
    """A timer ran out."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class LimitReached:
    """The run has passed a limit that is counted outside: ``max_tokens`` or ``max_cost``."""

    limit: str


Signal: TypeAlias = Replied | Failed | Began | Presented | Malformed | Elapsed | LimitReached


# Effects: what has to be done


@dataclass(frozen=True, slots=True)
class StartTurn:
    """Ask the agent in a new round: the conversation starts again from its stable part."""

    agent: str
    round: int
    phase: Phase


@dataclass(frozen=True, slots=True)
class CorrectTurn:
    """Tell the agent what was wrong and ask it again, in the same round and conversation.

    ``objection`` is the policy's, if that is the reason, and ``meant`` the decision that it objects
    to. ``last`` says that the next try is the last one of the round.
    """

    agent: str
    round: int
    phase: Phase
    rejection: Rejection
    objection: Objection | None = None
    last: bool = False
    meant: Literal["new_answer", "vote"] | None = None


@dataclass(frozen=True, slots=True)
class ReleaseMessage:
    """Tell the client what the agent wrote ahead of the decision, and then the rest as it comes."""

    agent: str


@dataclass(frozen=True, slots=True)
class CancelTurn:
    """Cancel the agent's model call, if it still goes on."""

    agent: str


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Send ``Elapsed(timer)`` after this time."""

    timer: Timer
    seconds: float


@dataclass(frozen=True, slots=True)
class Complete:
    """The run is over; ``source`` tells what the final message is.

    ``presentation``: what the presenter wrote. ``answer``: the winner's answer as it stands.
    ``cut``: what the presenter had written when the run was stopped. ``unfit``: the presenter's
    messages do not have the format that was asked for; an answer is the message if one has it.
    """

    source: Literal["presentation", "answer", "cut", "unfit"]


@dataclass(frozen=True, slots=True)
class RepairMessages:
    """Ask the presenter once more for the messages that lack what was asked for."""

    agent: str
    round: int


@dataclass(frozen=True, slots=True)
class Abort:
    """The run failed, because there is nothing to answer with; ``limited_by`` names a limit."""

    limited_by: str | None = None


Effect: TypeAlias = (
    StartTurn
    | CorrectTurn
    | RepairMessages
    | ReleaseMessage
    | CancelTurn
    | StartTimer
    | Complete
    | Abort
)


# State


class Stage(StrEnum):
    """The stage of a run."""

    COORDINATING = "coordinating"
    PRESENTING = "presenting"
    DONE = "done"


class Standing(StrEnum):
    """The standing of an agent in a run; the package's docstring has the table of transitions."""

    WORKING = "working"
    WAITING = "waiting"
    VOTED = "voted"
    ABSTAINED = "abstained"
    LEFT = "left"
    RESERVE = "reserve"
    """The agent was not asked yet, because others are asked first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One agent's part of the state.

    ``round`` is the number of its current round, 0 before the first one. ``tries`` counts its
    replies in this round, and ``reminded`` says that one of them had no call. ``answer`` is its
    current answer, ``answers`` how many it has given in the run, and ``vote`` its vote on the
    current answers.
    """

    agent: str
    standing: Standing = Standing.WAITING
    round: int = 0
    tries: int = 0
    reminded: bool = False
    answers: int = 0
    answer: str | None = None
    vote: VoteFor | None = None

    @property
    def living(self) -> bool:
        """Whether the agent takes part: it was asked, and has not left."""
        return self.standing not in {Standing.LEFT, Standing.RESERVE}

    @property
    def phase(self) -> Phase:
        """What the agent works on if it works while coordinating: its draft, or an evaluation."""
        return Phase.DRAFT if self.answer is None else Phase.EVALUATE


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A run at one moment: a value that can be compared and hashed.

    ``members``: in the order of the rules, which breaks ties.
    ``calls``: model calls so far, those that the last transition starts included.
    ``epoch``: how often votes were voided. ``grace``: the grace timer of this epoch was started.
    ``winner``: set by the decision. ``presenter``: who writes the message; while the team still
    coordinates it writes ahead of the decision.
    ``ahead_failed``: an agent that wrote ahead failed, so nobody does before the votes change.
    ``began``: the client has a part of the message. ``repaired``: the run's one repair is used up.
    ``limited_by``: the limit that ended the run, or keeps it from going on.
    """

    rules: Rules
    members: tuple[Member, ...]
    stage: Stage = Stage.COORDINATING
    calls: int = 0
    epoch: int = 0
    grace: bool = False
    winner: str | None = None
    presenter: str | None = None
    ahead_failed: bool = False
    began: bool = False
    repaired: bool = False
    limited_by: str | None = None

    def member(self, agent: str) -> Member | None:
        """Return the member of the agent; ``None`` if there is no agent with this id."""
        return next((member for member in self.members if member.agent == agent), None)

    @property
    def living(self) -> tuple[Member, ...]:
        """The members that were asked and have not left."""
        return tuple(member for member in self.members if member.living)

    @property
    def reserves(self) -> tuple[Member, ...]:
        """The members that are asked only if those who were asked first disagree."""
        return tuple(member for member in self.members if member.standing is Standing.RESERVE)

    @property
    def votes_needed(self) -> int:
        """How many votes for one answer are agreement: a strict majority of the living.

        While only some agents were asked, all of them have to agree if the rules say so.
        """
        if self.reserves and self.rules.until == "unanimous":
            return len(self.living)
        return len(self.living) // 2 + 1

    @property
    def answered(self) -> tuple[Member, ...]:
        """The members with an answer, also those that have left."""
        return tuple(member for member in self.members if member.answer is not None)

    def may_answer(self, member: Member) -> bool:
        """Tell whether the agent may submit another answer.

        Its first one is always allowed. So is any answer while the others were not asked yet,
        because a new answer is how those who were asked first disagree.
        """
        rules = self.rules
        if member.answers == 0 or self.reserves:
            return True
        slowest = min((other.answers for other in self.living), default=0)
        total = sum(other.answers for other in self.members)
        return (
            member.answers < rules.max_answers
            and (rules.max_answers_global is None or total < rules.max_answers_global)
            and (rules.lead_cap is None or member.answers - slowest < rules.lead_cap)
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """What a signal leads to: the next state, what has to be done, and what observers are told."""

    state: State
    effects: tuple[Effect, ...] = ()
    events: tuple[RunEvent, ...] = ()

    def then(self, go_on: "Callable[[State], Transition]") -> "Transition":
        """Return this transition followed by the one that ``go_on`` makes from its state."""
        other = go_on(self.state)
        return Transition(other.state, self.effects + other.effects, self.events + other.events)


def label(rules: Rules, agent: str) -> str:
    """Return the anonymous name under which the agents see this agent's answer: ``agent1``, …

    It is the same for the whole run. Agents are anonymous to each other: they never see ids.
    """
    return f"agent{rules.agents.index(agent) + 1}"
