"""A run as a response."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from massgen_compat._admission.catalogue import Admitted
from massgen_compat._server.access import REQUEST_ID
from massgen_compat._server.connection import Pipe
from massgen_compat._server.replies import json_error
from massgen_compat._server.retries import Failure, Identity
from massgen_compat._server.runs import Runs, Seat
from massgen_compat.errors import MassGenError
from massgen_compat.protocol import errors, sse
from massgen_compat.protocol.answer import WireEvent


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client hears nothing, and how long it may read nothing."""

    heartbeat_seconds: float
    write_seconds: float


class RunResponse(Response):
    """The answer of a run: its events as they happen, or the body that is its only one.

    Whoever reads no more leaves the run, which then ends if nobody else reads it.
    """

    def __init__(
        self,
        runs: Runs,
        admitted: Admitted,
        identity: Identity,
        headers: Mapping[str, str],
        patience: Patience,
    ) -> None:
        super().__init__()
        self._runs = runs
        self._admitted = admitted
        self._identity = identity
        self._extra = dict(headers)
        self._patience = patience
        self._began = time.perf_counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a seat at the run, and pass on what it says."""
        pipe = Pipe(
            receive,
            send,
            write_seconds=self._patience.write_seconds,
            beat_seconds=self._patience.heartbeat_seconds,
        )
        failure = self._runs.recall(self._identity)
        if failure is not None:
            await self._refuse(pipe, failure)
            return
        request_id: str = scope[REQUEST_ID]
        try:
            async with self._runs.seat(self._admitted, self._identity, request_id) as seat:
                await pipe.while_connected(self._answer, pipe, seat)
        except MassGenError as error:
            await json_error(errors.render_error(error))(scope, receive, send)

    async def _refuse(self, pipe: Pipe, failure: Failure) -> None:
        """The same error as a moment ago, in the form in which it came."""
        if not self._admitted.stream:
            await _send(pipe, json_error(failure.reply))
            return
        await self._start(pipe)
        await pipe.write(sse.frames(failure.events), more=False)

    async def _answer(self, pipe: Pipe, seat: Seat) -> None:
        events = await seat.reader.read()
        failure = seat.run.failure
        if not events:
            if failure is not None:
                failure = failure.final() if self._identity.retry else failure
                await _send(pipe, json_error(failure.reply))
        elif not self._admitted.stream:
            headers = {**self._extra, "openai-processing-ms": _milliseconds_since(self._began)}
            body = b"".join(event.data for event in events)
            reply = Response(body, headers=headers, media_type="application/json")
            await _send(pipe, reply)
        else:
            await self._start(pipe)
            await self._follow(pipe, seat, events)

    async def _start(self, pipe: Pipe) -> None:
        """The headers of a stream, the moment that its first event is there."""
        headers = {
            **self._extra,
            "content-type": "text/event-stream; charset=utf-8",
            "openai-processing-ms": _milliseconds_since(self._began),
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
        }
        await pipe.start(
            200, [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        )

    async def _follow(self, pipe: Pipe, seat: Seat, events: Sequence[WireEvent]) -> None:
        answer = seat.run.answer
        pipe.beat = lambda: seat.reader.interject(answer.heartbeat())
        while not seat.reader.at_end:
            await pipe.write(sse.frames(events))
            events = await seat.reader.read()
        failure = seat.run.failure
        last = failure.events if failure else answer.end()
        await pipe.write(sse.frames((*events, *last)), more=False)


async def _send(pipe: Pipe, response: Response) -> None:
    await pipe.start(response.status_code, response.raw_headers)
    await pipe.write(bytes(response.body), more=False)


def _milliseconds_since(started: float) -> str:
    return str(int((time.perf_counter() - started) * 1000))
