"""The final messages while they are being written: what the presenter says, as events. No I/O."""

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
    """One message so far.

    ``reply`` is what the presenter said, once it is complete, and ``fault`` why that does not have
    the format which was asked for. ``held`` are pieces that must not be seen before that is known.
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
    def pending(self) -> bool:
        """Whether the message has yet to be written, or written again."""
        return self.reply is None or self.fault is not None


class Presentation:
    """Turns a presenter's pieces into those of its messages, one for each choice of the request.

    ``demands_call``: a message without a call is none. Calls get ids that tell who made them;
    ``suffix`` makes the rest of an id (24 hex digits).
    Calls that nobody asked for are left out: a request without tools has none, and one that wants
    no parallel calls has one (some providers do not heed ``parallel_tool_calls``).
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
        self.messages: Sequence[PendingMessage] = ()
        self.restart()

    def restart(self) -> None:
        """Forget what another presenter wrote; nobody has seen it."""
        self.messages = tuple(PendingMessage(choice) for choice in range(self._request.choices))

    def hear(
        self, agent: str, message: PendingMessage, piece: TurnPiece
    ) -> tuple[Piece, ...] | None:
        """The pieces of a message that can be told now; ``None`` for what is no part of it.

        Where a format was asked for, nothing is told before the message was checked; where a call
        was, no text before the call begins.
        """
        message.agent = agent
        told = self._piece(agent, message, piece)
        if told is None:
            return None
        message.calling = message.calling or isinstance(told, MessageToolCall)
        if self._request.format is not None or (self.demands_call and not message.calling):
            message.held.append(told)
            return ()
        if not message.held:
            return (told,)
        ready, message.held = (*message.held, told), []
        return ready

    def _piece(self, agent: str, message: PendingMessage, piece: TurnPiece) -> Piece | None:
        match piece:
            case TextPiece():
                if not piece.text:
                    return None
                message.text.append(piece.text)
                return MessageText(text=piece.text, choice=message.choice, logprobs=piece.logprobs)
            case RefusalPiece(text) if text:
                return MessageRefusal(text=text, choice=message.choice)
            case CallPiece() if piece.index < self._most_calls:
                return self._call(agent, message, piece)
            case _:
                return None

    def _call(self, agent: str, message: PendingMessage, piece: CallPiece) -> MessageToolCall:
        if piece.index not in message.ids:
            message.ids[piece.index] = call_id(self._places[agent], self._suffix())
            message.names[piece.index] = piece.name or ""
        return MessageToolCall(
            choice=message.choice,
            index=piece.index,
            arguments=piece.arguments,
            id=None if piece.id is None else message.ids[piece.index],
            name=piece.name,
            custom=message.names[piece.index] in self._custom,
        )

    def is_empty(self, reply: Reply) -> bool:
        """Whether a reply is no message at all."""
        return not (reply.text.strip() or reply.refusal or self._calls(reply))

    def text_to_check(self, reply: Reply) -> str | None:
        """The text that has to have the format, if a format was asked for and this is a text.

        A refusal has none, nor have calls, nor a text that was cut: their finish reason tells.
        """
        cut = reply.finish_reason in {"length", "content_filter"}
        if self._request.format is None or reply.refusal or self._calls(reply) or cut:
            return None
        return unfenced(reply.text)

    def lacks_call(self, reply: Reply) -> str | None:
        """Why a reply without the call that was demanded is no message."""
        cut = reply.finish_reason in {"length", "content_filter"}
        if not self.demands_call or self._calls(reply) or reply.refusal or cut:
            return None
        choice = self._request.tool_choice
        wanted = f"the tool {choice.name!r}" if isinstance(choice, NamedTool) else "a tool"
        return f"it calls no tool, but {wanted} has to be called"

    def finish(
        self, message: PendingMessage, reply: Reply, text: str | None, fault: str | None
    ) -> None:
        """The presenter's reply is complete; ``text`` is what was checked of it."""
        message.reply, message.fault = reply, fault
        if text is not None and text != reply.text:
            message.reply = replace(reply, text=text)
            message.held = [MessageText(text=text, choice=message.choice)]

    def rewrite(self, message: PendingMessage) -> None:
        """The message will be written again."""
        message.text, message.held, message.calling = [], [], False
        message.ids, message.names = {}, {}

    def cut(self) -> tuple[FinalMessage, ...]:
        """The messages as far as they were written when time ran out."""
        return tuple(
            FinalMessage(content="".join(message.text), finish_reason="length")
            for message in self.messages
        )

    def whole(self) -> tuple[FinalMessage, ...]:
        """The messages that the presenter's replies are."""
        return tuple(
            self._message(message, message.reply)
            for message in self.messages
            if message.reply is not None
        )

    def _message(self, message: PendingMessage, reply: Reply) -> FinalMessage:
        calls = self._calls(reply)
        finish = reply.finish_reason
        if finish == "tool_calls" and (
            # The real API ends a message whose call was named beforehand in "stop".
            not calls or isinstance(self._request.tool_choice, NamedTool)
        ):
            finish = "stop"
        return FinalMessage(
            content=reply.text or None,
            refusal=reply.refusal,
            tool_calls=tuple(
                replace(call, id=message.ids.get(index, call.id), custom=call.name in self._custom)
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
