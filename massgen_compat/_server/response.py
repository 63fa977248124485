"""``RunResponse``: sends a run to its client, as a stream of events or as one body."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from massgen_compat._admission.catalogue import Admitted
from massgen_compat._server.access import REQUEST_ID
from massgen_compat._server.connection import ClientConnection
from massgen_compat._server.replies import json_error
from massgen_compat._server.retries import Failure, Identity
from massgen_compat._server.runs import Runs, Subscription
from massgen_compat.errors import MassGenError
from massgen_compat.protocol import errors, sse
from massgen_compat.protocol.answer import WireEvent


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """Seconds of silence before a heartbeat, and of a write before the client counts as gone."""

    heartbeat_seconds: float
    write_seconds: float


class RunResponse(Response):
    """The answer of a run: its events as they happen, or its only one as a body.

    A run that no other client reads ends with this one. The run is opened in ``__call__`` and not
    in a generator for the body: a task group that was opened in one breaks when the client leaves
    while a write waits ("Attempted to exit a cancel scope that isn't the current task's").
    """

    def __init__(
        self,
        runs: Runs,
        admitted: Admitted,
        identity: Identity,
        headers: Mapping[str, str],
        timeouts: ClientTimeouts,
    ) -> None:
        super().__init__()
        self._runs = runs
        self._admitted = admitted
        self._identity = identity
        self._extra = dict(headers)
        self._timeouts = timeouts
        self._began = time.perf_counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Subscribe to the run, and send its events to the client."""
        connection = ClientConnection(
            receive,
            send,
            write_seconds=self._timeouts.write_seconds,
            beat_seconds=self._timeouts.heartbeat_seconds,
        )
        failure = self._runs.recall(self._identity)
        if failure is not None:
            await self._refuse(connection, failure)
            return
        request_id: str = scope[REQUEST_ID]
        try:
            async with self._runs.subscription(
                self._admitted, self._identity, request_id
            ) as subscription:
                await connection.while_connected(self._answer, connection, subscription)
        except MassGenError as error:
            await json_error(errors.render_error(error))(scope, receive, send)

    async def _refuse(self, connection: ClientConnection, failure: Failure) -> None:
        """Send the error of the same request a moment ago, in the form that the client asked
        for."""
        if not self._admitted.stream:
            await _send(connection, json_error(failure.reply))
            return
        await self._start(connection)
        await connection.write(sse.frames(failure.events), more=False)

    async def _answer(self, connection: ClientConnection, subscription: Subscription) -> None:
        events = await subscription.reader.read()
        failure = subscription.run.failure
        if not events:
            if failure is not None:
                failure = failure.final() if self._identity.retry else failure
                await _send(connection, json_error(failure.reply))
        elif not self._admitted.stream:
            headers = {**self._extra, "openai-processing-ms": _milliseconds_since(self._began)}
            body = b"".join(event.data for event in events)
            reply = Response(body, headers=headers, media_type="application/json")
            await _send(connection, reply)
        else:
            await self._start(connection)
            await self._follow(connection, subscription, events)

    async def _start(self, connection: ClientConnection) -> None:
        """Send the headers of a stream. They wait for its first event, since an error that comes
        before that has a status of its own."""
        headers = {
            **self._extra,
            "content-type": "text/event-stream; charset=utf-8",
            "openai-processing-ms": _milliseconds_since(self._began),
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
        }
        await connection.start(
            200, [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        )

    async def _follow(
        self, connection: ClientConnection, subscription: Subscription, events: Sequence[WireEvent]
    ) -> None:
        answer = subscription.run.answer
        connection.beat = lambda: subscription.reader.interject(answer.heartbeat())
        while not subscription.reader.at_end:
            await connection.write(sse.frames(events))
            events = await subscription.reader.read()
        failure = subscription.run.failure
        last = failure.events if failure else answer.end()
        await connection.write(sse.frames((*events, *last)), more=False)


async def _send(connection: ClientConnection, response: Response) -> None:
    await connection.start(response.status_code, response.raw_headers)
    await connection.write(bytes(response.body), more=False)


def _milliseconds_since(started: float) -> str:
    return str(int((time.perf_counter() - started) * 1000))
