"""The trace: how a run comes to its message, as text for ``reasoning_content``.

It has one short line for each event. ``status`` says who answered, who voted for whom and why, and
who won. ``full`` adds what the agents write; a line before it names the agent and the round
whenever they change.

If the request offers tools, both end with the winning draft, which says what is to be done and why:
the *decision*. Many clients send ``reasoning_content`` back with the assistant message (OpenCode,
Qwen Code, Cline, pydantic-ai and others, recorded). ``echoed`` finds the decision in it, so that
the presenter can be reminded of it while it works through the tool calls, and the server stores
nothing. This module is pure.
"""

import re
from collections.abc import Sequence
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
from massgen_compat.protocol.body import shorten
from massgen_compat.protocol.chat.messages import AssistantMessage, UserMessage, WireMessage

REASON_LIMIT: Final = 200
"""How many characters of a reason are shown."""


class TraceWriter:
    """Writes the trace of one run, event by event.

    ``with_decision``: the trace ends with the winning draft.
    """

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
        """The winning draft between its fences, if the trace is to have it."""
        draft = (self._drafts or {}).get(self._winner or "", "").strip()
        return shown(draft) if draft else ""

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
        """The answer itself, unless the trace already has it as a text of the agent."""
        answer = event.content.strip()
        written = self._written.pop(event.agent, "")
        return "" if not answer or answer in written else f"{_unfenced(answer)}\n"


def _unfenced(text: str, *, at_line_start: bool = True) -> str:
    """An agent's text, changed so that none of its lines can be taken for a decision's fence."""
    indented = text.replace("\n=", "\n =")
    return f" {indented}" if at_line_start and text.startswith("=") else indented


def _status(event: RunEvent) -> str | None:
    """The line about an event, or ``None`` for an event that has no line."""
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


# The decision, and how it is found again

_RUNS: Final = re.compile("={8,}")
_FENCE: Final = re.compile(r"(={8,}+) (decision|end of the decision) \1")


def shown(draft: str) -> str:
    """The lines of the trace that hold the winning draft.

    The fence is longer than any row of ``=`` in the draft, so that the draft cannot end it.
    """
    longest = max((run.end() - run.start() for run in _RUNS.finditer(draft)), default=7)
    fence = "=" * (longest + 1)
    return f"{fence} decision {fence}\n{draft}\n{fence} end of the decision {fence}\n"


def echoed(messages: Sequence[WireMessage]) -> str | None:
    """The last decision after the last message of the user, if the client sent its trace back."""
    for message in reversed(messages):
        if isinstance(message, UserMessage):
            return None
        trace = message.reasoning_content if isinstance(message, AssistantMessage) else None
        if isinstance(trace, str) and (found := _last(trace)):
            return found
    return None


def _last(trace: str) -> str | None:
    """The last decision in a trace, found in one pass, since a trace can be as long as a body.

    A decision begins at the nearest line that can open it, so that no text of an agent further up
    becomes part of it.
    """
    lines = trace.split("\n")
    opened: dict[str, int] = {}
    found: slice | None = None
    for number, line in enumerate(lines):
        if fence := _FENCE.fullmatch(line):
            if fence[2] == "decision":
                opened[fence[1]] = number + 1
            elif fence[1] in opened:
                found = slice(opened.pop(fence[1]), number)
    return "\n".join(lines[found]) if found else None
