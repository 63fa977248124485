"""The seam between a run and a wire: an ``Answer`` turns a run's events into the wire's events.

A wire is an API in the form in which clients use it; Chat Completions is one. It has an ``Answer``
class for each of its forms: one for the chat stream, one for the chat completion. A transport
carries the wire's events without knowing what is in them: as server-sent events (``sse``), as the
body of a reply, or as typed objects in process. Engines and agents know no wire. This module is
pure.
"""

from collections.abc import Callable, Sequence
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
    """What one client is answered with. A stream has many events, a whole body is one event.

    An answer has state and belongs to one run.
    """

    def feed(self, event: RunEvent, /) -> Sequence[WireEvent]:
        """The wire's events for one event of the run; often there are none."""
        ...

    def heartbeat(self) -> Sequence[WireEvent]:
        """The events that show a waiting client that the run goes on; they say nothing else."""
        ...

    def failed(self, error: MassGenError, /) -> Sequence[WireEvent]:
        """The events that report a failure to the client after the answer has begun."""
        ...

    def end(self) -> Sequence[WireEvent]:
        """The events that mark the end of the answer on the wire.

        They follow the last event of ``feed``, or those of ``failed``. A reader in process does not
        need them.
        """
        ...


class Rendering(Protocol):
    """How a client wants its answer written: its wire and the options of its request.

    The parser of the wire makes it.
    """

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

        With ``stream`` it has events as they happen, without it one body at the end.
        ``background`` is the name of the rule by which one agent answers alone, if one does. The
        ids in the answer are made of ``unique``, a random text; ``created`` is the time in Unix
        seconds.
        """
        ...


class AnswerSink:
    """A sink for a run's events. It sends what ``feed`` (``Answer.feed``) makes of them to
    ``events``."""

    __slots__ = ("_feed", "_send", "widen")

    def __init__(
        self, feed: Callable[[RunEvent], Sequence[WireEvent]], events: Sink[WireEvent]
    ) -> None:
        self.widen = events.widen
        self._feed = feed
        self._send = events.send

    async def send(self, event: RunEvent, /) -> None:
        """Send what the event adds to the answer."""
        for each in self._feed(event):
            await self._send(each)
