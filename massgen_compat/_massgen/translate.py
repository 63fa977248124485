"""What MassGen yields, as the events of a run: a state machine over its chunks. Pure.

Answers, votes and the winner are read from the status of the agents (``AgentStatus``), because the
chunks tell of them only in sentences for people. What agents write is read from the chunks. Both of
MassGen's trace modes are understood: in ``legacy`` an agent's text, its traces and the final
message all have the type ``content``, in ``strict`` only the final message has it.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, cast

import jiter

from massgen_compat._massgen.chunks import AgentStatus, Chunk, Place
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

WORKFLOW_TOOLS: Final = frozenset(
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
"""The names of tools that MassGen reserves for itself (its ``WORKFLOW_TOOL_NAMES``)."""

_TRACES: Final = ("💡 Providing answer:", "🗳️ Voting for [", "🔄 Vote", "❌", "🛑", "⚠️")
"""How sentences begin that MassGen itself puts into an agent's text. The events tell the same."""

_STORED: Final = "📋 Using stored answer as final presentation:"
_NOTHING: Final = "❌ No content generated for final presentation"

_TOOL_CALL: Final = re.compile(r"Calling ([\w.:-]{1,128})\.\.\.")


class Translator:
    """Makes the events of one run out of MassGen's chunks.

    ``agents`` are the ids, in the team's order. ``heard`` are the agents whose model calls this
    library makes: the message is told from their replies (``exchange``), and chunks that repeat it
    are ignored. ``watched``: the text of agents is told, too, and not only their decisions.
    """

    def __init__(
        self, agents: Sequence[str], *, heard: Collection[str] = (), watched: bool = True
    ) -> None:
        self.final = PendingMessage()
        self.calls: tuple[str, tuple[ToolCall, ...]] | None = None
        """The agent that called tools of the client, and its calls. The run ends with them."""
        self.error: str | None = None
        """What MassGen said when it failed."""
        self.unverified: set[str] = set()
        """The agents whose next decision counts although their policy objected."""
        self._watched = watched
        self._heard = frozenset(heard)
        self._labels = {agent: f"agent{n}" for n, agent in enumerate(sorted(agents), start=1)}
        self._last = AgentStatus(places=tuple(Place(agent=agent) for agent in agents))
        self._presenting = False

    @property
    def status(self) -> AgentStatus:
        """The status of the agents at the last chunk."""
        return self._last

    def label(self, agent: str) -> str:
        """The label under which an agent's peers know it. MassGen counts in the sorted ids."""
        return self._labels[agent]

    def feed(self, chunk: Chunk, status: AgentStatus) -> Iterator[RunEvent]:
        """The events of one chunk; ``status`` is the status of the agents now."""
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
        """The events of what has changed since the last status."""
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
        """``round`` is the round that the answer ended: MassGen may have begun the next."""
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
        """Whether this is text of the final message: content of the agent that was selected.

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
        """While the agents coordinate, these may be calls of the client's tools.

        In the presentation, a call of ``new_answer`` has the message.
        """
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


class PendingMessage:
    """The final message, and how much of it was told.

    Since 0.1.97 MassGen tells the presenter to submit its message with ``new_answer``, and many
    models write it as text all the same. Both are told token by token: of a call, the ``content``
    that its arguments hold so far.
    """

    def __init__(self) -> None:
        self.quoted = False
        """Whether the message is an agent's answer as it stood, and nobody presented."""
        self._told: list[str] = []
        self._blank = ""
        self._from_call = 0
        self._arguments: dict[int, bytearray] = {}

    @property
    def text(self) -> str:
        """The message, as far as it was told."""
        return "".join(self._told)

    def say(self, text: str) -> Iterator[MessageText]:
        """The presenter writes text. Blanks before the first word wait until that word comes."""
        text, self._blank = self._blank + text, ""
        if not self._told and not text.strip():
            self._blank = text
        elif text:
            self._told.append(text)
            yield MessageText(text=text)

    def quote(self, answer: str) -> Iterator[MessageText]:
        """An agent's answer is the message, unless the presenter has written one."""
        if not self._told and answer.strip():
            self.quoted, self._blank = True, ""
            yield from self.say(answer.strip())

    def argue(self, call: int, fragment: str) -> Iterator[MessageText]:
        """The presenter writes a fragment of the arguments of ``new_answer``.

        ``call`` is the index of the call in its reply. Half of an escape is not told before the
        other half has come.
        """
        buffer = self._arguments.setdefault(call, bytearray())
        buffer += fragment.encode("utf-8", "replace")
        yield from self._continue(partial_content(bytes(buffer)))

    def submit(self, content: str) -> Iterator[MessageText]:
        """The whole message is known: tell what is missing of it.

        What was told cannot be taken back. So nothing is added where it was another text.
        """
        told = self.text.strip()
        if content.strip() == told or not content.strip():
            return
        if not told:
            yield from self.say(content)
        elif content.startswith(self.text):
            yield from self.say(content[len(self.text) :])

    def end_call(self) -> None:
        """The model call is over; the next one counts its tool calls from 0 again."""
        self._arguments.clear()
        self._from_call = 0

    def _continue(self, content: str) -> Iterator[MessageText]:
        new = content[self._from_call :]
        if not new:
            return
        if not self._from_call and self._told:
            new = f"\n\n{new}" if not self.text.endswith("\n") else new
        self._from_call = len(content)
        yield from self.say(new)


def partial_content(arguments: bytes) -> str:
    """The ``content`` of arguments that may be cut anywhere; empty where it has not begun."""
    try:
        value: object = jiter.from_json(arguments, partial_mode="trailing-strings")
    except ValueError:
        return ""
    if not isinstance(value, dict):
        return ""
    content = cast("dict[str, object]", value).get("content")
    return content if isinstance(content, str) else ""
