"""What happens during a run, as it happens: a closed union of frozen events, and their JSON form.

A consumer matches on the class (or on ``type``) and ends in ``assert_never``. New event types may
appear in minor releases. A run ends with exactly one ``RunCompleted``, or its iterator raises a
``MassGenError``. No I/O here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias, TypeVar

from massgen_compat._run.message import Json
from massgen_compat._run.result import RunResult, Usage
from massgen_compat._run.turn import Phase

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Detail: TypeAlias = Literal["status", "full"]
"""How much is told: only with ``full`` there are ``AgentText`` and ``AgentReasoning``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The run was admitted; no upstream has been asked yet."""

    type: Literal["run_started"] = "run_started"
    run_id: str
    team: str
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAsked:
    """``agents`` are asked first; the ``others`` are called only if these disagree."""

    type: Literal["first_asked"] = "first_asked"
    agents: tuple[str, ...]
    others: tuple[str, ...]


Disagreement: TypeAlias = Literal["new_answer", "votes", "left"]
"""Why the others are called: one of those asked first answered anew, their votes do not agree, or
one of them left the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamCalled:
    """Those who were asked first disagree: the other ``agents`` join, and votes so far are void."""

    type: Literal["team_called"] = "team_called"
    agents: tuple[str, ...]
    reason: Disagreement


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    """An agent starts a turn: it drafts, evaluates or presents."""

    type: Literal["turn_started"] = "turn_started"
    agent: str
    round: int
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentText:
    """A piece of what an agent writes in a draft or an evaluation (detail ``full`` only)."""

    type: Literal["agent_text"] = "agent_text"
    agent: str
    round: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReasoning:
    """A piece of a model's visible reasoning, in any turn (detail ``full`` only)."""

    type: Literal["agent_reasoning"] = "agent_reasoning"
    agent: str
    round: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedToolCalled:
    """An agent's provider ran a tool of its own, e.g. ``web_search_call``."""

    type: Literal["hosted_tool_called"] = "hosted_tool_called"
    agent: str
    round: int
    tool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParametersDropped:
    """An agent's requests are sent without parameters that were asked for.

    Its model would answer 400 to them, or its backend's API has no place for them. Each is told
    once for each agent of a run.
    """

    type: Literal["parameters_dropped"] = "parameters_dropped"
    agent: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinished:
    """A model call came to its end. ``usage`` is ``None`` where the provider reported none.

    ``model`` and ``effort`` are what the provider says it used, ``effort_asked`` what it was asked.
    """

    type: Literal["turn_finished"] = "turn_finished"
    agent: str
    round: int
    phase: Phase
    usage: Usage | None
    model: str | None
    effort: str | None
    effort_asked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer was accepted; it is the agent's ``number``-th.

    ``verified`` is false where the agent's policy still objected in the last try of the round.
    """

    type: Literal["answered"] = "answered"
    agent: str
    label: str
    round: int
    number: int
    content: str
    verified: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteCast:
    """A vote was counted; ``verified`` as in ``Answered``."""

    type: Literal["vote_cast"] = "vote_cast"
    voter: str
    target: str
    round: int
    reason: str
    verified: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstained:
    """An agent decided nothing in this round."""

    type: Literal["abstained"] = "abstained"
    agent: str
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VotesVoided:
    """A new answer made the votes so far worthless; everybody evaluates again."""

    type: Literal["votes_voided"] = "votes_voided"
    votes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRejected:
    """A decision was turned back; ``attempt`` counts the agent's tries in this round from 1."""

    type: Literal["submission_rejected"] = "submission_rejected"
    agent: str
    round: int
    reason: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLeft:
    """An agent is out of the run; its answer, if it gave one, stays."""

    type: Literal["agent_left"] = "agent_left"
    agent: str
    round: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationStarted:
    """The agent that a majority agrees on begins the message while the others finish."""

    type: Literal["speculation_started"] = "speculation_started"
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationDropped:
    """What the agent had begun is not the message: its call was aborted, or failed."""

    type: Literal["speculation_dropped"] = "speculation_dropped"
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WinnerChosen:
    """The team decided. ``votes`` holds every agent with an answer, in rank order."""

    type: Literal["winner_chosen"] = "winner_chosen"
    winner: str
    votes: tuple[tuple[str, int], ...]
    limited_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimited:
    """A limit ended the run after its winner was chosen: the winning answer is the message."""

    type: Literal["run_limited"] = "run_limited"
    limit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentationStarted:
    """An agent was asked for the final message."""

    type: Literal["presentation_started"] = "presentation_started"
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageText:
    """A piece of a final message; ``choice`` is the message's number, from 0.

    ``logprobs`` are those of the tokens, where they were asked for and the provider has them.
    """

    type: Literal["message_text"] = "message_text"
    text: str
    choice: int = 0
    logprobs: tuple[Json, ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefusal:
    """A piece of the final message's refusal."""

    type: Literal["message_refusal"] = "message_refusal"
    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageToolCall:
    """A fragment of a client tool call; ``id`` and ``name`` stand in its first fragment only.

    ``custom``: it is a custom tool's, and the arguments are free text.
    """

    type: Literal["message_tool_call"] = "message_tool_call"
    index: int
    arguments: str
    id: str | None = None
    name: str | None = None
    custom: bool = False
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompleted:
    """The last event of a run that succeeded."""

    type: Literal["run_completed"] = "run_completed"
    result: RunResult


RunEvent: TypeAlias = (
    RunStarted
    | FirstAsked
    | TeamCalled
    | TurnStarted
    | AgentText
    | AgentReasoning
    | HostedToolCalled
    | ParametersDropped
    | TurnFinished
    | Answered
    | VoteCast
    | Abstained
    | VotesVoided
    | SubmissionRejected
    | AgentLeft
    | SpeculationStarted
    | SpeculationDropped
    | WinnerChosen
    | RunLimited
    | PresentationStarted
    | MessageText
    | MessageRefusal
    | MessageToolCall
    | RunCompleted
)
"""Any of the events above; match on the class or on ``type``."""


ToldT_contra = TypeVar("ToldT_contra", contravariant=True)


class Sink(Protocol[ToldT_contra]):
    """Whoever is told things, one after the other."""

    async def send(self, item: ToldT_contra, /) -> None:
        """Tell something; waits while the one who is told is behind."""
        ...

    def widen(self) -> None:
        """Wait no more: who tells has little left to say, and no time."""
        ...


def to_json(event: RunEvent, *, run_id: str, time: float) -> dict[str, Any]:
    """The event as a JSON object, to be kept, sent or read by another program.

    It has the event's own fields under their names (tuples are arrays, ``None`` is ``null``), its
    ``type``, the ``run_id``, and ``time``, in seconds since 1970 (UTC). Fields are never renamed or
    removed in a minor release; there may be new ones.
    """
    told: dict[str, Any] = _adapter().dump_python(event, mode="json")
    return {"type": told["type"], "run_id": run_id, "time": time, **told}


def from_json(data: Mapping[str, Any]) -> RunEvent:
    """The event that ``to_json`` has written; members that this version does not know are left out.

    Raises ``ValueError`` for a type that this version does not know, and for fields that are
    missing or wrong.
    """
    return _adapter().validate_python(data)


@cache
def _adapter() -> "TypeAdapter[RunEvent]":
    """Made where it is needed: a program that builds a team does not wait for pydantic."""
    from pydantic import Field, TypeAdapter  # noqa: PLC0415

    return TypeAdapter(Annotated[RunEvent, Field(discriminator="type")])
