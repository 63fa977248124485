"""What the coordination speaks of: decisions, signals, effects, state. Values only."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from massgen_compat._coordination.rules import Rules
from massgen_compat._run.turn import Phase
from massgen_compat.events import RunEvent

# What agents decide


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a policy does not let a decision count as it is: a code, and what the agent is told."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """The agent submits an answer."""

    content: str
    objection: Objection | None = None


@dataclass(frozen=True, slots=True)
class VoteFor:
    """The agent votes; ``target`` is an agent's id, or whatever else it wrote."""

    target: str
    reason: str = ""
    objection: Objection | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """A call that is no decision: arguments that are not JSON, a tool that was not offered."""

    problem: str


Decision: TypeAlias = NewAnswer | VoteFor | Unusable


class Rejection(StrEnum):
    """Why a reply was turned back."""

    NO_DECISION = "no_decision"
    UNUSABLE = "unusable_call"
    CONTRADICTION = "contradicting_decisions"
    VOTE_TOO_EARLY = "vote_too_early"
    UNKNOWN_AGENT = "unknown_agent"
    EMPTY_ANSWER = "empty_answer"
    OVER_CAP = "answer_over_cap"
    TOO_SIMILAR = "answer_too_similar"
    OBJECTION = "objection"


# Signals: what has happened


@dataclass(frozen=True, slots=True)
class RunTimer:
    """The run's deadline."""


@dataclass(frozen=True, slots=True)
class RoundTimer:
    """The time of one agent's round."""

    agent: str
    round: int


@dataclass(frozen=True, slots=True)
class GraceTimer:
    """The time left for stragglers once a majority agrees; ``epoch`` counts voided votes."""

    epoch: int


Timer: TypeAlias = RunTimer | RoundTimer | GraceTimer


@dataclass(frozen=True, slots=True)
class Replied:
    """A turn of a draft or an evaluation ended; ``text`` is what the agent wrote in the round.

    ``complete`` is false where the reply was cut short (token limit, content filter).
    """

    agent: str
    round: int
    decisions: tuple[Decision, ...] = ()
    text: str = ""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """An agent's model cannot go on."""

    agent: str
    round: int
    reason: str = "failed"


@dataclass(frozen=True, slots=True)
class Began:
    """The presenter's first token is there."""

    agent: str
    round: int


@dataclass(frozen=True, slots=True)
class Presented:
    """The presenter's message is complete."""

    agent: str
    round: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """So many of the presenter's messages do not have the format that was asked for."""

    agent: str
    round: int
    messages: int


@dataclass(frozen=True, slots=True)
class Elapsed:
    """A timer ran out."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A limit that is counted outside, e.g. ``max_tokens``."""

    limit: str


Signal: TypeAlias = Replied | Failed | Began | Presented | Malformed | Elapsed | LimitReached


# Effects: what has to be done


@dataclass(frozen=True, slots=True)
class StartTurn:
    """Ask the agent, with a fresh conversation."""

    agent: str
    round: int
    phase: Phase


@dataclass(frozen=True, slots=True)
class CorrectTurn:
    """Tell the agent what was wrong and ask it again, in the same conversation.

    ``objection`` is a policy's, if that was the reason. ``last`` says that the next try is the
    round's last one, ``meant`` which decision the agent was trying to make.
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
    """Tell what the agent has written ahead of the decision, and what follows as it comes."""

    agent: str


@dataclass(frozen=True, slots=True)
class CancelTurn:
    """Abort the agent's call."""

    agent: str


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Send ``Elapsed(timer)`` after so many seconds."""

    timer: Timer
    seconds: float


@dataclass(frozen=True, slots=True)
class Complete:
    """The run is over. ``source`` tells what the final message is.

    ``presentation``: what the presenter wrote; ``answer``: the winner's answer as it stands;
    ``cut``: what the presenter had written when time ran out; ``unfit``: nothing that the presenter
    wrote has the format that was asked for, but an answer might.
    """

    source: Literal["presentation", "answer", "cut", "unfit"]


@dataclass(frozen=True, slots=True)
class RepairMessages:
    """Ask the presenter once more for the messages that lack the format."""

    agent: str
    round: int


@dataclass(frozen=True, slots=True)
class Abort:
    """The run failed: there is nothing to answer with."""

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
    """Where a run stands."""

    COORDINATING = "coordinating"
    PRESENTING = "presenting"
    DONE = "done"


class Standing(StrEnum):
    """Where an agent stands in the coordination."""

    WORKING = "working"
    WAITING = "waiting"
    VOTED = "voted"
    ABSTAINED = "abstained"
    LEFT = "left"
    RESERVE = "reserve"
    """Not asked yet: others were asked first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One agent's part of the state. ``answers`` counts what it has submitted in the run."""

    agent: str
    standing: Standing = Standing.WAITING
    round: int = 0
    tries: int = 0
    nudged: bool = False
    answers: int = 0
    answer: str | None = None
    vote: VoteFor | None = None

    @property
    def living(self) -> bool:
        """Whether the agent is part of the run: it was asked, and has not left."""
        return self.standing not in {Standing.LEFT, Standing.RESERVE}

    @property
    def phase(self) -> Phase:
        """What the agent is working on, if it works: its draft, or an evaluation."""
        return Phase.DRAFT if self.answer is None else Phase.EVALUATE


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A run at one moment: a value, compared and hashed as such.

    A ``presenter`` while the team still coordinates writes ahead of the decision; ``ahead_failed``
    says that one failed at it, so that no other tries before the votes change.
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
        """The agent's member, if it has one."""
        return next((member for member in self.members if member.agent == agent), None)

    @property
    def living(self) -> tuple[Member, ...]:
        """The members of the agents that were asked and have not left."""
        return tuple(member for member in self.members if member.living)

    @property
    def reserves(self) -> tuple[Member, ...]:
        """The members of the agents that are asked only if those who were asked first disagree."""
        return tuple(member for member in self.members if member.standing is Standing.RESERVE)

    @property
    def votes_needed(self) -> int:
        """How many equal votes of the living are agreement."""
        if self.reserves and self.rules.until == "unanimous":
            return len(self.living)
        return len(self.living) // 2 + 1

    @property
    def answered(self) -> tuple[Member, ...]:
        """The members with an answer, those of agents that have left included."""
        return tuple(member for member in self.members if member.answer is not None)

    def may_answer(self, member: Member) -> bool:
        """Whether the agent may submit another answer.

        Its first one is always allowed, and whoever was asked first can always disagree.
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
    """What a step leads to."""

    state: State
    effects: tuple[Effect, ...] = ()
    events: tuple[RunEvent, ...] = ()

    def then(self, go_on: "Callable[[State], Transition]") -> "Transition":
        """This transition followed by the one that ``go_on`` makes from its state."""
        other = go_on(self.state)
        return Transition(other.state, self.effects + other.effects, self.events + other.events)


def label(rules: Rules, agent: str) -> str:
    """The anonymous name under which the others see the agent, the same for the whole run."""
    return f"agent{rules.agents.index(agent) + 1}"
