"""The presenter: it makes one model call for each message, and one more for each message that lacks
the format or the call that was asked for."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream

from massgen_compat._agents.prompts import repair_messages
from massgen_compat._coordination import Began, Failed, Malformed, Presented, Signal
from massgen_compat._local.presentation import PendingMessage, Presentation
from massgen_compat._run.message import OutputFormat
from massgen_compat._run.output_format import fault
from massgen_compat._run.request import RunRequest
from massgen_compat._run.result import FinalMessage
from massgen_compat._run.turn import Hear, Reply, TurnPiece, TurnRequest
from massgen_compat.errors import MassGenError, UpstreamMalformed
from massgen_compat.events import MessageText, RunEvent

MakeCall = Callable[[TurnRequest, Hear], Awaitable[Reply]]
Tell = Callable[[RunEvent], Awaitable[None]]

HELD_PIECES: Final = 4096
"""How many pieces of a message are held before the decision; then the provider is not read on."""


class Presenter:
    """Writes the final messages of a run.

    ``make_call`` makes a model call and passes the pieces of its reply on. ``tell_other`` gets the
    pieces that are no part of a message. ``emit`` sends an event to observers, and ``signal`` a
    signal to the coordination.
    """

    def __init__(
        self,
        request: RunRequest,
        presentation: Presentation,
        *,
        make_call: MakeCall,
        tell_other: Callable[[TurnRequest, TurnPiece], Awaitable[None]],
        emit: Callable[[RunEvent], Awaitable[None]],
        signal: Callable[[Signal], Awaitable[None]],
    ) -> None:
        self.began = False
        self._released: anyio.Event | None = None
        self._request = request
        self._presentation = presentation
        self._make_call = make_call
        self._tell_other = tell_other
        self._emit = emit
        self._signal = signal

    @property
    def replies(self) -> Sequence[Reply]:
        """The replies that the messages are made of."""
        return [pending.reply for pending in self._presentation.pending if pending.reply]

    def hold(self) -> None:
        """Hold what is written from now on, because the team has not decided yet."""
        self._released = anyio.Event()

    def release(self) -> None:
        """Tell what was held, and the rest as it comes; without ``hold`` this does nothing."""
        if self._released is not None:
            self._released.set()

    async def write(self, request: TurnRequest) -> MassGenError | None:
        """Write all messages that are not finished, and signal how it went.

        Returns the error if the presenter failed.
        """
        agent, number = request.agent, request.round
        if self._released is None or self._released.is_set():
            error = await self._write_all(request, partial(self._tell, request))
        else:
            error = await self._write_held(request, self._released)
        if error is not None:
            await self._signal(Failed(agent, number, error.brief))
        elif faulty := self._faulty():
            await self._signal(Malformed(agent, number, faulty))
        else:
            await self._signal(Presented(agent, number))
        return error

    async def _write_held(self, request: TurnRequest, released: anyio.Event) -> MassGenError | None:
        """Write the messages, but tell them only when they are released."""
        sender, held = anyio.create_memory_object_stream[RunEvent](HELD_PIECES)
        error: MassGenError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_later, request, held, released)
            async with sender:
                error = await self._write_all(request, sender.send)
            if error is not None:
                # What was written before the failure is told to nobody.
                tasks.cancel_scope.cancel()
        return error

    async def _tell_later(
        self,
        request: TurnRequest,
        held: MemoryObjectReceiveStream[RunEvent],
        released: anyio.Event,
    ) -> None:
        with held:
            await released.wait()
            async for piece in held:
                await self._tell(request, piece)

    async def _write_all(self, request: TurnRequest, tell: Tell) -> MassGenError | None:
        failures: list[MassGenError] = []
        unfinished = [each for each in self._presentation.pending if each.unfinished]
        if len(unfinished) == 1:
            await self._write(request, unfinished[0], tell, failures)
        else:
            async with anyio.create_task_group() as tasks:
                for pending in unfinished:
                    tasks.start_soon(
                        self._write, request, pending, tell, failures, tasks.cancel_scope
                    )
        if failures:
            return failures[0]
        # What was held is told only when no message has to be written again.
        for pending in () if self._faulty() else self._presentation.pending:
            for piece in pending.held:
                await tell(piece)
        return None

    def _faulty(self) -> int:
        """Count the messages that lack what was asked for."""
        return sum(each.unfinished for each in self._presentation.pending)

    async def _write(
        self,
        request: TurnRequest,
        pending: PendingMessage,
        tell: Tell,
        failures: list[MassGenError],
        others: anyio.CancelScope | None = None,
    ) -> None:
        """Write one message. If its call fails, the calls of the other messages end, too."""

        async def hear(pieces: Sequence[TurnPiece]) -> None:
            for piece in pieces:
                told = self._presentation.hear(request.agent, pending, piece)
                if told is None:
                    await self._tell_other(request, piece)
                for each in told or ():
                    await tell(each)

        if pending.reply is not None and pending.fault is not None:
            calls = self._presentation.demands_call
            messages = repair_messages(request.messages, pending.reply, pending.fault, calls=calls)
            request = replace(request, messages=messages)
            self._presentation.rewrite(pending)
        try:
            reply = await self._make_call(request, hear)
            if self._presentation.is_empty(reply):
                raise UpstreamMalformed("the model wrote an empty message")
        except MassGenError as error:
            failures.append(error)
            if others is not None:
                others.cancel()
            return
        text = self._presentation.text_to_check(reply)
        problem = self._presentation.lacks_call(reply) or await self._fault(text)
        self._presentation.finish(pending, reply, text, problem)

    async def _tell(self, request: TurnRequest, piece: RunEvent) -> None:
        # Signal before the piece is told: from now on no other agent can present.
        if not self.began:
            self.began = True
            await self._signal(Began(request.agent, request.round))
        await self._emit(piece)

    async def answer(self, answers: Sequence[str]) -> tuple[FinalMessage, ...]:
        """Tell the first of the answers that has the format as the message, for each choice.

        Returns the messages: none if no answer has the format, or if a call is demanded, since an
        answer is a text.
        """
        for text in () if self._presentation.demands_call else answers:
            if await self._fault(text) is None:
                for choice in range(self._request.choices):
                    await self._emit(MessageText(text=text, choice=choice))
                return (FinalMessage(content=text),) * self._request.choices
        return ()

    async def _fault(self, text: str | None) -> str | None:
        """Return why the text lacks the format; ``None``: it has it, or there is none to have.

        A thread checks it, because a check by a large schema would block the event loop.
        """
        wanted = self._request.format
        if wanted is None or text is None:
            return None
        return await anyio.to_thread.run_sync(_checked, wanted, text)


def _checked(wanted: OutputFormat, text: str) -> str | None:
    return fault(wanted, text)
