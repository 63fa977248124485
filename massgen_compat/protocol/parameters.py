"""Every parameter of ``chat.completions.create``, and who honours it. The one place that says so.

A parameter that is accepted and not honoured changes what the caller asked for without a word;
therefore each row is honoured, named in ``x-massgen-ignored-params``, or refused with a 400.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

from massgen_compat.errors import UnsupportedParameter

Level: TypeAlias = Literal["server", "every_agent", "presenter", "ignored", "refused"]

MAX_IGNORED: Final = 16
"""Ignored parameters that are named to the client; the others are not."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and who honours it.

    ``neutral`` are values that ask for nothing, so that they are neither refused nor named as
    ignored; ``null`` always is one. The note of a refused parameter is part of its error.
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
    Parameter("functions", "refused", "send `tools` instead."),
    Parameter("function_call", "refused", "send `tool_choice` instead."),
    Parameter("logit_bias", "presenter", "passed on"),
    Parameter("logprobs", "refused", "the message of a team has no log probabilities.", (False,)),
    Parameter("max_completion_tokens", "presenter", "bounds the final message"),
    Parameter("max_tokens", "presenter", "bounds the final message"),
    Parameter("metadata", "ignored", "nothing is stored"),
    Parameter("modalities", "refused", "a team answers in text only.", (["text"],)),
    Parameter("moderation", "refused", "no moderation is run."),
    Parameter("n", "refused", "a run ends in one message; send n requests for n answers.", (1,)),
    Parameter("parallel_tool_calls", "server", "asked of the presenter, where there are tools"),
    Parameter("prediction", "ignored", "a hint for speed; the answer is the same without"),
    Parameter("presence_penalty", "every_agent", "passed on"),
    Parameter("prompt_cache_key", "ignored", "each agent has prompts of its own"),
    Parameter("prompt_cache_options", "ignored", "each agent has prompts of its own"),
    Parameter("prompt_cache_retention", "ignored", "each agent has prompts of its own"),
    Parameter("reasoning_effort", "every_agent", "passed on"),
    Parameter(
        "response_format",
        "refused",
        "only text is supported in this version; ask for the format in a message.",
        ({"type": "text"},),
    ),
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
    Parameter("top_logprobs", "refused", "the message of a team has no log probabilities.", (0,)),
    Parameter("top_p", "every_agent", "passed on"),
    Parameter("user", "ignored", "not passed to providers"),
    Parameter("verbosity", "presenter", "passed on"),
    Parameter("web_search_options", "refused", "give the agents hosted tools in their config."),
)

_EXTENSION: Final = Parameter("massgen", "server", "this library's own options")
_KNOWN: Final[Mapping[str, Parameter]] = {row.name: row for row in (*PARAMETERS, _EXTENSION)}
_UNKNOWN: Final = Parameter("", "ignored", "not a parameter of the API")
_UNFORWARDED: Final = frozenset({"messages"})
"""Rows of agents that stand elsewhere in a ``RunRequest``."""


def refuse_unsupported(payload: Mapping[str, Any]) -> None:
    """Raise ``UnsupportedParameter`` for a parameter whose neglect would change the answer."""
    for row in PARAMETERS:
        if row.level == "refused" and _asks(row, payload.get(row.name)):
            raise UnsupportedParameter(
                f"Unsupported parameter: '{row.name}' is not supported here: {row.note}",
                param=row.name,
            )


def forwarded(payload: Mapping[str, Any], level: Level) -> dict[str, Any]:
    """The parameters of that level which the payload sets."""
    return {
        row.name: payload[row.name]
        for row in PARAMETERS
        if row.level == level and row.name not in _UNFORWARDED and _asks(row, payload.get(row.name))
    }


def ignored_names(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of what is not honoured, unknown ones included, fit for a header."""
    return tuple(islice((_header_safe(name) for name in _ignored(payload)), MAX_IGNORED))


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
