"""What is around an API: proxies that show in headers, and whether browsers may call it. Pure."""

from typing import Final

from massgen_compat.doctor.findings import Finding, note, ok, shown
from massgen_compat.doctor.observed import Seen, Unreachable

ORIGIN: Final = "https://massgen-compat-doctor.example"

_ON_THE_WAY: Final = ("server", "via", "x-cache", "cf-ray", "x-served-by")


def judge_headers(seen: Seen) -> Finding:
    """The headers of an ordinary reply."""
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


def judge_browsers(preflight: Seen) -> Finding:
    """The reply to ``OPTIONS`` with an ``Origin``."""
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
