"""Replies as values: what OpenAI really sent, and short ways to make others."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from massgen_compat.cli.doctor.observed import FrameReader, Reply, StreamReply

EVENTS = {"content-type": "text/event-stream; charset=utf-8"}

# Recorded from OpenAI's API (gpt-4o-2024-08-06), without `obfuscation` and the details of usage;
# the tool's name and arguments are those that the doctor asks for.
ID = "chatcmpl-CMKAtIAKW1eiFzDAZmCcrbvHgyoSw"
CALLED: list[dict[str, Any]] = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "index": 0,
                "id": "call_rI3WKPYvVwlOgCGRjsPP2hEx",
                "type": "function",
                "function": {"name": "get_weather", "arguments": ""},
            }
        ],
        "refusal": None,
    },
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]},
]
SAID: list[dict[str, Any]] = [
    {"role": "assistant", "content": "", "refusal": None},
    {"content": "The"},
    {"content": " capital"},
    {"content": " of"},
    {"content": " Mexico"},
]
COMPLETION: dict[str, Any] = {
    "choices": [
        {
            "finish_reason": "stop",
            "index": 0,
            "logprobs": None,
            "message": {
                "annotations": [],
                "content": "Hello! How can I assist you today?",
                "refusal": None,
                "role": "assistant",
            },
        }
    ],
    "created": 1743073438,
    "id": "chatcmpl-BFfJeRdAVFPUVWxV3OYH1tSR5KvrI",
    "model": "gpt-4o-2024-08-06",
    "object": "chat.completion",
    "service_tier": "default",
    "system_fingerprint": "fp_898ac29719",
    "usage": {"completion_tokens": 10, "prompt_tokens": 8, "total_tokens": 18},
}
USAGE = {"prompt_tokens": 14, "completion_tokens": 8, "total_tokens": 22}


def as_json(body: object, status: int = 200, **headers: str) -> Reply:
    """A reply in JSON; a header ``x_y`` is ``x-y``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = json.dumps(body).encode()
    return Reply(status=status, headers={"content-type": "application/json", **named}, body=data)


def refusal(status: int, **fields: str | None) -> Reply:
    """OpenAI's shape of an error."""
    error = {"message": "No.", "type": "invalid_request_error", "param": None, "code": None}
    return as_json({"error": {**error, **fields}}, status)


def completion(
    *, usage: object = COMPLETION["usage"], reason: str = "stop", **message: object
) -> Reply:
    """OpenAI's completion with another message, finish reason or usage."""
    choice = COMPLETION["choices"][0]
    choices = [{**choice, "message": {**choice["message"], **message}, "finish_reason": reason}]
    return as_json({**COMPLETION, "choices": choices, "usage": usage})


def chunk(choices: object, **fields: object) -> str:
    """A chunk's data."""
    head = {"id": ID, "object": "chat.completion.chunk", "created": 1759436803, "model": "gpt-4o"}
    return json.dumps({**head, "choices": choices, **fields})


def told(deltas: Sequence[Mapping[str, Any]], reason: str | None = "stop") -> list[str]:
    """The data of chunks: these deltas, then the end."""
    data = [
        chunk([{"index": 0, "delta": delta, "finish_reason": None}], usage=None) for delta in deltas
    ]
    if reason:
        end = {"index": 0, "delta": dict[str, Any](), "finish_reason": reason}
        data.append(chunk([end], usage=None))
    return data


WHOLE = [*told(SAID), chunk([], usage=USAGE), "[DONE]"]
"""The data of OpenAI's stream with ``include_usage``."""


def stream(
    data: Sequence[str],
    *,
    times: Sequence[float] | None = None,
    broken: str | None = None,
    headers: Mapping[str, str] = EVENTS,
    status: int = 200,
) -> StreamReply:
    """A stream of these data: one piece each, or as many as there are ``times``.

    Data that hold a line break are sent as they stand.
    """
    sent = [each if "\n" in each else f"data: {each}\n\n" for each in data]
    if times is None:
        times = [0.1 * number for number in range(1, len(sent) + 1)]
    reader = FrameReader()
    frames = [
        frame
        for number, text in enumerate(sent)
        for frame in reader.feed(text.encode(), times[min(number, len(times) - 1)])
    ]
    body = "".join(sent).encode()
    seconds = times[-1] if times else 0.0
    reply = Reply(status=status, headers=headers, body=body, seconds=seconds, broken=broken)
    return StreamReply(reply=reply, frames=frames, pieces=tuple(times))
