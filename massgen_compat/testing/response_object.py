"""The response object of the Responses API: it repeats the request with all defaults. Pure."""

from collections.abc import Mapping
from typing import Any, Final, cast

from massgen_compat._run.message import Json
from massgen_compat.testing.request import WireRequest
from massgen_compat.testing.wire import CREATED, section

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


def response_object(request: WireRequest, *, seed: str) -> dict[str, Any]:
    """The response before anything was said. ``status`` and ``output`` are added to it."""
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
    """A function tool without ``strict`` is strict on this wire."""
    if tool.get("type") != "function":
        return tool
    return {"description": None, **tool, "strict": tool.get("strict") is not False}
