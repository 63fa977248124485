"""The client that measures: raw asyncio over kept-alive connections, as cheap as can be."""

import asyncio
import contextlib
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

QUESTION = "Why is the sky blue?"


def payload(model: str, *, stream: bool = True, path: str = "/v1", **more: Any) -> bytes:
    """A chat request, head and body."""
    messages = [{"role": "user", "content": QUESTION}]
    body = json.dumps({"model": model, "stream": stream, "messages": messages, **more}).encode()
    head = (
        f"POST {path}/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer none\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(slots=True)
class Timing:
    """One answer: seconds to its first event and to its end; ns from token to token."""

    first: float = 0.0
    total: float = 0.0
    delays: list[int] = field(default_factory=list[int])
    bytes: int = 0


class Failed(Exception):
    """An answer that was none."""


class Connection(asyncio.Protocol):
    """One connection; ``ask`` as often as wanted, one request at a time.

    With ``stamps`` the tokens of an answer are read as times (see ``upstream``). An answer in which
    nothing is as ``expected`` is none.
    """

    def __init__(
        self, port: int, *, stamps: bool = False, expected: re.Pattern[bytes] | None = None
    ) -> None:
        self._port = port
        self._stamps = stamps
        self._expected = expected
        self._missing = False
        self._transport: asyncio.WriteTransport
        self._done: asyncio.Future[None] | None = None
        self._timing = Timing()
        self._start = 0.0
        self._head = b""
        self._closes = False
        self._left = -1
        self._tail: bytes = b""
        self._last: bytes = b""

    @classmethod
    async def open(
        cls, port: int, *, stamps: bool = False, expected: re.Pattern[bytes] | None = None
    ) -> "Connection":
        """Connect to a local port."""
        made = cls(port, stamps=stamps, expected=expected)
        await made.connect()
        return made

    async def connect(self) -> None:
        """Connect, or connect again to a server that closes after each answer."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", self._port)

    async def ask(self, request: bytes) -> Timing:
        """Send a request and read all of its answer. Raises ``Failed``."""
        if self._transport.is_closing():
            await self.connect()
        self._done = asyncio.get_running_loop().create_future()
        self._timing, self._head, self._left, self._tail, self._last = Timing(), b"", -1, b"", b""
        self._missing = self._expected is not None
        self._start = time.perf_counter()
        self._transport.write(request)
        await self._done
        return self._timing

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and b"[DONE]" in self._last:
            self._end()
        self._fail(f"the connection was closed ({exc})")

    def data_received(self, data: bytes) -> None:
        timing, received = self._timing, time.monotonic_ns()
        timing.bytes += len(data)
        if self._left < 0:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            self._begin(head)
        if not timing.first and data:
            timing.first = time.perf_counter() - self._start
        text = self._tail + data
        if self._missing and self._expected and self._expected.search(text):
            self._missing = False
        if self._left:
            self._left -= len(data)
            self._tail = text[-256:]
            if self._left <= 0:
                self._end()
            return
        if b'"error"' in text:
            self._fail(text[text.index(b'"error"') :].decode(errors="replace")[:400])
        if self._stamps:
            self._read(text, received)
        self._last = text[-64:]
        self._tail = text[text.rfind(b"\n\n") + 2 :][-4096:]
        if text.endswith(b"0\r\n\r\n"):
            self._end()

    def _begin(self, head: bytes) -> None:
        """``_left`` is the length of the body, 0 for one in chunks."""
        if b" 200 " not in head[:20]:
            self._fail(head.decode("latin-1")[:200])
        head = head.lower()
        self._closes = b"\r\nconnection: close" in head
        _, found, length = head.partition(b"content-length:")
        self._left = int(length.partition(b"\r\n")[0]) if found else 0

    def _read(self, text: bytes, received: int) -> None:
        whole = text[: text.rfind(b"\n\n") + 1]
        for piece in whole.split(b'"content":"')[1:]:
            sent = piece.partition(b" ")[0]
            if sent.isdigit():
                self._timing.delays.append(received - int(sent))

    def _end(self) -> None:
        self._timing.total = time.perf_counter() - self._start
        if self._closes:  # a server that said so may read no more, and wait for this end to close
            self._transport.close()
        if self._missing:
            self._fail("an answer without what is expected of it")
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, why: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(Failed(why))


@dataclass(frozen=True, slots=True)
class Load:
    """What a crowd measured."""

    timings: Sequence[Timing]
    seconds: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.timings) / self.seconds

    @property
    def median(self) -> float:
        """Seconds of the median answer."""
        return statistics.median(timing.total for timing in self.timings)

    def delays(self) -> list[float]:
        """Milliseconds from token to token, in order of size."""
        return sorted(delay / 1e6 for timing in self.timings for delay in timing.delays)

    def firsts(self) -> list[float]:
        """Milliseconds to the first event, in order of size."""
        return sorted(timing.first * 1e3 for timing in self.timings)


async def crowd(
    port: int,
    request: bytes,
    clients: int,
    *,
    seconds: float = 0.0,
    runs: int = 1,
    stamps: bool = False,
    spread: float = 0.0,
) -> Load:
    """So many clients ask again and again: each at least ``runs`` times, and for ``seconds``.

    They begin over a ``spread`` of seconds. Raises ``Failed``.
    """
    timings: list[Timing] = []
    connections = [await Connection.open(port, stamps=stamps) for _ in range(clients)]
    start = time.perf_counter()

    async def client(place: int, connection: Connection) -> None:
        if spread:
            await asyncio.sleep(spread * place / clients)
        count = 0
        while count < runs or time.perf_counter() - start < seconds:
            timings.append(await connection.ask(request))
            count += 1

    await asyncio.gather(*(client(*each) for each in enumerate(connections)))
    took = time.perf_counter() - start
    for connection in connections:
        connection.close()
    return Load(timings, took)


@dataclass(frozen=True, slots=True)
class Window:
    """What a crowd got within so many seconds; ``failed`` are answers that were none."""

    completed: int
    failed: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.completed / self.seconds


async def window(
    port: int,
    request: bytes,
    clients: int,
    *,
    warm: float,
    seconds: float,
    expected: re.Pattern[bytes] | None = None,
) -> Window:
    """What so many clients get in a window after a warm-up; whatever is under way then is left.

    They begin over the warm-up, so that a slow server does not answer them in waves. One that got
    no answer asks again after a second.
    """
    counts: Counter[bool] = Counter()
    start = time.perf_counter() + warm

    async def client(place: int) -> None:
        await asyncio.sleep(warm * place / clients)
        while True:
            with contextlib.suppress(Failed, OSError):
                connection = await Connection.open(port, expected=expected)
                try:
                    while True:
                        await connection.ask(request)
                        counts[True] += time.perf_counter() >= start
                finally:
                    connection.close()
            counts[False] += time.perf_counter() >= start
            await asyncio.sleep(1)

    asked = [asyncio.create_task(client(place)) for place in range(clients)]
    await asyncio.sleep(warm + seconds)
    took = time.perf_counter() - start
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)
    return Window(counts[True], counts[False], took)


def percentile(values: Sequence[float], percent: float) -> float:
    """Of values in order of size."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]
