"""Cassettes: recorded exchanges with a provider, how they are stored and what finds one again.

Every file says in its first key where it comes from: ``scripted`` (this project's scripted model
behind loopback HTTP, no model involved) or ``live`` (the real API).
"""

import importlib
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, cast

import anyio
import yaml

from massgen_compat._run.turn import Hear, ModelClient, Reply, TurnRequest

Source: TypeAlias = Literal["scripted", "live"]

CASSETTES = Path(__file__).parents[1] / "cassettes"
AGENT_HEADER = "x-massgen-agent"
"""Parallel agents ask at the same time: their requests are told apart by this header, which only
the tests send."""
HOST = "https://api.openai.com/v1"
NOWHERE = "https://nowhere.invalid/v1"
"""Where replays are sent: a request that got past the cassette could not arrive anywhere."""

KEPT_REQUEST_HEADERS = {AGENT_HEADER, "content-type"}
KEPT_RESPONSE_HEADERS = {"content-type", "retry-after", "x-massgen-scripted"}


class Recorded(Protocol):
    """A request of a cassette, as vcrpy has it."""

    uri: str
    headers: Mapping[str, str]
    body: bytes
    path: str
    method: str


class Cassette(Protocol):
    """What the tests use of vcrpy's ``Cassette`` (vcrpy has no types)."""

    @property
    def requests(self) -> list[Recorded]: ...
    @property
    def all_played(self) -> bool: ...
    @property
    def play_count(self) -> int: ...
    def can_play_response_for(self, request: Recorded) -> bool: ...
    def __len__(self) -> int: ...


@contextmanager
def replaying(name: str, *, bytewise: bool = False) -> Generator[Cassette]:
    """Answer every request from a cassette; one that is not on it fails, nothing is sent.

    With ``bytewise`` a request has to have the very bytes of the recorded one.
    """
    matchers = [same_place, same_agent, same_shape]
    with _vcr("scripted", record_mode="none", matchers=matchers).use_cassette(
        str(CASSETTES / f"{name}.yaml"), additional_matchers=["raw_body"] if bytewise else []
    ) as cassette:
        yield cassette


@contextmanager
def recording(name: str, source: Source) -> Generator[Cassette]:
    """Record every exchange anew."""
    path = CASSETTES / f"{name}.yaml"
    path.unlink(missing_ok=True)
    with _vcr(source, record_mode="all", matchers=[]).use_cassette(str(path)) as cassette:
        yield cassette


def _vcr(source: Source, *, record_mode: str, matchers: list[Callable[..., None]]) -> Any:
    package: Any = importlib.import_module("vcr")  # it has no types
    recorder = package.VCR(
        record_mode=package.mode(record_mode),
        serializer="cassette",
        match_on=[matcher.__name__ for matcher in matchers],
        before_record_request=_without_secrets,
        before_record_response=_without_noise,
        decode_compressed_response=True,
    )
    recorder.register_serializer("cassette", Serializer(source))
    for matcher in matchers:
        recorder.register_matcher(matcher.__name__, matcher)
    return recorder


# What is stored


def _without_secrets(request: Any) -> Any:
    """Only what a replay needs: no key, no host of this machine, no fingerprint of the SDK."""
    request.headers = {
        name: value for name, value in request.headers.items() if name in KEPT_REQUEST_HEADERS
    }
    request.uri = f"{HOST}/{request.uri.split('/v1/', 1)[1]}"
    return request


def _without_noise(response: dict[str, Any]) -> dict[str, Any]:
    """Header names in lower case: the SDK's two transports spell them differently."""
    headers = {name.lower(): values for name, values in response["headers"].items()}
    kept = {name: values for name, values in headers.items() if name in KEPT_RESPONSE_HEADERS}
    return {**response, "headers": kept}


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, so that a stream can be read in a diff."""


def _represent_text(_dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


@dataclass(frozen=True)
class Serializer:
    """vcrpy's YAML, with the cassette's source as the first key.

    The exchanges stand in the agents' order: agents run at the same time, and a new recording
    should differ from the last one only where something has changed.
    """

    source: Source

    def serialize(self, cassette: dict[str, Any]) -> str:
        interactions = sorted(
            cassette["interactions"],
            key=lambda exchange: exchange["request"]["headers"].get(AGENT_HEADER, [""]),
        )
        marked = {"source": self.source, **cassette, "interactions": interactions}
        return yaml.dump(marked, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1 << 20)

    def deserialize(self, text: str) -> dict[str, Any]:
        return cast("dict[str, Any]", yaml.safe_load(text))


# What finds a recorded exchange


def same_place(new: Recorded, old: Recorded) -> None:
    """The same endpoint; the host is the recording's own."""
    _same((new.method, new.path), (old.method, old.path))


def same_agent(new: Recorded, old: Recorded) -> None:
    _same(agent_of(new), agent_of(old))


def same_shape(new: Recorded, old: Recorded) -> None:
    """The same model, effort and other parameters, tools, tool choice, and kinds of messages."""
    _same(shape_of(new), shape_of(old))


def _same(new: object, old: object) -> None:
    if new != old:
        raise AssertionError(f"{new} is not the recorded {old}")


def agent_of(request: Recorded) -> str:
    return request.headers.get(AGENT_HEADER, "")


def body_of(request: Recorded) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(request.body))


def shape_of(request: Recorded) -> dict[str, Any]:
    """A request's body without its texts: messages by kind, tools by name, the rest as it is."""
    body = body_of(request)
    items: list[dict[str, Any]] = body.pop("input", None) or body.pop("messages", [])
    return {
        **body,
        "tools": tool_names(request),
        "items": [
            (
                item.get("type", "message"),
                item.get("role"),
                [call["function"]["name"] for call in calls_of(item)],
            )
            for item in items
        ],
    }


def calls_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls of a message of Chat Completions."""
    return message.get("tool_calls", [])


def tool_names(request: Recorded) -> list[str]:
    """The tools of a request: functions by name, the provider's own by type."""
    tools: list[dict[str, Any]] = body_of(request).get("tools", [])
    named = [{**tool, **tool.get("function", {})} for tool in tools]
    return [tool.get("name") or tool["type"] for tool in named]


# The agent's name on the wire


@dataclass(frozen=True)
class Labelled:
    """A ``ModelClient`` whose requests carry the agent's name.

    The rounds in ``held`` never reach the wire: an evaluation that another agent's new answer
    cancels would reach it or not, as chance has it.
    """

    client: ModelClient
    held: frozenset[tuple[str, int]] = field(default_factory=frozenset[tuple[str, int]])

    async def ask(self, request: TurnRequest, hear: Hear, /) -> Reply:
        if (request.agent, request.round) in self.held:
            await anyio.sleep_forever()
        headers = {**request.headers, AGENT_HEADER: request.agent}
        return await self.client.ask(replace(request, headers=headers), hear)
