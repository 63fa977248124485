"""The clients of the soak: raw asyncio over kept-alive connections, some of which are torn down."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

QUESTION = "Why is the sky blue?"


def payload(model: str, *, stream: bool) -> bytes:
    """A chat request, head and body."""
    messages = [{"role": "user", "content": QUESTION}]
    body = json.dumps({"model": model, "stream": stream, "messages": messages}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@dataclass(slots=True)
class Tally:
    """What became of the runs. ``faults`` counts whatever is no right answer, by what it was."""

    answered: int = 0
    killed: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    seconds: list[float] = field(default_factory=list[float])


class Connection:
    """One kept-alive connection to the server, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def run(
        self, model: str, expected: str, *, stream: bool, begun: Callable[[], None] | None = None
    ) -> str | None:
        """One run; what is wrong with its answer, if anything is.

        ``begun`` is called with the first word of the message of a stream.
        """
        try:
            reader, writer = await self._connected()
            writer.write(payload(model, stream=stream))
            head = await reader.readuntil(b"\r\n\r\n")
            status = head.split(b" ", 2)[1].decode()
            answer = await self._body(reader, head, begun)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            return type(error).__name__
        if status != "200":
            return f"{status}: {answer[:200].decode(errors='replace')}"
        return wrong_stream(answer, expected) if stream else wrong_whole(answer, expected)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None or self._reader.at_eof():
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self._reader, self._writer

    async def _body(
        self, reader: asyncio.StreamReader, head: bytes, begun: Callable[[], None] | None
    ) -> bytes:
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return await reader.readexactly(int(line.split(b":")[1]))
        pieces: list[bytes] = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            piece = (await reader.readexactly(size + 2))[:-2]
            pieces.append(piece)
            if begun is not None and b'"content":"word' in piece:
                begun()
                begun = None
        await reader.readexactly(2)
        return b"".join(pieces)

    def close(self) -> None:
        """End the connection in order: the peer reads its end."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    def abort(self) -> None:
        """Tear the connection down, whatever is under way on it."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


def wrong_stream(answer: bytes, expected: str) -> str | None:
    """What is wrong with the events of a stream, if anything is."""
    *events, done = [line[6:] for line in answer.split(b"\n") if line.startswith(b"data: ")]
    if done != b"[DONE]":
        return "no [DONE]"
    text, finish = "", None
    for chunk in map(json.loads, events):
        if "error" in chunk:
            return f"error event: {chunk['error']['message'][:200]}"
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            finish = choice["finish_reason"] or finish
    return _wrong(text, finish, expected)


def wrong_whole(answer: bytes, expected: str) -> str | None:
    """What is wrong with a completion, if anything is."""
    choice: dict[str, Any] = json.loads(answer)["choices"][0]
    return _wrong(choice["message"]["content"], choice["finish_reason"], expected)


def _wrong(text: str | None, finish: str | None, expected: str) -> str | None:
    if text != expected:
        return f"wrong text: {(text or '')[:80]!r}"
    return None if finish == "stop" else f"finish_reason {finish}"


@dataclass(slots=True)
class Crowd:
    """Many short runs, each streamed or not, some killed at a random moment of a typical run."""

    port: int
    expected: str
    dice: Random
    kills: float
    typical: float = 0.05

    async def work(self, runs: int, at_once: int) -> Tally:
        """Do so many runs, so many at once."""
        tally, left = Tally(), iter(range(runs))
        await asyncio.gather(*(self._worker(left, tally) for _ in range(at_once)))
        return tally

    async def _worker(self, left: Iterator[int], tally: Tally) -> None:
        connection = Connection(self.port)
        for _ in left:
            await self._one(connection, tally)
        connection.close()

    async def _one(self, connection: Connection, tally: Tally) -> None:
        start = time.perf_counter()
        doomed = self.dice.random() < self.kills
        patience = self.dice.uniform(0, self.typical) if doomed else 120
        stream = self.dice.random() < 0.5
        try:
            async with asyncio.timeout(patience):
                wrong = await connection.run("quick", self.expected, stream=stream)
        except TimeoutError:
            (connection.abort if self.dice.random() < 0.5 else connection.close)()
            if doomed:
                tally.killed += 1
            else:
                tally.faults["no answer within 120 s"] += 1
            return
        if wrong is not None:
            tally.faults[wrong] += 1
            return
        tally.answered += 1
        seconds = time.perf_counter() - start
        tally.seconds.append(seconds)
        self.typical += 0.05 * (seconds - self.typical)
