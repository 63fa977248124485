"""Checks the list of models and the headers of its reply. Pure.

The names count as well, because clients treat some of them specially.
"""

import re
from collections.abc import Sequence
from typing import Final

from massgen_compat.cli.doctor.findings import Finding, note, ok, problem, shown, warning
from massgen_compat.cli.doctor.observed import Json, Reply, Seen, Unreachable, objects
from massgen_compat.cli.doctor.refusals import told

SINGLE: Final = "-single"

_TO_RESPONSES: Final = re.compile(r"^(gpt-5|o1|o3)", re.IGNORECASE)
_TO_ANTHROPIC: Final = re.compile(r"claude", re.IGNORECASE)


def models_of(seen: Seen) -> list[Json]:
    """The models of a list, as far as they have an id."""
    body = seen.json if isinstance(seen, Reply) and seen.status == 200 else None
    return [item for item in objects((body or {}).get("data")) if isinstance(item.get("id"), str)]


def names_of(seen: Seen) -> list[str]:
    """The ids of the models of a list."""
    return [model["id"] for model in models_of(seen)]


def choose(names: Sequence[str], wanted: str | None) -> str | None:
    """The model to chat with: ``wanted``, or else the first that is no ``NAME-single``."""
    if wanted is not None:
        return wanted
    return next((name for name in names if not name.endswith(SINGLE)), names[0] if names else None)


def check_list(seen: Seen) -> Finding:
    """Check the reply to ``GET /models``."""
    todo = 'Answer {"object": "list", "data": [{"id", "object", "created", "owned_by"}]}.'
    if isinstance(seen, Unreachable):
        return problem("models", f"No answer ({seen.trouble}).", todo)
    if seen.status != 200:
        return problem("models", f"{told(seen)}; clients have nothing to choose from.", todo)
    found = models_of(seen)
    if not found:
        return problem("models", "The list is empty, or is none.", todo)
    fields = ("object", "created", "owned_by")
    lacking = {key for key in fields if not all(key in model for model in found)}
    listed = f"{len(found)}: {shown(', '.join(model['id'] for model in found))}."
    if lacking or len(found) < len(objects((seen.json or {}).get("data"))):
        missing = ", ".join(sorted(lacking)) or "id"
        return warning("models", f"{listed} Fields are missing: {missing}.", todo)
    return ok("models", listed)


def check_model(name: str, names: Sequence[str], seen: Seen) -> Finding:
    """Check the model to chat with; ``seen`` is the reply to ``GET /models/{id}``."""
    if name not in names:
        return warning(
            "model",
            f"{shown(name)} is not in the list.",
            f"Say --model with one of: {shown(', '.join(names)) or 'none is listed'}.",
        )
    if isinstance(seen, Unreachable) or seen.status != 200 or seen.json is None:
        answer = seen.trouble if isinstance(seen, Unreachable) else told(seen)
        return warning(
            "model",
            f"{shown(name)} is listed, but GET /models/{shown(name)} is {answer}.",
            "Some clients ask for one model; answer with its object.",
        )
    if seen.json.get("id") != name:
        given = shown(seen.json.get("id"))
        return warning("model", f"GET /models/{shown(name)} gives {given}.", "Give the id asked.")
    return ok("model", f"{shown(name)} is listed and known.")


def check_names(names: Sequence[str], responses: Seen) -> Finding:
    """Check for names that clients treat specially.

    ``responses`` is the reply to a ``POST /responses`` whose body is not JSON: it shows whether
    there is such an endpoint.
    """
    odd = [name for name in names if _TO_RESPONSES.match(name)]
    served = isinstance(responses, Reply) and responses.status not in {404, 405, 501}
    if odd and not served:
        return warning(
            "model names",
            f"{shown(', '.join(odd))}: Continue and Cursor send such names Responses requests, "
            "and this server has no /responses.",
            "Name it differently; in massgen-compat: `massgen_compat: {model: NAME}`.",
        )
    if odd:
        return note(
            "model names",
            f"{shown(', '.join(odd))}: Continue sends such names to /responses, which is served; "
            "Cursor sends them Responses bodies on /chat/completions.",
            "For Cursor use another name.",
        )
    if claude := [name for name in names if _TO_ANTHROPIC.search(name)]:
        return warning(
            "model names",
            f"{shown(', '.join(claude))}: Cursor sends Anthropic's shapes to names with `claude`.",
            "For Cursor use another name.",
        )
    return ok("model names", "None that clients are known to treat specially.")


def check_single(models: Sequence[Json]) -> Finding | None:
    """Check that teams have their ``NAME-single``; ``None`` for a server that has no teams."""
    ours = [model["id"] for model in models if model.get("owned_by") == "massgen"]
    teams = [name for name in ours if not name.endswith(SINGLE)]
    if not teams:
        return None
    without = [name for name in teams if name + SINGLE not in ours]
    if without:
        return warning(
            "small tasks",
            f"No {shown(without[0])}{SINGLE}: titles and other small tasks cost whole runs.",
            "Update the server, or serve a team of one agent for such tasks.",
        )
    return ok("small tasks", f"Use {teams[0]}{SINGLE} for a client's titles and other small tasks.")


ORIGIN: Final = "https://massgen-compat-doctor.example"

_ON_THE_WAY: Final = ("server", "via", "x-cache", "cf-ray", "x-served-by")


def check_headers(seen: Seen) -> Finding:
    """Check the headers of an ordinary reply."""
    if isinstance(seen, Unreachable):
        return note("headers", f"No answer ({seen.trouble}).")
    found = {
        name: value
        for name, value in seen.headers.items()
        if name in _ON_THE_WAY or name.startswith("x-massgen-")
    }
    told = "; ".join(f"{name}: {shown(value, 60)}" for name, value in found.items())
    also = f" Also {told}." if told else ""
    if request_id := seen.headers.get("x-request-id"):
        return ok("headers", f"x-request-id: {shown(request_id, 60)}.{also}")
    said = f"No x-request-id; SDKs show it in errors, to find a request in the log.{also}"
    return note("headers", said, "Send one with every reply; let the proxy pass it on.")


def check_browsers(preflight: Seen) -> Finding:
    """Check the reply to ``OPTIONS`` with an ``Origin``."""
    if isinstance(preflight, Unreachable):
        return note("browsers", f"No answer to OPTIONS ({preflight.trouble}).")
    allowed = preflight.headers.get("access-control-allow-origin")
    if preflight.status < 300 and allowed in {"*", ORIGIN}:
        return note("browsers", "Web pages of any origin may call it, with a key that they have.")
    return note(
        "browsers",
        f"Web pages may not call it (OPTIONS: {preflight.status}); programs may.",
        "Only for clients in a browser: create_app(..., cors_origins=[...]).",
    )
