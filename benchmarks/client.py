"""A bare HTTP client for measuring: raw asyncio, so that what is measured is not the client."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Timing:
    """One streamed answer. Times are seconds from the request, delays ns from token to token."""

    role: float = 0.0
    total: float = 0.0
    delays: list[int] = field(default_factory=list[int])
    failed: str | None = None


async def ask(port: int, model: str, **extra: Any) -> Timing:
    """Stream one answer over a new connection."""
    messages = [{"role": "user", "content": "Why is the sky blue?"}]
    payload = {"model": model, "stream": True, "messages": messages, **extra}
    body = json.dumps(payload).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    timing, started = Timing(), time.perf_counter()
    try:
        writer.write(head.encode() + body)
        status = await reader.readline()
        if b" 200 " not in status:
            timing.failed = status.decode()
            return timing
        while True:
            line = await reader.readline()
            now = time.monotonic_ns()
            if not line or line.startswith(b"data: [DONE]"):
                break
            if line.startswith(b"data: "):
                _note(timing, json.loads(line[6:]), now, started)
        timing.total = time.perf_counter() - started
    finally:
        writer.close()
    return timing


def _note(timing: Timing, chunk: dict[str, Any], now: int, started: float) -> None:
    if not timing.role:
        timing.role = time.perf_counter() - started
    if "error" in chunk:
        timing.failed = chunk["error"]["message"]
        return
    for choice in chunk["choices"]:
        content = choice["delta"].get("content")
        for sent in (content or "").split():
            timing.delays.append(now - int(sent))


async def critical_path(port: int) -> float:
    """Seconds of a draft, a vote and a presentation, one after the other, straight on upstream."""
    total = 0.0
    for names in (("new_answer",), ("vote", "new_answer"), ()):
        tools = [{"type": "function", "function": {"name": name}} for name in names]
        total += (await ask(port, "m", **({"tools": tools} if tools else {}))).total
    return total
