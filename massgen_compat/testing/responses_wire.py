"""Renders a play on OpenAI's Responses wire, as a stream and as a whole. Pure.

The stream numbers its events from 0 and has no ``[DONE]``. Encrypted reasoning is a placeholder
that differs between ``output_item.added`` and ``output_item.done``, as the real one does. The
response object repeats the request, with the defaults of all parameters that it left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from pydantic_core import to_json

from massgen_compat._run.message import Json, ToolCall
from massgen_compat._run.result import FinishReason, Usage
from massgen_compat.testing.play import Play, argument_tokens, text_tokens
from massgen_compat.testing.request import WireRequest
from massgen_compat.testing.script import Refuse
from massgen_compat.testing.wire import CREATED, Frame, padding, refusal_code, section


class ResponsesWire:
    """The Responses form of one play. ``seed`` is a part of all its ids."""

    def __init__(self, planned: Play, request: WireRequest, *, seed: str) -> None:
        self._play = planned
        self._sequence = 0
        self._seed = seed
        body = request.body
        self._base = _response_object(request, seed=seed)
        include: object = body.get("include")
        self._encrypt = isinstance(include, list) and "reasoning.encrypted_content" in include
        self._summarise = section(body, "reasoning").get("summary") is not None
        self._obfuscate = section(body, "stream_options").get("include_obfuscation") is not False
        self._wants_logprobs = (
            isinstance(include, list) and "message.output_text.logprobs" in include
        )
        self._top_logprobs = int(body.get("top_logprobs") or 0)
        self._incomplete = _INCOMPLETE.get(planned.finish_reason)
        self._items = list(self._output())

    def opening(self) -> bytes:
        """``response.created`` and ``response.in_progress``."""
        response = to_json({"response": self._response("in_progress", [])})[1:-1]
        return b"".join(
            self._raw(f"response.{name}", response) for name in ("created", "in_progress")
        )

    def frames(self) -> Iterator[Frame]:
        """The output items, one after the other."""
        for index, item in enumerate(self._items):
            match item["type"]:
                case "reasoning":
                    yield from self._reasoning(item, index)
                case "message":
                    yield from self._message(item, index)
                case "function_call":
                    kind = "response.function_call_arguments"
                    yield from self._call(item, index, kind, "arguments")
                case "custom_tool_call":
                    kind = "response.custom_tool_call_input"
                    yield from self._call(item, index, kind, "input")
                case _:
                    yield from self._web_search(item, index)

    def closing(self) -> bytes:
        """``response.completed`` or ``response.incomplete``, with the whole response."""
        status = "incomplete" if self._incomplete else "completed"
        return self._event(f"response.{status}", response=self._final())

    def failed(self, refused: Refuse) -> bytes:
        """``response.failed``, with what the script says about it."""
        error = {"code": refusal_code(refused), "message": refused.message}
        response = {**self._response("failed", []), "error": error}
        return self._event("response.failed", response=response)

    def whole(self) -> bytes:
        """A ``response``."""
        return to_json({**self._final(), "billing": {"payer": "developer"}})

    def _output(self) -> Iterator[dict[str, Any]]:
        """The finished output items, in the order in which the recordings have them."""
        planned, seed = self._play, self._seed
        if planned.reasoning is not None:
            text = planned.reasoning if self._summarise else ""
            summary = [{"type": "summary_text", "text": text}] if text else []
            item = {"id": f"rs_{seed}", "type": "reasoning", "content": [], "summary": summary}
            yield {**item, **self._encrypted("done")}
        for index, tool in enumerate(planned.hosted):
            action = {"type": "search", "queries": [_QUERY], "query": _QUERY}
            kind = f"{tool}_call"
            item = {"id": f"ws_{seed}{index:02}", "type": kind, "status": "completed"}
            yield {**item, "action": action}
        if content := list(_content(planned)):
            status = self._status_of(last=not planned.calls)
            item = {"id": f"msg_{seed}", "type": "message", "status": status}
            yield {**item, "content": content, "role": "assistant"}
        for index, call in enumerate(planned.calls):
            status = self._status_of(last=call is planned.calls[-1])
            yield _call_item(call, f"fc_{seed}{index:02}", status)

    def _status_of(self, *, last: bool) -> str:
        """The status of a message or a call: a reply that was cut was cut in its last item."""
        return "incomplete" if self._incomplete and last else "completed"

    def _reasoning(self, item: Json, index: int) -> Iterator[Frame]:
        yield self._added({**item, "summary": [], **self._encrypted("added")}, index)
        at = {"item_id": item["id"], "output_index": index, "summary_index": 0}
        for part in item["summary"]:
            name = "response.reasoning_summary"
            yield Frame(self._event(f"{name}_part.added", **at, part={**part, "text": ""}))
            yield from self._deltas(f"{name}_text.delta", text_tokens(part["text"]), at)
            yield Frame(self._event(f"{name}_text.done", **at, text=part["text"]))
            yield Frame(self._event(f"{name}_part.done", **at, part=part))
        yield self._done(item, index)

    def _web_search(self, item: Json, index: int) -> Iterator[Frame]:
        started = {key: value for key, value in item.items() if key != "action"}
        yield self._added({**started, "status": "in_progress"}, index)
        for name in ("in_progress", "searching", "completed"):
            kind = f"response.{item['type']}.{name}"
            yield Frame(self._event(kind, item_id=item["id"], output_index=index))
        yield self._done(item, index)

    def _message(self, item: Json, index: int) -> Iterator[Frame]:
        yield self._added({**item, "status": "in_progress", "content": []}, index)
        for place, part in enumerate(item["content"]):
            at = {"content_index": place, "item_id": item["id"], "output_index": index}
            yield from self._part(part, at)
        yield self._done(item, index)

    def _part(self, part: Json, at: Json) -> Iterator[Frame]:
        field = "text" if part["type"] == "output_text" else "refusal"
        texts = field == "text"
        logprobs: Json = {"logprobs": []} if texts else {}
        kind = f"response.{part['type']}"
        opened = {**part, field: ""}
        yield Frame(self._event("response.content_part.added", **at, part=opened))
        yield from self._deltas(f"{kind}.delta", text_tokens(part[field]), at, logprobs=texts)
        yield Frame(self._event(f"{kind}.done", **at, **logprobs, **{field: part[field]}))
        yield Frame(self._event("response.content_part.done", **at, part=part))

    def _call(self, item: Json, index: int, kind: str, said: str) -> Iterator[Frame]:
        yield self._added({**item, "status": "in_progress", said: ""}, index)
        at = {"item_id": item["id"], "output_index": index}
        yield from self._deltas(f"{kind}.delta", argument_tokens(item[said]), at)
        yield Frame(self._event(f"{kind}.done", **at, **{said: item[said]}))
        yield self._done(item, index)

    def _added(self, item: Json, index: int) -> Frame:
        return Frame(self._event("response.output_item.added", item=item, output_index=index))

    def _done(self, item: Json, index: int) -> Frame:
        return Frame(self._event("response.output_item.done", item=item, output_index=index))

    def _encrypted(self, state: str) -> dict[str, str]:
        if not self._encrypt:
            return {}
        return {"encrypted_content": f"scripted-no-model-{self._seed}-{state}"}

    # Events

    def _event(self, kind: str, **fields: object) -> bytes:
        return self._raw(kind, to_json(fields)[1:-1])

    def _raw(self, kind: str, fields: bytes) -> bytes:
        number, self._sequence = self._sequence, self._sequence + 1
        name = kind.encode()
        return b'event: %s\ndata: {"type":"%s",%s,"sequence_number":%d}\n\n' % (
            name,
            name,
            fields,
            number,
        )

    def _deltas(
        self, kind: str, tokens: Iterable[str], at: Json, *, logprobs: bool = False
    ) -> Iterator[Frame]:
        place = to_json(at)[1:-1]
        for token in tokens:
            told = to_json({"logprobs": self._logprobs(token)})[1:-1] + b"," if logprobs else b""
            fixed = place + b"," + told + b'"delta":'
            delta = to_json(token)
            padded = _PADDED[len(delta) % 16] if self._obfuscate else b""
            yield Frame(self._raw(kind, fixed + delta + padded), token=True)

    def _logprobs(self, token: str) -> list[Json]:
        """The log probabilities of a token as the schema of streams has them: without ``bytes``."""
        if not self._wants_logprobs:
            return []
        return [
            {
                "token": token,
                "logprob": 0.0,
                "top_logprobs": [{"token": token, "logprob": 0.0}] if self._top_logprobs else [],
            }
        ]

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {**self._base, "status": status, "output": output}

    def _final(self) -> dict[str, Any]:
        status = "incomplete" if self._incomplete else "completed"
        return {
            **self._response(status, self._items),
            "completed_at": None if self._incomplete else CREATED,
            "incomplete_details": {"reason": self._incomplete} if self._incomplete else None,
            "service_tier": "default",
            "usage": None if self._play.usage is None else _usage(self._play.usage),
        }


_QUERY: Final = "[scripted model, no search was made]"
_PADDED: Final = [b',"obfuscation":"%s"' % padding(size).encode() for size in range(16)]
_INCOMPLETE: Final[Mapping[FinishReason, str]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}


def _content(planned: Play) -> Iterator[Json]:
    if planned.text:
        yield {"type": "output_text", "annotations": [], "logprobs": [], "text": planned.text}
    if planned.refusal is not None:
        yield {"type": "refusal", "refusal": planned.refusal}


def _call_item(call: ToolCall, item_id: str, status: str) -> dict[str, Any]:
    kind, said = ("custom_tool_call", "input") if call.custom else ("function_call", "arguments")
    return {
        "id": item_id,
        "type": kind,
        "status": status,
        said: call.arguments,
        "call_id": call.id,
        "name": call.name,
    }


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


# The response object

_DEFAULTS: Final[Mapping[str, Any]] = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "service_tier": "auto",
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
_NO_TOKENS: Final = {"image_tokens": 0, "text_tokens": 0}
_TOOL_USAGE: Final[Json] = {
    "image_gen": {
        "input_tokens": 0,
        "input_tokens_details": _NO_TOKENS,
        "output_tokens": 0,
        "output_tokens_details": _NO_TOKENS,
        "total_tokens": 0,
    },
    "web_search": {"num_requests": 0},
}


def _response_object(request: WireRequest, *, seed: str) -> dict[str, Any]:
    """The response before the model says anything; ``status`` and ``output`` are added later."""
    body = request.body
    echoed = {key: body.get(key) for key in _DEFAULTS if body.get(key) is not None}
    reasoning = section(body, "reasoning")
    return {
        "id": f"resp_{seed}",
        "object": "response",
        "created_at": CREATED,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": request.model,
        "moderation": None,
        **_DEFAULTS,
        **echoed,
        "reasoning": {
            "context": "current_turn",
            "effort": reasoning.get("effort") or "none",
            "mode": "standard",
            "summary": _SUMMARIES.get(str(reasoning.get("summary")), reasoning.get("summary")),
        },
        "text": {"format": {"type": "text"}, "verbosity": "medium", **section(body, "text")},
        "tools": [
            _echoed_tool(tool) for tool in cast("list[dict[str, Any]]", body.get("tools") or [])
        ],
        "tool_usage": _TOOL_USAGE,
        "usage": None,
    }


_SUMMARIES: Final = {"auto": "detailed"}


def _echoed_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """The tool as the response repeats it: a function without ``strict`` is strict on this wire."""
    if tool.get("type") != "function":
        return tool
    return {"description": None, **tool, "strict": tool.get("strict") is not False}
