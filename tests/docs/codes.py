"""Every ``code`` of an error: why a client gets it, and what to do about it. Pure data.

``docs/errors.md`` is made of it, and no program reads it. Statuses of error classes stand in
``protocol.errors.ERRORS``; this table adds the codes of single faults, which mostly share
``InvalidRequest``'s 400.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error code stands for. ``who`` can do something about it."""

    status: int
    who: str
    cause: str
    remedy: str


_CLIENT: Final = "client"
_OPERATOR: Final = "operator"
_NOBODY: Final = "wait"


def _value(cause: str) -> Meaning:
    return Meaning(400, _CLIENT, cause, "Change what `param` names; the message says to what.")


CODES: Final[Mapping[str, Meaning]] = {
    # The request
    "missing_required_parameter": _value("A parameter is missing that the API demands."),
    "invalid_type": _value("A value has another JSON type than the API has there."),
    "invalid_value": _value("A value is none of those that are possible there."),
    "integer_above_max_value": _value("A whole number is too large."),
    "integer_below_min_value": _value("A whole number is too small."),
    "decimal_above_max_value": _value("A number is too large."),
    "decimal_below_min_value": _value("A number is too small."),
    "string_above_max_length": _value("A text is too long."),
    "empty_string": _value("A text is empty where there has to be one."),
    "array_above_max_length": _value("A list has too many items."),
    "empty_array": _value("A list is empty where there has to be an item."),
    "property_name_above_max_length": _value("A key is too long, such as one of `metadata`."),
    "object_above_max_properties": _value("An object has too many keys, such as `metadata`."),
    "invalid_function_parameters": Meaning(
        400,
        _CLIENT,
        "The schema of a function's parameters has too many parts or levels.",
        "Make the tool's parameters simpler; `param` names the tool.",
    ),
    "unsupported_parameter": Meaning(
        400,
        _CLIENT,
        "The parameter would change the answer and a team cannot honour it.",
        "Leave it out; docs/parameters.md says of each what becomes of it.",
    ),
    "model_not_found": Meaning(
        404,
        _CLIENT,
        "No team of that name is served.",
        "Ask `GET /v1/models`; a team is called after its file, or by `massgen_compat.model`.",
    ),
    "context_length_exceeded": Meaning(
        400,
        _CLIENT,
        "The conversation is too long for every agent's model.",
        "Shorten it, or give the team a model with a larger window.",
    ),
    "limit_exceeded": Meaning(
        400,
        _CLIENT,
        "The run came to `max_tokens` or `max_cost` before any agent had an answer.",
        "Ask for less at once, or have `massgen_compat.limits` raised.",
    ),
    "idempotency_key_reused": Meaning(
        400,
        _CLIENT,
        "The `Idempotency-Key` belongs to another request that is still being answered.",
        "Use a new key for every request.",
    ),
    "too_many_hops": Meaning(
        400,
        _OPERATOR,
        "The request came through more than one team: a team has itself, or a team of teams, as "
        "an agent.",
        "Point the agent's `base_url` at a model.",
    ),
    "request_too_large": Meaning(
        413,
        _CLIENT,
        "The body is larger than `max_body_bytes` (20 MiB).",
        "Send less, such as smaller images; or raise the bound in `create_app`.",
    ),
    "method_not_supported": Meaning(
        405, _CLIENT, "The path is served with another method.", "Use the one in `Allow`."
    ),
    "request_timeout": Meaning(
        408,
        _CLIENT,
        "The head or the body of the request did not arrive in time.",
        "Send it again, faster; `body_seconds` in `create_app` bounds a body.",
    ),
    "request_headers_too_large": Meaning(
        431,
        _CLIENT,
        "The request line and the headers have more than 64 KiB, or are more than 128.",
        "Send fewer; look for a cookie or a token that has grown.",
    ),
    # The key
    "invalid_api_key": Meaning(
        401,
        _CLIENT,
        "The key is none of this server's (`MASSGEN_COMPAT_API_KEYS`, `api_keys`).",
        "Send one of them; a provider's key is not one.",
    ),
    # This server
    "server_overloaded": Meaning(
        503,
        _NOBODY,
        "All places for runs and all in the queue are taken, or the server is shutting down.",
        "Come again after `Retry-After`; raise `--max-runs` where the providers allow it.",
    ),
    "configuration_error": Meaning(
        500,
        _OPERATOR,
        "The server's configuration has an error that showed only now.",
        "Read the log; `massgen-compat check` finds most before the start.",
    ),
    "coordination_failed": Meaning(
        500,
        _OPERATOR,
        "The run failed. In a stream it stands for every error after which the client must not "
        "simply ask again, because it would pay again.",
        "The message says what happened; the log has the run's id.",
    ),
    # The providers
    "rate_limit_exceeded": Meaning(
        429,
        _NOBODY,
        "Every agent's provider answered 429 until the retries ran out.",
        "Come again after `Retry-After`; lower `--max-runs`, or mix providers.",
    ),
    "upstream_authentication": Meaning(
        502,
        _OPERATOR,
        "A provider refused the key that this server holds (its 401 or 403).",
        "Set the provider's key; `massgen-compat check` names its variable.",
    ),
    "upstream_timeout": Meaning(
        504,
        _NOBODY,
        "A provider did not answer, or stopped, in time.",
        "Ask again; `massgen_compat.timeouts` says how long a provider may be silent.",
    ),
    "upstream_unreachable": Meaning(
        502,
        _NOBODY,
        "A provider could not be reached, failed with a 5xx, or the connection broke.",
        "Ask again; check the agent's `base_url`.",
    ),
    "upstream_rejected": Meaning(
        502,
        _OPERATOR,
        "A provider refused the request itself (its 400, 404 or 422).",
        "The message has its reason: mostly an unknown model, or a parameter that it has not.",
    ),
    "upstream_malformed": Meaning(
        502,
        _NOBODY,
        "A provider's reply could not be used: broken, empty, or not what was asked for.",
        "Ask again; if it stays, try the agent's other wire (`massgen_compat.api`).",
    ),
    "upstream_error": Meaning(
        502, _NOBODY, "A provider failed in another way.", "The message has its reason."
    ),
}
