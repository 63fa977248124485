"""Reads of a provider's JSON that never fail: what has another type than promised is absent. Pure.

Providers disagree on what may be null, missing or extra, and OpenAI adds fields without notice
(``gpt-5.2.md`` §5); a reply is refused for what it lacks, never for how it is spelled.
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
    """The number, if it is a whole one of 0 or more."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def logprobs(value: object) -> tuple[Json, ...]:
    """Log probabilities of tokens in the shape of Chat Completions.

    Responses leaves ``bytes`` out of its streams; they are those of the token's text. What has no
    token or no number is left out.
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
    """Token counts, where ``prompt`` and ``completion`` are what the API calls its two sides.

    ``None`` where a side is missing: a missing number is never 0. A provider whose ``completion``
    leaves the reasoning out (its total tells) is brought to the rule that reasoning is a part.
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
