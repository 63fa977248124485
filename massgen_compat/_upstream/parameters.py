"""Request parameters: those of the request and of the agent, as one wire names them. Pure.

They have two sources. ``TurnRequest.params`` has the names of Chat Completions. ``Agent.params``,
from the agent's YAML, has the names of the backend or of MassGen, and wins. Nulls are never sent:
OpenAI answers 400 to ``reasoning_effort: null`` (public issues).
"""

from typing import Any, Final

from massgen_compat._run.message import Json
from massgen_compat._upstream.tolerant import mapping, string

UNSUPPORTED: Final = frozenset(
    {
        "audio",
        "frequency_penalty",
        "logit_bias",
        "modalities",
        "n",
        "prediction",
        "presence_penalty",
        "seed",
        "stop",
        "stream_options",
        "web_search_options",
    }
)
"""Parameters of Chat Completions that Responses does not have (OpenAI's published schemas).

On that wire those of a request are left out. Those in an agent's config are sent, because the
provider's refusal is clearer than silence."""

_GROUPS: Final = frozenset({"reasoning", "text"})
_TOKEN_CAPS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def unsupported(request: Json) -> tuple[str, ...]:
    """The names of the request's parameters that Responses does not have, sorted.

    Values that ask for nothing do not count: ``null``, ``false``, empty ones and 0. Only of
    ``seed``, 0 is a value like any other.
    """
    asked = {name for name, value in request.items() if value or (name == "seed" and value == 0)}
    return tuple(sorted(UNSUPPORTED & asked))


def responses_params(request: Json, agent: Json) -> dict[str, Any]:
    """The parameters as Responses names them; ``agent`` wins.

    In ``reasoning`` and ``text`` it wins field by field.
    """
    asked = {name: value for name, value in request.items() if name not in UNSUPPORTED}
    lower, upper = _for_responses(asked), _for_responses(agent)
    merged = {**lower, **upper}
    for group in _GROUPS & merged.keys():
        merged[group] = {**mapping(lower.get(group)), **mapping(upper.get(group))}
    return {**merged, **_verbatim(agent)}


def chat_params(request: Json, agent: Json) -> dict[str, Any]:
    """The parameters as Chat Completions names them; ``agent`` wins."""
    lower, upper = _for_chat(request), {**_for_chat(agent), **_verbatim(agent)}
    if any(cap in upper for cap in _TOKEN_CAPS):  # two caps at once are refused
        lower = {name: value for name, value in lower.items() if name not in _TOKEN_CAPS}
    if "max_completion_tokens" in lower:
        lower.pop("max_tokens", None)
    return {**lower, **upper}


def _verbatim(agent: Json) -> dict[str, Any]:
    """The fields of ``extra_body``, which are sent as they are, as the SDK does."""
    extra = mapping(agent.get("extra_body"))
    return {name: value for name, value in extra.items() if value is not None}


def _for_responses(params: Json) -> dict[str, Any]:
    sent = _stated(params)
    for cap in _TOKEN_CAPS:
        if (bound := sent.pop(cap, None)) is not None:
            sent.setdefault("max_output_tokens", bound)
    _nest(sent, "reasoning_effort", "reasoning", "effort")
    sent.pop("logprobs", None)  # asked for in ``include``
    _nest(sent, "verbosity", "text", "verbosity")
    if "response_format" in sent:
        sent["response_format"] = _text_format(mapping(sent["response_format"]))
        _nest(sent, "response_format", "text", "format")
    return sent


def _for_chat(params: Json) -> dict[str, Any]:
    sent = _stated(params)
    _flatten(sent, "reasoning", "effort", "reasoning_effort")
    _flatten(sent, "text", "verbosity", "verbosity")
    if (bound := sent.pop("max_output_tokens", None)) is not None:
        sent.setdefault("max_completion_tokens", bound)
    return sent


def _stated(params: Json) -> dict[str, Any]:
    """The parameters that are not null.

    Nulls inside a value are kept, because a schema may have them; those in a group are not.
    """
    sent: dict[str, Any] = {}
    for name, value in params.items():
        if name in _GROUPS:
            fields = {key: field for key, field in mapping(value).items() if field is not None}
            if fields:
                sent[name] = fields
        elif value is not None and name != "extra_body":
            sent[name] = value
    return sent


def _nest(sent: dict[str, Any], name: str, group: str, field: str) -> None:
    if (value := sent.pop(name, None)) is not None:
        sent[group] = {field: value, **mapping(sent.get(group))}


def _flatten(sent: dict[str, Any], group: str, field: str, name: str) -> None:
    value = mapping(sent.pop(group, None)).get(field)
    if value is not None:
        sent.setdefault(name, value)


def _text_format(given: Json) -> dict[str, Any]:
    """Responses has the fields of ``json_schema`` beside ``type``, Chat Completions below it."""
    if string(given.get("type")) != "json_schema":
        return dict(given)
    return {"type": "json_schema", **mapping(given.get("json_schema"))}
