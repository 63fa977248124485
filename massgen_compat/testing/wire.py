"""The parts that both of OpenAI's wires have in common: frames, padding, errors. Pure.

The shapes follow recordings of the real API. Where no recording shows an event (a streamed
reasoning summary, a refusal, ``response.failed``), the shape follows OpenAI's published schema.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol, cast

from massgen_compat._run.message import Json
from massgen_compat.testing.script import Failure, Refuse

CREATED: Final = 1_767_225_600
"""2026-01-01: a fixed time, so that the same request always gets the same bytes."""


class Frame(NamedTuple):
    """Bytes of a stream; ``token`` is true where they carry one token."""

    data: bytes
    token: bool = False


class ScriptedWire(Protocol):
    """A play in one API's format: as a stream (``opening``, ``frames``, ``closing``) or whole."""

    def opening(self) -> bytes:
        """What comes before the model starts, or nothing."""
        ...

    def frames(self) -> Iterator[Frame]:
        """The reply itself; hidden reasoning has no frames."""
        ...

    def closing(self) -> bytes:
        """The end of a stream whose frames have all been sent."""
        ...

    def failed(self, refused: Refuse) -> bytes:
        """The end of a stream that breaks off with an error, after any number of frames."""
        ...

    def whole(self) -> bytes:
        """The body of a reply that is not streamed."""
        ...


def until(frames: Iterator[Frame], failure: Failure | None) -> Iterator[Frame]:
    """The frames up to the token after which the script lets the reply fail; without one, all.

    Later frames are not even made: a wire numbers its events as it makes them.
    """
    left = None if failure is None else failure.after_tokens
    while left != 0 and (frame := next(frames, None)):
        yield frame
        if left is not None:
            left -= frame.token


_PADDING = "scriptedscripted"


def padding(size: int) -> str:
    """The ``obfuscation`` of a chunk, which fills ``size`` characters up to a multiple of 16.

    OpenAI's padding is random. Here it is fixed, so that the same request gets the same bytes.
    """
    return _PADDING[: -size % 16]


def error_body(
    message: str, *, status: int, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error in OpenAI's shape, with the type that goes with the status."""
    kind = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refusal_body(refused: Refuse) -> dict[str, Any]:
    """The error that the script answers with."""
    code = refused.code or _ERROR_CODES.get(refused.status)
    return error_body(refused.message, status=refused.status, param=refused.param, code=code)


def refusal_code(refused: Refuse) -> str:
    """The ``error.code`` of ``response.failed``, where it is never null."""
    return refused.code or _ERROR_CODES.get(refused.status, "server_error")


def model_list(names: Iterator[str] | list[str]) -> dict[str, Any]:
    """The body of ``GET /v1/models``."""
    data = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "scripted"}
        for name in names
    ]
    return {"object": "list", "data": data}


def section(body: Json, key: str) -> Json:
    """An object within a request's body; empty if it is not there."""
    value: object = body.get(key)
    return cast("Json", value) if isinstance(value, dict) else {}


_ERROR_TYPES: Final[Mapping[int, str]] = {429: "rate_limit_error"}
_ERROR_CODES: Final[Mapping[int, str]] = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
