"""The seam between a run and a wire: an ``Answer`` turns a run's events into the wire's events.

There is one kind of ``Answer`` for each form of each wire: a chat stream, a chat completion. A
transport carries the events without knowing what is in them: server-sent events (``sse``), the body
of a reply, or typed objects in process. Nothing below ``protocol`` knows a wire. Pure.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from massgen_compat._run.request import RunRequest
from massgen_compat.errors import MassGenError
from massgen_compat.events import RunEvent, Sink


class WireEvent(NamedTuple):
    """One event of an answer, as it stands on the wire, without a frame.

    ``type`` is the event's name; it is empty on wires whose events have none, such as Chat
    Completions. ``data`` is one line of JSON in UTF-8 (or a wire's own end mark).
    """

    type: str
    data: bytes


class Answer(Protocol):
    """What one client is answered with. A stream has many events, a whole body is one event."""

    def feed(self, event: RunEvent, /) -> Sequence[WireEvent]:
        """The events that something which happened in the run adds, often none."""
        ...

    def heartbeat(self) -> Sequence[WireEvent]:
        """The events that tell a waiting client that the run goes on, and nothing else."""
        ...

    def failed(self, error: MassGenError, /) -> Sequence[WireEvent]:
        """The events that tell the client of a failure after the answer had begun."""
        ...

    def end(self) -> Sequence[WireEvent]:
        """The events that close the answer, after its last one or after ``failed``.

        They mark the end on the wire; who reads in process needs none of them.
        """
        ...


class Rendering(Protocol):
    """How a client wants its answer written; made by the parser of its wire, with its options."""

    def answer(
        self,
        run: RunRequest,
        *,
        stream: bool,
        background: str | None,
        unique: str,
        created: int,
    ) -> Answer:
        """A new answer to the run.

        ``stream``: in events as they happen, else in one body at the end. ``background`` names the
        rule by which one agent answers alone. ``unique`` is a random text that the ids are made of;
        ``created`` is the time in Unix seconds.
        """
        ...


class AnswerSink:
    """Tells ``events`` what an answer makes of the events of its run."""

    __slots__ = ("_feed", "_send", "widen")

    def __init__(self, answer: Answer, events: Sink[WireEvent]) -> None:
        self.widen = events.widen
        self._feed = answer.feed
        self._send = events.send

    async def send(self, event: RunEvent, /) -> None:
        """Tell what the event adds to the answer."""
        for each in self._feed(event):
            await self._send(each)
