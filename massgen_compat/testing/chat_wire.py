"""Renders a play on OpenAI's Chat Completions wire, as a stream and as a whole. Pure.

As at OpenAI, reasoning shows in the usage only, and the provider's own tools do not show at all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from pydantic_core import to_json

from massgen_compat._run.message import Json, ToolCall
from massgen_compat._run.result import FinishReason, Usage
from massgen_compat.testing.play import Play, argument_tokens, certain, text_tokens
from massgen_compat.testing.request import WireRequest
from massgen_compat.testing.script import Refuse
from massgen_compat.testing.wire import CREATED, Frame, padding, refusal_body, section

FINGERPRINT: Final = "fp_scripted"


class ChatWire:
    """The Chat Completions form of one play. ``seed`` is a part of its id."""

    def __init__(self, planned: Play, request: WireRequest, *, seed: str) -> None:
        self._play = planned
        options = section(request.body, "stream_options")
        self._include_usage = options.get("include_usage") is True
        self._obfuscate = options.get("include_obfuscation") is not False
        says_nothing = not planned.text and (planned.refusal is not None or planned.calls)
        self._content = None if says_nothing else planned.text
        self._finish = _finish_reason(planned, request)
        self._identity: Json = {
            "id": f"chatcmpl-{seed}",
            "created": CREATED,
            "model": request.model,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        }
        chunk = to_json({"object": "chat.completion.chunk", **self._identity})
        self._head = b"data: " + chunk[:-1] + b',"choices":'
        self._delta_head = self._head + b'[{"index":0,"delta":'
        self._top_logprobs = int(request.body.get("top_logprobs") or 0)
        self._wants_logprobs = request.body.get("logprobs") is True
        usage = b',"usage":null' if self._include_usage else b""
        self._ends = [usage + self._padding(size) + b"}\n\n" for size in range(16)]

    def opening(self) -> bytes:
        """Nothing: on this wire nothing comes before the model starts."""
        return b""

    def frames(self) -> Iterator[Frame]:
        """The role chunk, then text, refusal and calls, a token at a time."""
        calls = self._play.calls
        yield Frame(self._delta(self._role_delta()))
        for token in text_tokens(self._play.text):
            said = self._delta(b'{"content":' + to_json(token) + b"}", self._logprobs([token]))
            yield Frame(said, token=True)
        for token in text_tokens(self._play.refusal or ""):
            yield Frame(self._delta(b'{"refusal":' + to_json(token) + b"}"), token=True)
        for index, call in enumerate(calls):
            if not self._is_single_call():
                yield Frame(self._delta(to_json({"tool_calls": [_call_head(call, index)]})))
            kind, said = _KINDS[call.custom]
            head = b'{"tool_calls":[{"index":%d,"%s":{"%s":' % (index, kind, said)
            for fragment in argument_tokens(call.arguments):
                yield Frame(self._delta(head + to_json(fragment) + b"}}]}"), token=True)

    def closing(self) -> bytes:
        """The finish chunk, the usage if it was asked for, and ``[DONE]``."""
        choice: Json = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": self._finish}
        end = self._head + to_json({"c": [choice]})[5:-1] + self._ends[4]
        if self._include_usage and self._play.usage is not None:
            usage = to_json({"usage": _usage(self._play.usage)})[1:-1]
            end += self._head + b"[]," + usage + self._padding(6) + b"}\n\n"
        return end + b"data: [DONE]\n\n"

    def failed(self, refused: Refuse) -> bytes:
        """An error in place of a chunk; nothing follows it."""
        return b"data: " + to_json(refusal_body(refused)) + b"\n\n"

    def whole(self) -> bytes:
        """A ``chat.completion``."""
        planned = self._play
        message: dict[str, Any] = {
            "role": "assistant",
            "content": self._content,
            "refusal": planned.refusal,
            "annotations": [],
        }
        if planned.calls:
            message["tool_calls"] = [_call(call) for call in planned.calls]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": self._logprobs(text_tokens(planned.text)),
            "finish_reason": self._finish,
        }
        body = {"object": "chat.completion", **self._identity, "choices": [choice]}
        if planned.usage is not None:
            body["usage"] = _usage(planned.usage)
        return to_json(body)

    def _is_single_call(self) -> bool:
        planned = self._play
        return len(planned.calls) == 1 and not planned.text and planned.refusal is None

    def _role_delta(self) -> bytes:
        planned = self._play
        content = None if self._content is None else ""
        delta: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        if self._is_single_call():
            delta["tool_calls"] = [_call_head(planned.calls[0], 0)]
        return to_json(delta)

    def _delta(self, delta: bytes, logprobs: Json | None = None) -> bytes:
        told = b"null" if logprobs is None else to_json(logprobs)
        tail = b',"logprobs":' + told + b',"finish_reason":null}]'
        return self._delta_head + delta + tail + self._ends[len(delta) % 16]

    def _logprobs(self, tokens: Iterable[str]) -> Json | None:
        if not self._wants_logprobs:
            return None
        content = [certain(token, self._top_logprobs) for token in tokens]
        return {"content": content, "refusal": None}

    def _padding(self, size: int) -> bytes:
        return b',"obfuscation":"%s"' % padding(size).encode() if self._obfuscate else b""


def _finish_reason(planned: Play, request: WireRequest) -> FinishReason:
    """The finish reason; at OpenAI a forced call of one function ends with ``stop``.

    vLLM's issue 25054 has the measurement.
    """
    named = bool({"function", "custom"} & section(request.body, "tool_choice").keys())
    return "stop" if named and planned.finish_reason == "tool_calls" else planned.finish_reason


def _call_head(call: ToolCall, index: int) -> Json:
    return {"index": index, **_call(replace(call, arguments=""))}


def _call(call: ToolCall) -> Json:
    kind, said = (name.decode() for name in _KINDS[call.custom])
    return {"id": call.id, "type": kind, kind: {"name": call.name, said: call.arguments}}


_KINDS: Final = {False: (b"function", b"arguments"), True: (b"custom", b"input")}
"""By whether a tool is custom: the ``type`` of its calls, and the name of a call's input. No stream
of a custom call was recorded, so its fragments are those of a function, with these names."""


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
