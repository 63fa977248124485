"""The final messages while they are being written: a presenter's pieces become events. No I/O."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from massgen_compat._agents.call_ids import call_id
from massgen_compat._run.message import NamedTool, ToolCall
from massgen_compat._run.output_format import unfenced
from massgen_compat._run.request import RunRequest
from massgen_compat._run.result import FinalMessage
from massgen_compat._run.team import Team
from massgen_compat._run.turn import CallPiece, RefusalPiece, Reply, TextPiece, TurnPiece
from massgen_compat.events import MessageRefusal, MessageText, MessageToolCall

Piece = MessageText | MessageRefusal | MessageToolCall


@dataclass
class PendingMessage:
    """One final message, as far as it is written.

    ``choice`` is its index among the choices of the response. ``agent`` is the presenter. ``text``
    holds the pieces of its text, and ``ids`` and ``names`` are those of its calls, by call index.
    ``held`` are events that the client must not see before the message was checked. ``calling``
    says that its first call has begun. ``reply`` is the presenter's reply when it is complete, and
    ``fault`` says what it lacks.
    """

    choice: int
    agent: str | None = None
    text: list[str] = field(default_factory=list[str])
    ids: dict[int, str] = field(default_factory=dict[int, str])
    names: dict[int, str] = field(default_factory=dict[int, str])
    held: list[Piece] = field(default_factory=list[Piece])
    calling: bool = False
    reply: Reply | None = None
    fault: str | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the message has to be written, or written again."""
        return self.reply is None or self.fault is not None


