"""A bare upstream of known pace: one asyncio protocol, Chat Completions, streamed and whole.

It has to be cheaper than what it is asked by. It drafts, votes for the first answer and presents,
each reply as long as the others, and takes MassGen's agents as well as ours. The tokens of a
message are the times at which they were sent (``CLOCK_MONOTONIC``, ns), so that whoever receives
one knows how long it was under way. A whole reply comes when the last token of a streamed one
would.

``python -m benchmarks.upstream [FIRST EVERY TOKENS]`` prints its port; the pace is in seconds.
"""

import asyncio
import json
import sys
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from benchmarks.loops import run

PACE = (0.020, 0.005, 50)
"""Seconds to the first token, seconds from token to token, tokens."""

AGENTS = ("agent1", "agent2", "agent3")
NOTHING_YET = b"(no answers available yet)"
PRESENT = b"VOTING RESULTS:"
"""What MassGen tells an agent that it lets draft or vote, as long as there are no answers; and one
that is to present, which has tools all the same."""

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Call:
    """A reply that calls a tool: its frames, and the same in one piece."""

    frames: Sequence[bytes]
    whole: bytes


class Script:
    """What is said, as bytes made once: drafts and votes."""

    def __init__(self, tokens: int) -> None:
        words = tokens - 1
        self.tokens = tokens
        usage = {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens}
        self.usage = usage
        done = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
        tail = _chunk({"choices": [], "usage": usage}) + done
        self.called = _frame({}, "tool_calls") + tail
        self.stopped = _frame({}, "stop") + tail
        self.draft = self._call("new_answer", {"content": "word " * words})
        reason = "word " * max(words - 4, 1)
        self.votes = {
            name: self._call("vote", {"agent_id": name, "reason": reason}) for name in AGENTS
        }

    def call(self, tools: Container[str], body: bytes) -> Call | None:
        """The call that a request asks for, by its tools; ``None``: a message."""
        if not tools or PRESENT in body:
            return None
        if "vote" not in tools or NOTHING_YET in body:
            return self.draft
        name = next((name for name in AGENTS if f"<{name}.".encode() in body), AGENTS[0])
        return self.votes[name]

    def _call(self, name: str, arguments: dict[str, str]) -> Call:
        given = json.dumps(arguments)
        whole = self._whole(_calling(name, given), "tool_calls")
        return Call(_call(name, given, self.tokens), whole)

    def whole_message(self) -> bytes:
        """A message that is sent now."""
        text = f"{time.monotonic_ns()} " * self.tokens
        return self._whole({"role": "assistant", "content": text}, "stop")

    def _whole(self, message: dict[str, Any], finish: str) -> bytes:
        choice = {"index": 0, "message": message, "finish_reason": finish}
        base = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        body = json.dumps({**base, "choices": [choice], "usage": self.usage}).encode()
        head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
        return f"{head}{len(body)}\r\n\r\n".encode() + body


def _frame(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return _chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _chunk(payload: dict[str, Any]) -> bytes:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    data = b"data: " + json.dumps({**base, **payload}).encode() + b"\n\n"
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _call(name: str, arguments: str, tokens: int) -> list[bytes]:
    """A tool call in exactly as many fragments."""
    ends = [len(arguments) * place // (tokens - 1) for place in range(tokens)]
    pieces = [arguments[start:end] for start, end in pairwise(ends)]
    function = {"name": name, "arguments": ""}
    head = {"index": 0, "id": "call_1", "type": "function", "function": function}
    frames = [_frame({"role": "assistant", "content": None, "tool_calls": [head]})]
    frames += [_frame({"tool_calls": [{"index": 0, "function": {"arguments": p}}]}) for p in pieces]
    return frames


def _calling(name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    call = {"id": "call_1", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


_TOKEN = _frame({"content": "%d "}).partition(b"%d")
_TOKEN_HEAD, _TOKEN_TAIL = _TOKEN[0].partition(b"\r\n")[2], _TOKEN[2]


def token() -> bytes:
    """The frame of a token that is sent now."""
    data = b"%s%d%s" % (_TOKEN_HEAD, time.monotonic_ns(), _TOKEN_TAIL)
    return b"%x\r\n%s" % (len(data) - 2, data)


class Upstream(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, script: Script, first: float, every: float) -> None:
        self._script = script
        self._first, self._every = first, every
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        _, _, length = head.partition(b"content-length:")
        size = int(length.partition(b"\r\n")[0] or 0)
        if len(self._buffer) >= end + 4 + size:
            body = bytes(self._buffer[end + 4 : end + 4 + size])
            del self._buffer[: end + 4 + size]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        script, asked = self._script, json.loads(body or b"{}")
        call = script.call({tool["function"]["name"] for tool in asked.get("tools") or ()}, body)
        if asked.get("stream"):
            frames = call.frames if call else None
            self._transport.write(HEAD)
            self._later(self._first, self._next, frames, 0, self._loop.time() + self._first)
            return
        delay = self._first + (script.tokens - 1) * self._every
        self._later(delay, self._whole, call)

    def _whole(self, call: Call | None) -> None:
        self._transport.write(call.whole if call else self._script.whole_message())

    def _next(self, frames: Sequence[bytes] | None, index: int, due: float) -> None:
        """Write what is due now; each token in a write of its own, as a provider sends it."""
        count = len(frames) if frames else self._script.tokens
        while True:
            self._transport.write(frames[index] if frames else token())
            index += 1
            if index == count:
                script = self._script
                self._transport.write(script.called if frames else script.stopped)
                return
            due += self._every
            if self._every:
                self._later(due - self._loop.time(), self._next, frames, index, due)
                return

    def _later(self, delay: float, call: Any, *arguments: object) -> None:
        if delay > 0:
            self._timer = self._loop.call_later(delay, call, *arguments)
        else:
            call(*arguments)


async def main() -> None:
    """Serve on a free port until killed."""
    first, every, tokens = map(float, sys.argv[1:] or PACE)
    script = Script(int(tokens))
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(script, first, every), "127.0.0.1", 0, backlog=4096
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    run(main())
