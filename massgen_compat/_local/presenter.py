"""The presenter at work: one model call for each message, and one more for each that lacks the
format or the call that was asked for."""

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

Listen = Callable[[TurnRequest, Hear], Awaitable[Reply]]
Tell = Callable[[RunEvent], Awaitable[None]]

HELD_PIECES: Final = 4096
"""Pieces of a message that are held until the decision; then the provider is read no further."""


class Presenter:
    """Writes the final messages of a run.

    ``make_call`` makes a model call and gives its pieces to a function, ``beside`` tells what is no
    part of a message, ``emit`` tells events, ``signal`` tells the coordination.
    """

    def __init__(
        self,
        request: RunRequest,
        presentation: Presentation,
        *,
        make_call: Listen,
        beside: Callable[[TurnRequest, TurnPiece], Awaitable[None]],
        emit: Callable[[RunEvent], Awaitable[None]],
        signal: Callable[[Signal], Awaitable[None]],
    ) -> None:
        self.began = False
        self._released: anyio.Event | None = None
        self._request = request
        self._presentation = presentation
        self._make_call = make_call
        self._beside = beside
        self._emit = emit
        self._signal = signal

    @property
    def replies(self) -> Sequence[Reply]:
        """The replies that the messages were made of."""
        return [message.reply for message in self._presentation.messages if message.reply]

    def hold(self) -> None:
        """Tell nothing of what is written from now on before it is released."""
        self._released = anyio.Event()

    def release(self) -> None:
        """Tell what was held, and what follows as it comes."""
        if self._released is not None:
            self._released.set()

    async def write(self, request: TurnRequest) -> MassGenError | None:
        """Write all messages that are still to be written, and tell the coordination how it went.

        Returns the error of a presenter that failed.
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
        """The same, but told when it is released."""
        sender, held = anyio.create_memory_object_stream[RunEvent](HELD_PIECES)
        error: MassGenError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_later, request, held, released)
            async with sender:
                error = await self._write_all(request, sender.send)
            if error is not None:
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
        pending = [message for message in self._presentation.messages if message.pending]
        if len(pending) == 1:
            await self._write(request, pending[0], tell, failures)
        else:
            async with anyio.create_task_group() as tasks:
                for message in pending:
                    tasks.start_soon(
                        self._write, request, message, tell, failures, tasks.cancel_scope
                    )
        if failures:
            return failures[0]
        for message in () if self._faulty() else self._presentation.messages:
            for piece in message.held:
                await tell(piece)
        return None

    def _faulty(self) -> int:
        """How many messages lack what was asked for."""
        return sum(message.pending for message in self._presentation.messages)

    async def _write(
        self,
        request: TurnRequest,
        message: PendingMessage,
        tell: Tell,
        failures: list[MassGenError],
        others: anyio.CancelScope | None = None,
    ) -> None:
        """One message. An error ends the others, too."""

        async def hear(pieces: Sequence[TurnPiece]) -> None:
            for piece in pieces:
                told = self._presentation.hear(request.agent, message, piece)
                if told is None:
                    await self._beside(request, piece)
                for each in told or ():
                    await tell(each)

        if message.reply is not None and message.fault is not None:
            calls = self._presentation.demands_call
            messages = repair_messages(request.messages, message.reply, message.fault, calls=calls)
            request = replace(request, messages=messages)
            self._presentation.rewrite(message)
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
        self._presentation.finish(message, reply, text, problem)

    async def _tell(self, request: TurnRequest, piece: RunEvent) -> None:
        if not self.began:  # from now on nobody else can present
            self.began = True
            await self._signal(Began(request.agent, request.round))
        await self._emit(piece)

    async def answer(self, answers: Sequence[str]) -> tuple[FinalMessage, ...]:
        """The first of the answers that has the format as all messages; none: no message."""
        for text in () if self._presentation.demands_call else answers:
            if await self._fault(text) is None:
                for choice in range(self._request.choices):
                    await self._emit(MessageText(text=text, choice=choice))
                return (FinalMessage(content=text),) * self._request.choices
        return ()

    async def _fault(self, text: str | None) -> str | None:
        """Why the text lacks the format. Checked in a thread, because schemas can be slow."""
        wanted = self._request.format
        if wanted is None or text is None:
            return None
        return await anyio.to_thread.run_sync(_checked, wanted, text)


def _checked(wanted: OutputFormat, text: str) -> str | None:
    return fault(wanted, text)
