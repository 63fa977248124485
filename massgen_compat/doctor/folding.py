"""What a stream's frames say: chunks, strays, the end; and the tool calls that they add up to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from massgen_compat.doctor.observed import Frame, Json, mapping, objects, read_object

DONE: Final = "[DONE]"


@dataclass(slots=True)
class Call:
    """A tool call as its fragments add up."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Folded:
    """The frames of a stream, sorted.

    ``times`` are those of ``chunks``; ``strays`` are data that are no chunks; ``error`` is the
    error object of a stream that failed.
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
        """Their deltas."""
        return [mapping(choice.get("delta")) for choice in self.choices]

    @property
    def reasons(self) -> list[str]:
        """Their finish reasons, those that are given."""
        return [str(reason) for each in self.choices if (reason := each.get("finish_reason"))]

    @property
    def usages(self) -> list[tuple[int, Any]]:
        """Usage objects, with the place of their chunk."""
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
    """The calls that deltas add up to, and what is wrong with the fragments."""
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
