"""What was observed of an endpoint: replies, streams, and connections that did not come about."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, cast

Json: TypeAlias = Mapping[str, Any]

TIME_IS_UP: Final = "time is up"
"""Why a reply is broken that took longer than the doctor waits."""

Trouble: TypeAlias = Literal["refused", "dns", "tls", "timeout", "closed", "not_http"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """No reply at all; ``detail`` is the operating system's or the library's word for it."""

    trouble: Trouble
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply. Names of headers are lower-case; ``broken`` tells why the body is not whole."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    seconds: float = 0.0
    broken: str | None = None

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_html(self) -> bool:
        """Whether this is a web page, whatever its content type."""
        return self.media_type == "text/html" or self.body.lstrip()[:1] == b"<"

    @property
    def json(self) -> Json | None:
        """The body as a JSON object; ``None`` if it is none."""
        return read_object(self.body)

    @property
    def text(self) -> str:
        """The body as text, bad bytes replaced."""
        return self.body.decode("utf-8", "replace")


Seen: TypeAlias = Reply | Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One event of a stream, complete at ``at`` seconds after the request was sent."""

    at: float
    data: str | None = None
    event: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReply:
    """A streamed reply. ``pieces`` are the times at which bytes arrived, in seconds.

    ``reply`` has the head, and the bytes of the whole body.
    """

    reply: Reply
    frames: Sequence[Frame] = ()
    pieces: Sequence[float] = ()


class FrameReader:
    """Cuts the bytes of an event stream into frames, as the WHATWG's specification says."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, list[str]] = {}

    def feed(self, piece: bytes, at: float) -> list[Frame]:
        """The frames that this piece completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        frames: list[Frame] = []
        for raw in lines:
            line = raw.removesuffix(b"\r").decode("utf-8", "replace")
            if line:
                name, _, value = line.partition(":")
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
            elif self._fields:
                frames.append(self._frame(at))
        return frames

    def _frame(self, at: float) -> Frame:
        fields, self._fields = self._fields, {}
        data, comments = fields.get("data"), fields.get("")
        return Frame(
            at=at,
            data=None if data is None else "\n".join(data),
            event=fields.get("event", [None])[-1],
            comment=None if comments is None else "\n".join(comments),
        )


def read_object(text: str | bytes) -> Json | None:
    """A JSON object, or ``None`` for anything else."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("Json", value) if isinstance(value, dict) else None


def objects(value: object) -> list[Json]:
    """The objects of a list; nothing for what is not a list."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Json", item) for item in items if isinstance(item, dict)]


def mapping(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    return cast("Json", value) if isinstance(value, dict) else {}
