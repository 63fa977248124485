"""The deliberation of a run as text for ``reasoning_content``: short lines, one for each event.

``status`` tells who answered, who voted for whom and why, and who won; ``full`` adds what the
agents write, under a line that names the speaker whenever it changes. Where the request offers
tools, both end with the decision.
"""

from typing import Final, assert_never

from massgen_compat._run.team import Trace
from massgen_compat.events import (
    Abstained,
    AgentLeft,
    AgentReasoning,
    AgentText,
    Answered,
    Disagreement,
    FirstAsked,
    HostedToolCalled,
    MessageRefusal,
    MessageText,
    MessageToolCall,
    ParametersDropped,
    PresentationStarted,
    RunCompleted,
    RunEvent,
    RunLimited,
    RunStarted,
    SpeculationDropped,
    SpeculationStarted,
    SubmissionRejected,
    TeamCalled,
    TurnFinished,
    TurnStarted,
    VoteCast,
    VotesVoided,
    WinnerChosen,
)
from massgen_compat.protocol import decision
from massgen_compat.protocol.text import shorten

REASON_LIMIT: Final = 200
"""Characters of a reason in a line."""


class TraceWriter:
    """Tells a run's events as they happen. It remembers only what the next line depends on."""

    def __init__(self, trace: Trace, *, with_decision: bool = False) -> None:
        self._trace = trace
        self._drafts: dict[str, str] | None = {} if with_decision else None
        self._speaker: str | None = None
        self._line_open = False
        self._written: dict[str, str] = {}
        self._winner: str | None = None
        self._alone = False

    def tell(self, event: RunEvent) -> str:
        """The text that the event adds to the trace, often none."""
        if self._trace == "off":
            return ""
        if isinstance(event, Answered) and self._drafts is not None:
            self._drafts[event.agent] = event.content
        match event:
            case AgentText():
                return self._quote(event.agent, f"{event.agent}, round {event.round}", event.text)
            case AgentReasoning():
                return self._quote(
                    None, f"{event.agent}, round {event.round}, reasoning", event.text
                )
            case Answered() if self._trace == "full":
                return self._line(_status(event)) + self._answer(event)
            case RunStarted():
                self._alone = len(event.agents) == 1
            case WinnerChosen():
                self._winner = event.winner
                return "" if self._alone else self._line(_status(event)) + self._decision()
            case PresentationStarted() if event.agent == self._winner or self._alone:
                return ""
            case _:
                return self._line(_status(event))
        return ""

    def _line(self, line: str | None) -> str:
        if line is None:
            return ""
        start = "\n" if self._line_open else ""
        self._line_open = False
        self._speaker = None
        return f"{start}{line}\n"

    def _decision(self) -> str:
        """The winning draft, where the request offers tools: it says what is to be done."""
        draft = (self._drafts or {}).get(self._winner or "", "").strip()
        return decision.shown(draft) if draft else ""

    def _quote(self, agent: str | None, speaker: str, text: str) -> str:
        if self._trace != "full" or not text:
            return ""
        if agent is not None:
            self._written[agent] = self._written.get(agent, "") + text
        marker = "" if speaker == self._speaker else self._line(f"[{speaker}]")
        self._speaker = speaker
        quoted = _unfenced(text, at_line_start=not self._line_open)
        self._line_open = not text.endswith("\n")
        return marker + quoted

    def _answer(self, event: Answered) -> str:
        """The answer itself, unless the agent wrote it in the open before submitting it."""
        answer = event.content.strip()
        written = self._written.pop(event.agent, "")
        return "" if not answer or answer in written else f"{_unfenced(answer)}\n"


def _unfenced(text: str, *, at_line_start: bool = True) -> str:
    """An agent's text, of which no line can pose as the fence of the decision."""
    indented = text.replace("\n=", "\n =")
    return f" {indented}" if at_line_start and text.startswith("=") else indented


def _status(event: RunEvent) -> str | None:
    """One line about an event that matters to a reader, ``None`` for the others."""
    match event:
        case FirstAsked() | TeamCalled():
            return _asked(event)
        case Answered():
            again = f" again ({event.number})" if event.number > 1 else ""
            return f"{event.agent} answered{again}{_doubt(event)}."
        case VoteCast():
            return _with_reason(
                f"{event.voter} voted for {event.target}{_doubt(event)}", event.reason
            )
        case Abstained():
            return f"{event.agent} abstained."
        case VotesVoided():
            return f"A new answer: {event.votes} earlier vote{'s'[: event.votes != 1]} void."
        case SubmissionRejected():
            return _with_reason(
                f"{event.agent} was turned back (try {event.attempt})",
                event.reason.replace("_", " "),
            )
        case AgentLeft():
            return _with_reason(f"{event.agent} left the run", event.reason)
        case SpeculationStarted() | SpeculationDropped():
            return _ahead(event)
        case WinnerChosen() | PresentationStarted() | RunLimited():
            return _decided(event)
        case HostedToolCalled():
            return f"{event.agent} used {event.tool}."
        case ParametersDropped():
            names = ", ".join(event.parameters)
            return f"{event.agent} works without {names} (its model does not take them)."
        case TurnFinished(effort_asked=str(asked), effort=str(used)) if asked != used:
            return f"{event.agent} was to work with effort {asked}, and its model used {used}."
        case (
            RunStarted()
            | TurnStarted()
            | TurnFinished()
            | AgentText()
            | AgentReasoning()
            | MessageText()
            | MessageRefusal()
            | MessageToolCall()
            | RunCompleted()
        ):
            return None
        case _:
            assert_never(event)


_WHY: Final[dict[Disagreement, str]] = {
    "new_answer": "a new answer",
    "votes": "no agreement",
    "left": "an agent left",
}


def _doubt(event: Answered | VoteCast) -> str:
    return "" if event.verified else " (unverified)"


def _asked(event: FirstAsked | TeamCalled) -> str:
    agents = ", ".join(event.agents)
    if isinstance(event, TeamCalled):
        return f"The others are called ({_WHY[event.reason]}): {agents}."
    return f"Asked first: {agents}. On disagreement: {', '.join(event.others)}."


def _ahead(event: SpeculationStarted | SpeculationDropped) -> str:
    if isinstance(event, SpeculationDropped):
        return f"What {event.agent} had begun to write is dropped."
    return f"{event.agent} begins the final message while the others finish."


def _decided(event: WinnerChosen | PresentationStarted | RunLimited) -> str:
    if isinstance(event, RunLimited):
        return f"The run was limited by {event.limit}: the answer is the message as it stands."
    if isinstance(event, PresentationStarted):
        return f"{event.agent} writes the final message."
    counts = ", ".join(f"{agent} {votes}" for agent, votes in event.votes if votes)
    votes = f" (votes: {counts})" if counts else ""
    limit = f" The run was limited by {event.limited_by}." if event.limited_by else ""
    return f"The team chose {event.winner}{votes}.{limit}"


def _with_reason(line: str, reason: str) -> str:
    shown = shorten(reason, REASON_LIMIT)
    return f"{line}: {shown}" if shown else f"{line}."
