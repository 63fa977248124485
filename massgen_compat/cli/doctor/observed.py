"""What was observed of an endpoint: replies, streams, and failed connections. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, cast

Json: TypeAlias = Mapping[str, Any]

TIME_IS_UP: Final = "time is up"
"""``Reply.broken`` of a reply that took longer than the doctor waits."""

Trouble: TypeAlias = Literal["refused", "dns", "tls", "timeout", "closed", "not_http"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """No reply at all; ``detail`` is the error text of the operating system or of aiohttp."""

    trouble: Trouble
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply. Header names are in lower case; ``broken`` says why the body is not complete.

    ``seconds`` is the time from the request to the end of the reply.
    """

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
        """Whether this is a web page, by its content type or by its first character."""
        return self.media_type == "text/html" or self.body.lstrip()[:1] == b"<"

    @property
    def json(self) -> Json | None:
        """The body as a JSON object; ``None`` if it is no such object."""
        return read_object(self.body)

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")


Seen: TypeAlias = Reply | Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One event of a stream, which was complete ``at`` seconds after the request was sent."""

    at: float
    data: str | None = None
    event: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReply:
    """A streamed reply: its status, headers and whole body in ``reply``, and its ``frames``.

    ``pieces`` are the times at which bytes arrived, in seconds after the request.
    """

    reply: Reply
    frames: Sequence[Frame] = ()
    pieces: Sequence[float] = ()


class FrameReader:
    """Cuts the bytes of an event stream into frames, by the rules of the WHATWG's HTML standard."""

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


DONE: Final = "[DONE]"


@dataclass(slots=True)
class Call:
    """A tool call, put together from its fragments."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Folded:
    """The frames of a stream, sorted by what they are.

    ``times`` are those of ``chunks``, in seconds; ``strays`` are data that are no chunks;
    ``events`` are the names of events; ``error`` is the error object of a stream that failed;
    ``after_done`` counts the data after ``[DONE]``.
    """

    chunks: list[Json] = field(default_factory=list[Json])
    times: list[float] = field(default_factory=list[float])
    strays: list[str] = field(default_factory=list[str])
    events: set[str] = field(default_factory=set[str])
    comments: int = 0
    error: Json | None = None
    done: bool = False
    after_done: int = 0

    @property
    def choices(self) -> list[Json]:
        """The first choice of every chunk that has one."""
        return [choices[0] for chunk in self.chunks if (choices := objects(chunk.get("choices")))]

    @property
    def deltas(self) -> list[Json]:
        """The deltas of these choices."""
        return [mapping(choice.get("delta")) for choice in self.choices]

    @property
    def reasons(self) -> list[str]:
        """The finish reasons of these choices, where they have one."""
        return [str(reason) for each in self.choices if (reason := each.get("finish_reason"))]

    @property
    def usages(self) -> list[tuple[int, Any]]:
        """The usage objects, each with the index of its chunk."""
        return [(n, usage) for n, each in enumerate(self.chunks) if (usage := each.get("usage"))]

    def text(self, key: str = "content") -> str:
        """The text that the deltas add up to."""
        return "".join(part for delta in self.deltas if isinstance(part := delta.get(key), str))


def fold(frames: Sequence[Frame]) -> Folded:
    """Sort a stream's frames."""
    folded = Folded()
    for frame in frames:
        if frame.comment is not None:
            folded.comments += 1
        if frame.event is not None:
            folded.events.add(frame.event)
        if frame.data is None:
            continue
        if folded.done:
            folded.after_done += 1
        elif frame.data == DONE:
            folded.done = True
        else:
            _take(folded, frame.data, frame.at)
    return folded


def _take(folded: Folded, data: str, at: float) -> None:
    body = read_object(data)
    if body is not None and body.get("error"):
        error = mapping(body["error"])
        folded.error = error or {"message": str(body["error"])}
    elif body is not None and isinstance(body.get("choices"), list):
        folded.chunks.append(body)
        folded.times.append(at)
    else:
        folded.strays.append(data)


def calls_of(deltas: Sequence[Json]) -> tuple[list[Call], str | None]:
    """The calls that deltas add up to, and what is wrong with their fragments, if anything is."""
    calls: dict[int, Call] = {}
    wrong: str | None = None
    for fragment in (each for delta in deltas for each in objects(delta.get("tool_calls"))):
        index = fragment.get("index")
        if not isinstance(index, int):
            wrong = wrong or "a fragment without `index`"
            index = max(calls, default=0)
        new = index not in calls
        call = calls.setdefault(index, Call())
        function = mapping(fragment.get("function"))
        if new and not (fragment.get("id") and function.get("name")):
            wrong = wrong or "a call whose first fragment lacks `id` or `function.name`"
        if not new and index != max(calls):
            wrong = wrong or "fragments of several calls interleaved"
        call.id += str(fragment.get("id") or "")
        call.name += str(function.get("name") or "")
        call.arguments += str(function.get("arguments") or "")
    return [calls[index] for index in sorted(calls)], wrong
