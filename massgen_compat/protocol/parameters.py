"""Every parameter of ``chat.completions.create``, and who honours it, in one table.

A parameter that is accepted and then ignored changes what the caller asked for, and the caller does
not learn of it. Therefore each parameter is honoured, or named in ``x-massgen-ignored-params``, or
refused with a 400. ``docs/parameters.md`` and ``/openapi.json`` are made of the table.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, Literal, TypeAlias

from massgen_compat.errors import InvalidRequest, UnsupportedParameter
from massgen_compat.protocol.body import shorten

UnknownParams: TypeAlias = Literal["warn", "ignore", "reject"]
Level: TypeAlias = Literal["server", "every_agent", "presenter", "ignored", "refused"]

MAX_IGNORED: Final = 16
"""How many ignored parameters are named to the client; a header has to stay short."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and who honours it.

    ``neutral`` holds values that ask for nothing, so that they are neither refused nor named as
    ignored; ``null`` is always one of them. The ``note`` of a refused parameter is part of its
    error.
    """

    name: str
    level: Level
    note: str
    neutral: tuple[object, ...] = ()


PARAMETERS: Final[tuple[Parameter, ...]] = (
    Parameter("messages", "every_agent", "the conversation, nothing flattened or dropped"),
    Parameter("model", "server", "the name of a team"),
    Parameter("audio", "refused", "a team answers in text only."),
    Parameter("frequency_penalty", "every_agent", "passed on"),
    Parameter("functions", "server", "as `tools`, of which one at most is called"),
    Parameter("function_call", "server", "as `tool_choice`"),
    Parameter("logit_bias", "presenter", "passed on"),
    Parameter("logprobs", "presenter", "`null` where its model has none", (False,)),
    Parameter("max_completion_tokens", "presenter", "bounds the final message"),
    Parameter("max_tokens", "presenter", "bounds the final message"),
    Parameter("metadata", "ignored", "nothing is stored"),
    Parameter("modalities", "refused", "a team answers in text only.", (["text"],)),
    Parameter("moderation", "refused", "no moderation is run."),
    Parameter("n", "server", "up to 8 messages of one decision, each a call of the presenter"),
    Parameter("parallel_tool_calls", "server", "asked of the presenter, where there are tools"),
    Parameter("prediction", "ignored", "a hint for speed; the answer is the same without"),
    Parameter("presence_penalty", "every_agent", "passed on"),
    Parameter("prompt_cache_key", "server", "each agent has a key of its own, made of it"),
    Parameter("prompt_cache_options", "ignored", "each agent has prompts of its own"),
    Parameter("prompt_cache_retention", "ignored", "each agent has prompts of its own"),
    Parameter("reasoning_effort", "every_agent", "passed on"),
    Parameter("response_format", "server", "asked of the presenter, checked here, repaired once"),
    Parameter("safety_identifier", "ignored", "not passed to providers"),
    Parameter("seed", "every_agent", "passed on"),
    Parameter("service_tier", "ignored", "the response says `default`", ("auto", "default")),
    Parameter("stop", "server", "the final message is cut here, whatever its backend supports"),
    Parameter("store", "ignored", "nothing is stored", (False,)),
    Parameter("stream", "server", "chunks as they happen"),
    Parameter("stream_options", "server", "`include_usage`"),
    Parameter("temperature", "every_agent", "passed on"),
    Parameter("tools", "server", "agents know them, the presenter calls them"),
    Parameter("tool_choice", "server", "asked of the presenter"),
    Parameter("top_logprobs", "presenter", "with `logprobs`", (0,)),
    Parameter("top_p", "every_agent", "passed on"),
    Parameter("user", "ignored", "not passed to providers"),
    Parameter("verbosity", "presenter", "passed on"),
    Parameter("web_search_options", "refused", "give the agents hosted tools in their config."),
)

_EXTENSION: Final = Parameter("massgen", "server", "this library's own options")
_KNOWN: Final[Mapping[str, Parameter]] = {row.name: row for row in (*PARAMETERS, _EXTENSION)}
_UNKNOWN: Final = Parameter("", "ignored", "not a parameter of the API")
_UNFORWARDED: Final = frozenset({"messages"})
"""Rows for agents that have a field of their own in a ``RunRequest``."""


def refuse_unsupported(payload: Mapping[str, Any]) -> None:
    """Raise ``UnsupportedParameter`` for a refused parameter that asks for something."""
    for row in PARAMETERS:
        if row.level == "refused" and _asks(row, payload.get(row.name)):
            raise UnsupportedParameter(
                f"Unsupported parameter: '{row.name}' is not supported here: {row.note}",
                param=row.name,
            )


def forwarded(payload: Mapping[str, Any], level: Level) -> dict[str, Any]:
    """The parameters of that level which the payload sets, by name, as they were sent."""
    return {
        row.name: payload[row.name]
        for row in PARAMETERS
        if row.level == level and row.name not in _UNFORWARDED and _asks(row, payload.get(row.name))
    }


def refuse_unknown(payload: Mapping[str, Any]) -> None:
    """Raise ``InvalidRequest``, in OpenAI's words, for parameters that the API does not have."""
    unknown = [name for name in payload if name not in _KNOWN]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        names = ", ".join(shorten(name, 64) for name in unknown[:MAX_IGNORED])
        raise InvalidRequest(f"Unrecognized request argument{plural} supplied: {names}")


def ignored_names(
    payload: Mapping[str, Any], others: Iterable[str] = (), *, unknown: bool = True
) -> tuple[str, ...]:
    """``others`` and the names of the parameters that are not honoured, fit for a header.

    With ``unknown`` these include names that the API does not have.
    """
    names = chain(others, (name for name in _ignored(payload) if unknown or name in _KNOWN))
    return tuple(islice(map(_header_safe, names), MAX_IGNORED))


def _ignored(payload: Mapping[str, Any]) -> Iterator[str]:
    for name, value in payload.items():
        row = _KNOWN.get(name, _UNKNOWN)
        if row.level == "ignored" and _asks(row, value):
            yield name


def _asks(row: Parameter, value: object) -> bool:
    return value is not None and value not in row.neutral


def _header_safe(name: str) -> str:
    kept = (c if c.isascii() and (c.isalnum() or c in "_.-") else "?" for c in name[:64])
    return "".join(kept) or "?"
