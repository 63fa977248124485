"""A bare upstream of known speed, for measuring: raw asyncio, Chat Completions, streaming only.

It drafts, votes for agent1 and presents, 50 tokens each time, the first after 20 ms and then one
every 5 ms. Each token of a message is the time at which it was sent (``CLOCK_MONOTONIC``, ns), so
that whoever receives it knows how long it was under way. ``python -m benchmarks.upstream`` prints
its port.
"""

import asyncio
import json
import sys
import time
from typing import Any

FIRST, EVERY, TOKENS = 0.020, 0.005, 50

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _frame(delta: dict[str, Any], finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _chunked({"choices": [choice], **more})


def _chunked(payload: dict[str, Any]) -> bytes:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    data = b"data: " + json.dumps({**base, **payload}).encode() + b"\n\n"
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _call(name: str, arguments: str) -> list[bytes]:
    """A tool call in ``TOKENS`` fragments."""
    step = -(-len(arguments) // (TOKENS - 1))
    pieces = [arguments[i : i + step] for i in range(0, len(arguments), step)]
    head = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name}}
    head["function"] = {"name": name, "arguments": ""}
    frames = [_frame({"role": "assistant", "content": None, "tool_calls": [head]})]
    frames += [_frame({"tool_calls": [{"index": 0, "function": {"arguments": p}}]}) for p in pieces]
    return frames


_USAGE = {"prompt_tokens": 100, "completion_tokens": TOKENS, "total_tokens": 100 + TOKENS}
_DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_TAIL = _chunked({"choices": [], "usage": _USAGE}) + _DONE

DRAFT = _call("new_answer", json.dumps({"content": "word " * 49}))
VOTE = _call("vote", json.dumps({"agent_id": "agent1", "reason": "word " * 45}))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept alive."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            body = json.loads(await reader.readexactly(length))
            await _answer(body, writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _answer(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    tools = {tool["function"]["name"] for tool in body.get("tools", ())}
    frames = VOTE if "vote" in tools else DRAFT if tools else None
    start = asyncio.get_running_loop().time() + FIRST
    writer.write(HEAD)
    for index in range(len(frames) if frames else TOKENS):
        await asyncio.sleep(start + index * EVERY - asyncio.get_running_loop().time())
        token = frames[index] if frames else _frame({"content": f"{time.monotonic_ns()} "})
        writer.write(token)
        await writer.drain()
    writer.write(_frame({}, "tool_calls" if frames else "stop") + _TAIL)
    await writer.drain()


async def main() -> None:
    """Serve on a free port until killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