class Presentation:
    """Turns the pieces of a presenter's replies into the events of its messages.

    There is one message for each choice of the request. ``demands_call`` says that a message
    without a call does not count. The ids of calls tell which agent made them; ``suffix`` returns
    the random part of an id (24 hex digits).

    Calls that nobody asked for are left out: all of them if the request has no tools, and all after
    the first one if it forbids parallel calls (some providers ignore ``parallel_tool_calls``).
    """

    def __init__(self, team: Team, request: RunRequest, suffix: Callable[[], str]) -> None:
        self._places = {agent.id: place for place, agent in enumerate(team.agents)}
        self._request = request
        self._suffix = suffix
        self._most_calls = _most_calls(request)
        choice = request.tool_choice
        named = choice == "required" or isinstance(choice, NamedTool)
        self.demands_call = bool(request.tools) and named
        self._custom = {tool.name for tool in request.tools if tool.custom and not tool.as_function}
        self.pending: Sequence[PendingMessage] = ()
        self.restart()

    def restart(self) -> None:
        """Start again with empty messages; what another presenter wrote was told to nobody."""
        self.pending = tuple(PendingMessage(choice) for choice in range(self._request.choices))

    def hear(
        self, agent: str, pending: PendingMessage, piece: TurnPiece
    ) -> tuple[Piece, ...] | None:
        """Add a piece to a message; return the events that can be told now.

        ``None`` is returned for a piece that is no part of a message, e.g. reasoning. If a format
        was asked for, nothing is told before the whole message was checked. If a call is demanded,
        no text is told before the call begins: without it the message is written again.
        """
        pending.agent = agent
        told = self._piece(agent, pending, piece)
        if told is None:
            return None
        pending.calling = pending.calling or isinstance(told, MessageToolCall)
        if self._request.format is not None or (self.demands_call and not pending.calling):
            pending.held.append(told)
            return ()
        if not pending.held:
            return (told,)
        ready, pending.held = (*pending.held, told), []
        return ready

    def _piece(self, agent: str, pending: PendingMessage, piece: TurnPiece) -> Piece | None:
        match piece:
            case TextPiece():
                if not piece.text:
                    return None
                pending.text.append(piece.text)
                return MessageText(text=piece.text, choice=pending.choice, logprobs=piece.logprobs)
            case RefusalPiece(text) if text:
                return MessageRefusal(text=text, choice=pending.choice)
            case CallPiece() if piece.index < self._most_calls:
                return self._call(agent, pending, piece)
            case _:
                return None

    def _call(self, agent: str, pending: PendingMessage, piece: CallPiece) -> MessageToolCall:
        if piece.index not in pending.ids:
            pending.ids[piece.index] = call_id(self._places[agent], self._suffix())
            pending.names[piece.index] = piece.name or ""
        return MessageToolCall(
            choice=pending.choice,
            index=piece.index,
            arguments=piece.arguments,
            id=None if piece.id is None else pending.ids[piece.index],
            name=piece.name,
            custom=pending.names[piece.index] in self._custom,
        )

    def is_empty(self, reply: Reply) -> bool:
        """Tell whether a reply has nothing to send: no text, no refusal, no call."""
        return not (reply.text.strip() or reply.refusal or self._calls(reply))

    def text_to_check(self, reply: Reply) -> str | None:
        """Return the text that has to have the format that was asked for; ``None``: no check.

        A refusal, calls, and a text that was cut short are not checked: a client can tell them by
        their finish reason.
        """
        cut = reply.finish_reason in {"length", "content_filter"}
        if self._request.format is None or reply.refusal or self._calls(reply) or cut:
            return None
        return unfenced(reply.text)

    def lacks_call(self, reply: Reply) -> str | None:
        """Return what is wrong with a reply that lacks a demanded call; ``None``: nothing."""
        cut = reply.finish_reason in {"length", "content_filter"}
        if not self.demands_call or self._calls(reply) or reply.refusal or cut:
            return None
        choice = self._request.tool_choice
        wanted = f"the tool {choice.name!r}" if isinstance(choice, NamedTool) else "a tool"
        return f"it calls no tool, but {wanted} has to be called"

    def finish(
        self, pending: PendingMessage, reply: Reply, text: str | None, fault: str | None
    ) -> None:
        """Keep the complete reply of a message.

        ``text`` is the text that was checked, without a code fence around it, and ``fault`` what is
        wrong with it.
        """
        pending.reply, pending.fault = reply, fault
        if text is not None and text != reply.text:
            pending.reply = replace(reply, text=text)
            pending.held = [MessageText(text=text, choice=pending.choice)]

    def rewrite(self, pending: PendingMessage) -> None:
        """Forget the pieces of a message that is written again."""
        pending.text, pending.held, pending.calling = [], [], False
        pending.ids, pending.names = {}, {}

    def cut(self) -> tuple[FinalMessage, ...]:
        """Return the messages as far as they were written when the run was stopped."""
        return tuple(
            FinalMessage(content="".join(pending.text), finish_reason="length")
            for pending in self.pending
        )

    def whole(self) -> tuple[FinalMessage, ...]:
        """Return the messages that the presenter's complete replies make."""
        return tuple(
            self._message(pending, pending.reply)
            for pending in self.pending
            if pending.reply is not None
        )

    def _message(self, pending: PendingMessage, reply: Reply) -> FinalMessage:
        calls = self._calls(reply)
        finish = reply.finish_reason
        if finish == "tool_calls" and (
            # With a ``tool_choice`` that names the tool, OpenAI's API says "stop" after the call.
            not calls or isinstance(self._request.tool_choice, NamedTool)
        ):
            finish = "stop"
        return FinalMessage(
            content=reply.text or None,
            refusal=reply.refusal,
            tool_calls=tuple(
                replace(call, id=pending.ids.get(index, call.id), custom=call.name in self._custom)
                for index, call in enumerate(calls)
            ),
            finish_reason=finish,
        )

    def _calls(self, reply: Reply) -> tuple[ToolCall, ...]:
        return reply.tool_calls[: self._most_calls]


def _most_calls(request: RunRequest) -> int:
    if not request.tools:
        return 0
    return 1 if request.parallel_tool_calls is False else sys.maxsize
