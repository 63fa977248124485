"""A provider on the loopback interface that plays a script, byte by byte."""

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from massgen_compat._run.message import text_message
from massgen_compat._run.turn import Phase, TurnRequest

Whole = tuple[int, dict[str, str], bytes]
Step = Whole | bytes | anyio.Event | None
"""A whole response (status, headers, body), a piece of an event stream, something to wait for, or
``None``: cut the connection."""

EVENT_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


@dataclass
class Upstream:
    """What the provider saw.

    ``asked`` is set by the first request, ``left`` when a client closes its connection.
    """

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    connections: int = 0
    asked: anyio.Event = field(default_factory=anyio.Event)
    left: anyio.Event = field(default_factory=anyio.Event)


async def _read_request(stream: SocketStream, buffer: bytearray) -> dict[str, Any]:
    """The next request. Raises ``anyio.EndOfStream`` where the client is gone."""
    while b"\r\n\r\n" not in buffer:
        buffer += await stream.receive()
    head, _, rest = bytes(buffer).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers.get("content-length", "0"))
    while len(rest) < length:
        rest += await stream.receive()
    buffer[:] = rest[length:]
    target = first.split(" ")[1]
    return {"target": target, "headers": headers, "body": json.loads(rest[:length])}


async def _play(stream: SocketStream, script: Sequence[Step]) -> bool:
    """Send one answer; tells whether the connection stays open."""
    streaming = False
    for step in script:
        match step:
            case None:
                return False
            case anyio.Event():
                await step.wait()
            case bytes():
                if not streaming:
                    await stream.send(EVENT_STREAM)
                streaming = True
                await stream.send(b"%x\r\n%s\r\n" % (len(step), step))
            case (status, headers, body):
                lines = {"content-length": str(len(body)), **headers}
                head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
                await stream.send(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)
    if streaming:
        await stream.send(b"0\r\n\r\n")
    return True


@asynccontextmanager
async def _serving(*scripts: Sequence[Step]) -> AsyncGenerator[Upstream]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra_attributes[SocketAttribute.local_port]()
    upstream = Upstream(f"http://127.0.0.1:{port}/v1")

    async def watch(stream: SocketStream, buffer: bytearray) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                buffer += await stream.receive()
        upstream.left.set()

    async def converse(stream: SocketStream) -> None:
        upstream.connections += 1
        buffer = bytearray()
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            async with stream:
                stays = True
                while stays:
                    upstream.requests.append(await _read_request(stream, buffer))
                    upstream.asked.set()
                    script = scripts[min(len(upstream.requests), len(scripts)) - 1]
                    async with anyio.create_task_group() as tasks:
                        if any(isinstance(step, anyio.Event) for step in script):
                            tasks.start_soon(watch, stream, buffer)
                        stays = await _play(stream, script)
                        tasks.cancel_scope.cancel()

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, converse)
        yield upstream
        tasks.cancel_scope.cancel()


@pytest.fixture
def serving() -> Callable[..., AbstractAsyncContextManager[Upstream]]:
    """Serves scripts, one for each request and the last one for all that follow."""
    return _serving


@pytest.fixture
def turn() -> TurnRequest:
    """The plainest turn there is."""
    messages = (text_message("system", "Be brief."), text_message("user", "Hello"))
    return TurnRequest(agent="a", round=1, phase=Phase.DRAFT, messages=messages)
