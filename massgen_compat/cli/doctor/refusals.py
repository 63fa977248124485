"""Checks what a server refuses, and whether clients understand the refusal. Pure.

Clients retry every 5xx, and each retry of a team is a whole run. Of a refusal they read
``error.message``, ``.type``, ``.param`` and ``.code``. FastAPI's ``{"detail": ...}`` has none of
these.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from massgen_compat.cli.doctor.address import Address
from massgen_compat.cli.doctor.findings import Finding, Level, note, ok, problem, shown, warning
from massgen_compat.cli.doctor.observed import Json, Reply, Seen, Unreachable, mapping

WRONG_KEY: Final = "massgen-compat-doctor-wrong-key"
"""A key that no server knows."""


def told(reply: Reply) -> str:
    """The status of a refusal, and the server's own words for it, if it has any."""
    error = mapping((reply.json or {}).get("error"))
    message = error.get("message")
    return f"{reply.status}: {shown(message, 80).rstrip('.')}" if message else f"{reply.status}"


def wrong_shape(reply: Reply) -> str | None:
    """What the reply has in place of OpenAI's error shape, or lacks of it; ``None`` for nothing."""
    if reply.is_html:
        return "a web page"
    body = reply.json
    if body is None:
        return "no JSON object"
    error = body.get("error")
    if not isinstance(error, dict):
        return "FastAPI's `detail`" if "detail" in body else "no `error` object"
    return _wrong_fields(mapping(body.get("error")))


def _wrong_fields(error: Json) -> str | None:
    for name in ("message", "type"):
        if not isinstance(error.get(name), str):
            return f"`error.{name}` is not text"
    for name in ("param", "code"):
        if name not in error:
            return f"`error.{name}` is missing"
        if not isinstance(error[name], str | None):
            return f"`error.{name}` is neither text nor null"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """A request that must be refused.

    ``asked`` names the request in findings, ``status`` is the expected one, ``accepted`` says what
    happens where the request is not refused, and ``accepted_level`` how bad that is.
    """

    check: str
    asked: str
    status: int
    accepted: str
    accepted_level: Level
    todo: str


_UNKNOWN_MODEL: Final = _Refusal(
    check="unknown model",
    asked="A model that does not exist",
    status=404,
    accepted="A mistyped name is answered by something else, and paid for.",
    accepted_level="warning",
    todo="Answer 404 with code `model_not_found`.",
)
_MALFORMED: Final = _Refusal(
    check="malformed request",
    asked="Broken JSON",
    status=400,
    accepted="Broken JSON is accepted.",
    accepted_level="problem",
    todo="Answer 400 with type `invalid_request_error`.",
)
_UNKNOWN_PATH: Final = _Refusal(
    check="unknown path",
    asked="A path that does not exist",
    status=404,
    accepted="Any path is answered, so a wrong base URL goes unnoticed.",
    accepted_level="warning",
    todo="Answer 404 in OpenAI's error shape.",
)


def check_unknown_model(seen: Seen) -> Finding:
    """Check the reply to a chat, or to ``GET /models/{id}``, with a model that does not exist."""
    return _check(_UNKNOWN_MODEL, seen)


def check_malformed(seen: Seen) -> Finding:
    """Check the reply to a chat whose body is not JSON."""
    return _check(_MALFORMED, seen)


def check_unknown_path(seen: Seen) -> Finding:
    """Check the reply to a path that no server has."""
    return _check(_UNKNOWN_PATH, seen)


def _check(refusal: _Refusal, seen: Seen) -> Finding:
    if isinstance(seen, Unreachable):
        return problem(refusal.check, f"No answer ({seen.trouble}).", refusal.todo)
    if seen.status < 400:
        level = refusal.accepted_level
        said = f"{refusal.asked}: {seen.status}. {refusal.accepted}"
        return Finding(check=refusal.check, level=level, seen=said, todo=refusal.todo)
    return _shaped(refusal.check, refusal.asked, seen, {refusal.status}, refusal.todo)


def _shaped(check: str, asked: str, reply: Reply, wanted: Collection[int], todo: str) -> Finding:
    if reply.status >= 500:
        return problem(check, f"{asked}: {told(reply)}. Clients retry this, up to 30 times.", todo)
    if (lack := wrong_shape(reply)) is not None:
        return warning(
            check,
            f"{asked}: {reply.status}, but with {lack}: clients cannot tell users why.",
            "Send {error: {message, type, param, code}} as JSON.",
        )
    if reply.status not in wanted:
        return warning(check, f"{asked}: {told(reply)}.", todo)
    return ok(check, f"{asked}: {told(reply)}.")


def check_key(reply: Reply, *, with_key: bool) -> Finding:
    """Check whether ``GET /models`` accepts the key, or needs none."""
    if reply.status not in {401, 403}:
        return ok("key", "The key is accepted." if with_key else "No key was given, nor needed.")
    if with_key:
        return problem("key", f"The key is refused ({told(reply)}).", "Give one of its keys.")
    return problem(
        "key",
        f"A key is needed ({told(reply)}).",
        "Say --key KEY, or set MASSGEN_COMPAT_API_KEY.",
    )


_KEYS: Final = "Set keys: MASSGEN_COMPAT_API_KEYS for massgen-compat, and restart it."


def check_without_key(seen: Seen, address: Address) -> Finding:
    """Check the reply to a chat without a key, whose body could not start a run."""
    if isinstance(seen, Unreachable):
        return problem("without key", f"No answer ({seen.trouble}).", _KEYS)
    if seen.status in {401, 403, 407}:
        return _shaped("without key", "Without a key", seen, {401}, "Answer 401, not 403.")
    if seen.status >= 500:
        return _shaped("without key", "Without a key", seen, {401}, "Answer 401.")
    if address.is_local:
        return note("without key", "Everybody on this machine may use it: no key is asked for.")
    said = "Everybody who reaches it spends your money: no key is asked for."
    return (warning if address.is_private else problem)("without key", said, _KEYS)


def check_wrong_key(seen: Seen, *, asks_for_key: bool) -> Finding:
    """Check the reply to ``GET /models`` with ``WRONG_KEY``.

    ``asks_for_key``: a chat without a key was refused.
    """
    todo = "Answer 401 with code `invalid_api_key`."
    if isinstance(seen, Unreachable):
        return problem("wrong key", f"No answer ({seen.trouble}).", todo)
    if WRONG_KEY in seen.text:
        return warning(
            "wrong key", f"{seen.status}, with the whole key in it.", "Mask keys in errors."
        )
    if seen.status < 400 and asks_for_key:
        return warning("wrong key", "GET /models takes any key, chats do not.", todo)
    if seen.status < 400:
        return note("wrong key", "Any key is accepted.")
    return _shaped("wrong key", "A wrong key", seen, {401}, todo)
