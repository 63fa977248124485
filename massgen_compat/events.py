"""The events of a run: what happens in it, in order, as a closed union of frozen values.

A consumer matches on the class (or on ``type``) and ends in ``assert_never``. New types of events
may appear in minor releases. A run ends with exactly one ``RunCompleted``, or its iterator raises a
``MassGenError``. ``to_json`` and ``from_json`` are for programs that keep or send events. No I/O
here.
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
"""How much a run tells. ``AgentText`` and ``AgentReasoning`` exist only with ``full``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The first event of a run. No model has been called yet."""

    type: Literal["run_started"] = "run_started"
    run_id: str
    team: str
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAsked:
    """With escalation: ``agents`` are asked first, the ``others`` only if these disagree."""

    type: Literal["first_asked"] = "first_asked"
    agents: tuple[str, ...]
    others: tuple[str, ...]


Disagreement: TypeAlias = Literal["new_answer", "votes", "left"]
"""Why the other agents are asked: an agent that was asked first gave a new answer, their votes do
not agree, or one of them left the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamCalled:
    """The agents that were asked first disagree: the other ``agents`` join. All votes are void."""

    type: Literal["team_called"] = "team_called"
    agents: tuple[str, ...]
    reason: Disagreement


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    """An agent begins a turn: a draft, an evaluation or the message."""

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
    """An agent's provider ran one of its own tools, such as ``web_search_call``."""

    type: Literal["hosted_tool_called"] = "hosted_tool_called"
    agent: str
    round: int
    tool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParametersDropped:
    """An agent's requests are sent without parameters that were asked for.

    Its model would refuse them with 400, or its backend's API does not have them. In one run there
    is no more than one event for each parameter of an agent.
    """

    type: Literal["parameters_dropped"] = "parameters_dropped"
    agent: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinished:
    """A model call has ended. ``usage`` is ``None`` if its provider reported none.

    ``model`` and ``effort`` (of reasoning) are what the provider says it has used, ``effort_asked``
    is what the request asked for.
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
    """An answer of an agent was accepted, its ``number``-th one, counted from 1.

    ``verified`` is false if the agent's policy still objected to it in the last try of the round.
    ``label`` is the name under which other agents see the answer.
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
    """A vote was counted. ``target`` is the id of an agent; ``verified`` is as in ``Answered``."""

    type: Literal["vote_cast"] = "vote_cast"
    voter: str
    target: str
    round: int
    reason: str
    verified: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstained:
    """An agent neither answered nor voted in this round."""

    type: Literal["abstained"] = "abstained"
    agent: str
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VotesVoided:
    """A new answer made all votes void, ``votes`` of them. All agents evaluate again."""

    type: Literal["votes_voided"] = "votes_voided"
    votes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRejected:
    """A decision was turned back. ``attempt`` counts the agent's tries in this round, from 1."""

    type: Literal["submission_rejected"] = "submission_rejected"
    agent: str
    round: int
    reason: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLeft:
    """An agent takes no further part in the run. Its answer, if it gave one, stays."""

    type: Literal["agent_left"] = "agent_left"
    agent: str
    round: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationStarted:
    """The agent for which a majority has voted begins the message while the others finish."""

    type: Literal["speculation_started"] = "speculation_started"
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationDropped:
    """What the agent had begun will not be the message: its call was aborted, or has failed."""

    type: Literal["speculation_dropped"] = "speculation_dropped"
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WinnerChosen:
    """The team has decided. ``votes`` has each agent with an answer and its votes, by rank.

    ``limited_by`` names the limit that ended the coordination, if one did.
    """

    type: Literal["winner_chosen"] = "winner_chosen"
    winner: str
    votes: tuple[tuple[str, int], ...]
    limited_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimited:
    """A limit ended the run after the winner was chosen. The winning answer is the message."""

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

    ``logprobs`` has the log probabilities of its tokens, in OpenAI's form, if they were asked for
    and the provider has them.
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
    """A fragment of a call of one of the client's tools.

    ``index`` is the call's number in the message, from 0. ``arguments`` is the next piece of the
    arguments. Only the first fragment of a call has ``id`` and ``name``. ``custom``: the call is
    one of a custom tool, and its arguments are free text.
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
    """Receives items, one after the other. An engine sends the events of a run to one."""

    async def send(self, item: ToldT_contra, /) -> None:
        """Take the next item. Waits while the receiver is too far behind."""
        ...

    def widen(self) -> None:
        """From now on ``send`` must not wait: the sender has little left to send, and no time."""
        ...


def to_json(event: RunEvent, *, run_id: str, time: float) -> dict[str, Any]:
    """The event as a JSON object, for programs that keep or send it.

    The object has the event's fields under their own names (tuples become arrays, ``None`` becomes
    ``null``), its ``type``, the ``run_id``, and ``time``, in seconds since 1970 (UTC). In a minor
    release no field is renamed or removed, but there may be new ones.
    """
    told: dict[str, Any] = _adapter().dump_python(event, mode="json")
    return {"type": told["type"], "run_id": run_id, "time": time, **told}


def from_json(data: Mapping[str, Any]) -> RunEvent:
    """The event in a JSON object that ``to_json`` has made.

    Members that this version does not know are ignored. Raises ``ValueError`` for a type that this
    version does not know, and for fields that are missing or wrong.
    """
    return _adapter().validate_python(data)


@cache
def _adapter() -> "TypeAdapter[RunEvent]":
    """Made at its first use, so that a program which only builds a team does not load pydantic."""
    from pydantic import Field, TypeAdapter  # noqa: PLC0415

    return TypeAdapter(Annotated[RunEvent, Field(discriminator="type")])
