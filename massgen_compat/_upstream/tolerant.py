"""Reads of JSON that never fail: a value of another type than promised counts as absent. Pure.

Providers disagree on what may be null, missing or extra, and OpenAI adds fields without notice. So
a reply is refused for what it lacks, and never for how it is written.
"""

from typing import Any, cast

from massgen_compat._run.message import Json
from massgen_compat._run.result import Usage


def mapping(value: object) -> dict[str, Any]:
    """The JSON object, or an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def sequence(value: object) -> list[object]:
    """The JSON array, or an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def string(value: object) -> str:
    """The text, or an empty one."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int | None:
    """The number, if it is a whole one and not negative."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def logprobs(value: object) -> tuple[Json, ...]:
    """The log probabilities of tokens, in the shape of Chat Completions.

    Responses leaves ``bytes`` out of its streams; then they are those of the token's text. Entries
    without a token or a number are left out.
    """
    found: list[Json] = []
    for entry in map(mapping, sequence(value)):
        token, number = entry.get("token"), entry.get("logprob")
        if isinstance(token, str) and isinstance(number, int | float):
            given = entry.get("bytes")
            told = sequence(cast("object", given)) or [*token.encode(errors="replace")]
            found.append(
                {
                    "token": token,
                    "logprob": number,
                    "bytes": told,
                    "top_logprobs": [
                        {key: top[key] for key in ("token", "logprob", "bytes")}
                        for top in logprobs(entry.get("top_logprobs"))
                    ],
                }
            )
    return tuple(found)


def usage(value: object, prompt: str, completion: str) -> Usage | None:
    """The token counts of a reply, or ``None`` if one is missing: a missing number is never 0.

    ``prompt`` and ``completion`` are what the API calls the two counts. Reasoning is a part of the
    completion: where a provider counts it beside (its total shows that), it is added.
    """
    raw = mapping(value)
    asked, written = count(raw.get(f"{prompt}_tokens")), count(raw.get(f"{completion}_tokens"))
    if asked is None or written is None:
        return None
    reasoning = _detail(raw, f"{completion}_tokens_details", "reasoning_tokens")
    if reasoning and count(raw.get("total_tokens")) == asked + written + reasoning:
        written += reasoning
    return Usage(
        prompt_tokens=asked,
        completion_tokens=written,
        reasoning_tokens=reasoning,
        cached_tokens=_detail(raw, f"{prompt}_tokens_details", "cached_tokens"),
    )


def _detail(raw: Json, group: str, name: str) -> int:
    return count(mapping(raw.get(group)).get(name)) or 0
