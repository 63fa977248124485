"""What MassGen yields, as events of a run: a state machine over its chunks. Pure.

Facts come from how the agents stand (``AgentStatus``), because MassGen tells answers, votes and the
winner only in sentences for people; words come from the chunks. Both of MassGen's trace modes are
understood: in ``legacy`` an agent's text, its traces and the final message are all ``content``, in
``strict`` only the final message is.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final as Constant

from massgen_compat._massgen.chunks import AgentStatus, Chunk, Place
from massgen_compat._massgen.final_message import Final, partial_content
from massgen_compat._run.message import ToolCall
from massgen_compat.events import (
    AgentLeft,
    AgentReasoning,
    AgentText,
    Answered,
    HostedToolCalled,
    MessageText,
    PresentationStarted,
    RunEvent,
    VoteCast,
    VotesVoided,
    WinnerChosen,
)

WORKFLOW_TOOLS: Constant = frozenset(
    [
        "new_answer",
        "vote",
        "stop",
        "submit",
        "restart_orchestration",
        "ask_others",
        "respond_to_broadcast",
        "check_broadcast_status",
        "get_broadcast_responses",
        "checkpoint",
        "submit_checklist",
    ]
)
"""Names that MassGen keeps for itself (``WORKFLOW_TOOL_NAMES``)."""

_TRACES: Constant = ("💡 Providing answer:", "🗳️ Voting for [", "🔄 Vote", "❌", "🛑", "⚠️")
"""How MassGen's own sentences in an agent's voice begin; events say the same."""

_STORED: Constant = "📋 Using stored answer as final presentation:"
_NOTHING: Constant = "❌ No content generated for final presentation"

_TOOL_CALL: Constant = re.compile(r"Calling ([\w.:-]{1,128})\.\.\.")


class Translator:
    """Makes the events of one run out of MassGen's chunks.

    ``agents`` are in the team's order. ``heard`` are those whose messages are listened to at the
    source (``calls``): of them, chunks of the final message are not told again. ``watched``: the
    agents' own words are told, too.
    """

    def __init__(
        self, agents: Sequence[str], *, heard: Collection[str] = (), watched: bool = True
    ) -> None:
        self.final = Final()
        self.calls: tuple[str, tuple[ToolCall, ...]] | None = None
        """The agent that called tools of the client, and its calls: here the run ends."""
        self.error: str | None = None
        """What MassGen said when it gave up."""
        self.unverified: set[str] = set()
        """Agents whose next decision counts although their policy objected."""
        self._watched = watched
        self._heard = frozenset(heard)
        self._labels = {agent: f"agent{n}" for n, agent in enumerate(sorted(agents), start=1)}
        self._last = AgentStatus(places=tuple(Place(agent=agent) for agent in agents))
        self._presenting = False

    @property
    def status(self) -> AgentStatus:
        """How the agents stood at the last chunk."""
        return self._last

    def label(self, agent: str) -> str:
        """The label that an agent's peers know it by: its place in the sorted ids."""
        return self._labels[agent]

    def feed(self, chunk: Chunk, status: AgentStatus) -> Iterator[RunEvent]:
        """The events of one chunk; ``status`` is how the agents stand now."""
        yield from self.compare(status)
        match chunk.type:
            case "content" | "coordination":
                yield from self._text(chunk)
            case "reasoning" | "reasoning_summary":
                yield from self._thought(chunk)
            case "tool_calls":
                yield from self._calls(chunk)
            case "final_presentation_start":
                yield from self._present(chunk)
            case "mcp_status" | "custom_tool_status":
                yield from self._tool(chunk)
            case "error":
                self.error = chunk.error or chunk.text or self.error
            case _:  # progress for MassGen's terminal, or what the status shows
                pass

    def compare(self, status: AgentStatus) -> Iterator[RunEvent]:
        """What happened since the last status."""
        before, self._last = self._last, status
        if before == status:
            return
        pairs = list(zip(before.places, status.places, strict=True))
        for old, new in pairs if before.selected is None else ():  # later ones are the message
            if new.answer is not None and (new.answer, new.answers) != (old.answer, old.answers):
                yield self._answered(new, round=old.round)
        if voided := sum(o.vote is not None and n.vote is None for o, n in pairs):
            yield VotesVoided(votes=voided)
        for old, new in pairs:
            if new.vote is not None and new.vote != old.vote:
                yield self._voted(new)
            if new.killed and not old.killed:
                yield AgentLeft(agent=new.agent, round=new.round, reason="gave no usable answer")
        if status.selected is not None and before.selected is None:
            yield WinnerChosen(winner=status.selected, votes=status.ranked(), limited_by=None)

    def _answered(self, place: Place, *, round: int) -> Answered:  # noqa: A002 - the event's word
        """``round`` is the one that the answer ended: MassGen may have opened the next."""
        return Answered(
            agent=place.agent,
            label=self._labels[place.agent],
            round=round,
            number=place.answers,
            content=place.answer or "",
            verified=self._verified(place.agent),
        )

    def _voted(self, place: Place) -> VoteCast:
        target, reason = place.vote or ("", "")
        return VoteCast(
            voter=place.agent,
            target=target,
            round=place.round,
            reason=reason,
            verified=self._verified(place.agent),
        )

    def _verified(self, agent: str) -> bool:
        verified = agent not in self.unverified
        self.unverified.discard(agent)
        return verified

    def _text(self, chunk: Chunk) -> Iterator[RunEvent]:
        source, text = chunk.source, chunk.text
        if source not in self._labels or not text:
            if "Unable to provide" in text or "No answers available" in text:
                self.error = text.strip().removeprefix("❌ ")
            return
        if self._is_final(chunk):
            yield from self._message(source or "", text)
        elif self._watched and not text.lstrip().startswith(_TRACES):
            yield AgentText(agent=source or "", round=self._round(source), text=text)

    def _is_final(self, chunk: Chunk) -> bool:
        """Whether this is the final message: the selected agent's content, once it presents.

        Where an answer is reused there is no presentation, and the answer comes as one chunk.
        """
        return chunk.type == "content" and chunk.source == self._last.selected

    def _message(self, agent: str, text: str) -> Iterator[MessageText]:
        said = text.strip()
        if said.startswith(_NOTHING):
            return
        if said.startswith(_STORED):
            yield from self.final.quote(said.removeprefix(_STORED))
        elif not self._presenting:
            yield from self.final.quote(said)
        elif agent not in self._heard and not said.startswith(("❌ Error", "❌ Retry")):
            yield from self.final.say(text)

    def _thought(self, chunk: Chunk) -> Iterator[RunEvent]:
        if self._watched and chunk.source in self._labels and chunk.reasoning:
            source = chunk.source or ""
            yield AgentReasoning(agent=source, round=self._round(source), text=chunk.reasoning)

    def _calls(self, chunk: Chunk) -> Iterator[RunEvent]:
        """In the coordination: calls of the client's tools. In the presentation: the message."""
        agent = chunk.source or ""
        own = tuple(call for call in chunk.calls if call.name not in WORKFLOW_TOOLS)
        if own and self._last.selected is None and agent in self._labels:
            self.calls = (agent, own)
            return
        for call in chunk.calls:
            if call.name == "new_answer" and agent == self._last.selected:
                content = partial_content(call.arguments.encode("utf-8", "replace"))
                yield from self.final.submit(content)

    def _present(self, chunk: Chunk) -> Iterator[RunEvent]:
        agent = chunk.data.get("agent_id") or chunk.source
        self._presenting = True
        yield PresentationStarted(agent=str(agent))

    def _tool(self, chunk: Chunk) -> Iterator[RunEvent]:
        found = _TOOL_CALL.search(chunk.text)
        if found is not None and chunk.source in self._labels:
            source = chunk.source or ""
            yield HostedToolCalled(agent=source, round=self._round(source), tool=found[1])

    def _round(self, agent: str | None) -> int:
        return self._last.of(agent).round if agent else 1
