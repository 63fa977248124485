"""The final message while it is being written: what the presenter says, as events. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from massgen_compat.events import MessageRefusal, MessageText, MessageToolCall
from massgen_compat.run import FinishReason, NamedTool, RunRequest, Team, ToolCall
from massgen_compat.tools import call_id
from massgen_compat.turn import CallPiece, RefusalPiece, Reply, TextPiece, TurnEvent

Piece = MessageText | MessageRefusal | MessageToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A final message as it ended up."""

    content: str | None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"


class Presentation:
    """Turns a presenter's pieces into those of the message.

    Calls get ids that tell who made them; ``suffix`` makes the rest of an id (24 hex digits).
    Calls that nobody asked for are left out: a request without tools has none.
    """

    def __init__(self, team: Team, request: RunRequest, suffix: Callable[[], str]) -> None:
        self._places = {agent.id: place for place, agent in enumerate(team.agents)}
        self._request = request
        self._suffix = suffix
        self._text: list[str] = []
        self._ids: dict[int, str] = {}

    def hear(self, agent: str, piece: TurnEvent) -> Piece | None:
        """The piece of the message that a piece of the reply is, if it is one."""
        match piece:
            case TextPiece(text) if text:
                self._text.append(text)
                return MessageText(text=text)
            case RefusalPiece(text) if text:
                return MessageRefusal(text=text)
            case CallPiece() if self._request.tools:
                if piece.index not in self._ids:
                    self._ids[piece.index] = call_id(self._places[agent], self._suffix())
                name = None if piece.id is None else self._ids[piece.index]
                return MessageToolCall(
                    index=piece.index, arguments=piece.arguments, id=name, name=piece.name
                )
            case _:
                return None

    def is_empty(self, reply: Reply) -> bool:
        """Whether a reply is no message at all."""
        calls = reply.tool_calls and self._request.tools
        return not (reply.text.strip() or reply.refusal or calls)

    def cut(self) -> Written:
        """The message as far as it was written when time ran out."""
        return Written(content="".join(self._text), finish_reason="length")

    def whole(self, reply: Reply) -> Written:
        """The message that the presenter's reply is."""
        calls = reply.tool_calls if self._request.tools else ()
        finish = reply.finish_reason
        if finish == "tool_calls" and (
            # The real API ends a message whose call was named beforehand in "stop".
            not calls or isinstance(self._request.tool_choice, NamedTool)
        ):
            finish = "stop"
        return Written(
            content=reply.text or None,
            refusal=reply.refusal,
            tool_calls=tuple(
                replace(call, id=self._ids.get(index, call.id)) for index, call in enumerate(calls)
            ),
            finish_reason=finish,
        )
