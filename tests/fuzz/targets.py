"""What is fuzzed: a reader of bytes that may raise its own error and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from massgen_compat._run.team import Api
from massgen_compat._run.turn import Reply, TurnEvent
from massgen_compat._upstream.reader import ReplyReader
from massgen_compat.config.loader import parse
from massgen_compat.errors import MassGenError
from massgen_compat.protocol.errors import MESSAGE_LIMIT, render_error

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Target:
    """``read`` is given anything; ``seeds`` are what it is usually given."""

    read: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    words: tuple[bytes, ...]


def read_config(data: bytes) -> None:
    """A config is a team, or an error that says where."""
    text = data.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    problem = "team.yaml"
    try:
        parse(text, {"KEY": "value"}, "team.yaml")
    except MassGenError as error:
        problem = str(error)
    assert "team.yaml" in problem
    assert len(problem) < 10_000


def read_chat(data: bytes) -> None:
    """A reply of Chat Completions."""
    read_reply("chat", data)


def read_responses(data: bytes) -> None:
    """A reply of Responses."""
    read_reply("responses", data)


def read_reply(api: Api, data: bytes) -> None:
    """Pieces and one reply at the end, or an error; however the bytes were cut.

    The first byte says how large the cuts are.
    """
    cut = data[0] % 64 + 1 if data else 1
    body = data[1:]
    whole = heard(api, [body])
    assert heard(api, [body[at : at + cut] for at in range(0, len(body), cut)]) == whole


def heard(api: Api, chunks: Sequence[bytes]) -> tuple[list[TurnEvent], str | None]:
    """What is heard, and the class of the error that ends it."""
    reader = ReplyReader(api, max_event_bytes=100_000)
    events: list[TurnEvent] = []
    try:
        for chunk in chunks:
            events += reader.feed(chunk)
            if reader.replied:
                break
        if not reader.replied:
            events += reader.close()
    except MassGenError as error:
        rendered = render_error(error).body["error"]
        assert len(rendered["message"]) <= MESSAGE_LIMIT
        replies = [event for event in events if isinstance(event, Reply)]
        assert not replies, "nothing is raised after a reply"
        return events, type(error).__name__
    assert [isinstance(event, Reply) for event in events].count(True) == 1
    assert isinstance(events[-1], Reply)
    return events, None


@cache
def configs() -> Sequence[bytes]:
    """The configs of the examples, and MassGen's where they are."""
    shipped = ROOT.parent / "shared" / "massgen-configs" / "basic"
    return [
        path.read_bytes()
        for folder in (ROOT / "examples", shipped)
        for path in sorted(folder.rglob("*.yaml"))
    ]


def bodies(api: Api) -> Sequence[bytes]:
    """The bodies of the cassettes, each after the byte that says how it is cut."""
    found: list[bytes] = []
    for path in sorted((ROOT / "cassettes").glob(f"*-{api}.yaml")):
        recorded: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        texts = (each["response"]["body"]["string"] for each in recorded["interactions"])
        found += [b"\x07" + (t.encode() if isinstance(t, str) else t) for t in texts]
    return found


_SSE = (b"data: ", b"\n\n", b"\r\n\r\n", b"\r", b"[DONE]", b": ", b"event: ", b"\xef\xbb\xbf")
_JSON = (b"null", b"{}", b"[]", b'""', b"-1", b"1e999", b"true", b'{"a":', b"\\ud800", b"\x00")

TARGETS = {
    "config": Target(
        read_config,
        configs,
        (
            *(b"agents:", b"- ", b"id: ", b"backend: ", b"type: openai", b"massgen_compat: "),
            *(b"&a ", b"*a", b"!!python/object", b"${KEY}", b"? ", b"|\n", b"\t", b"%YAML", b"---"),
        ),
    ),
    "chat": Target(
        read_chat,
        lambda: bodies("chat"),
        (*_SSE, *_JSON, b'"choices"', b'"delta"', b'"tool_calls"', b'"index"', b'"usage"'),
    ),
    "responses": Target(
        read_responses,
        lambda: bodies("responses"),
        (*_SSE, *_JSON, b'"type"', b'"response.completed"', b'"output"', b'"item"', b'"error"'),
    ),
}
