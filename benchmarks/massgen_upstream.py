"""An upstream without delay that plays MassGen's workflow: drafts, votes for an answer, presents.

Raw asyncio, Chat Completions, streaming. ``python -m benchmarks.massgen_upstream`` prints its port.
"""

import asyncio
import json
import socket
import sys
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
MESSAGE = "It scatters most of all, and so the sky is blue."


def _chunked(payload: dict[str, Any]) -> bytes:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    data = b"data: " + json.dumps({**base, **payload}).encode() + b"\n\n"
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _delta(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return _chunked({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _call(name: str, arguments: dict[str, str]) -> bytes:
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return _delta({"role": "assistant", "content": None, "tool_calls": [call]}) + _delta(
        {}, "tool_calls"
    )


def _text(text: str) -> bytes:
    words = b"".join(_delta({"content": f"{word} "}) for word in text.split())
    return _delta({"role": "assistant", "content": ""}) + words + _delta({}, "stop")


_USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
_TAIL = _chunked({"choices": [], "usage": _USAGE}) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def _reply(body: dict[str, Any]) -> bytes:
    tools = {tool["function"]["name"] for tool in body.get("tools", ()) if "function" in tool}
    if "vote" not in tools:
        return _text(MESSAGE)
    said = json.dumps(body["messages"])
    if "(no answers available yet)" in said:
        return _call("new_answer", {"content": "Air scatters blue light."})
    target = next((n for n in ("agent1", "agent2", "agent3") if f"<{n}." in said), "agent1")
    return _call("vote", {"agent_id": target, "reason": "It is right."})


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept alive."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(x.split(b":")[1]) for x in lines if x.startswith(b"content-length"))
            body = json.loads(await reader.readexactly(length))
            writer.write(HEAD + _reply(body) + _TAIL)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serve on a free port until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(serve, sock=listener, backlog=4096)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
