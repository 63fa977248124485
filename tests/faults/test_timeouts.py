"""No wait is without an end: every timeout, over real sockets, against a provider that hangs.

Whatever else could end a run (deadline, the other timeouts) is too far away to be it.
"""

import json
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import anyio
import openai
import pytest

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat._run.background_rules import BackgroundRule
from massgen_compat._run.message import Json
from massgen_compat._run.team import Api, Limits, TeamSettings, Timeouts
from massgen_compat._run.turn import Phase, TurnEvent, TurnRequest
from massgen_compat._server.requests import before_client_leaves
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.errors import UpstreamTimeout, UpstreamUnreachable
from massgen_compat.events import AgentLeft, MessageText, RunCompleted, RunEvent
from massgen_compat.protocol.chat.request import ChatRequest, parse
from tests.fakes import QUESTION, Model, agreeable, say
from tests.faults.upstream import NORMAL, PATIENCE, Provider, Wire, providing

FAR = Timeouts(first_token_seconds=600, between_tokens_seconds=600, turn_seconds=600)
UNBOUNDED = Limits(deadline_seconds=None)
WELL: Json = {"draft": "A draft.", "evaluate": "vote agent1", "present": "It scatters."}
STALL: Json = {"text": "It scatters.", "fail": {"stall": True, "after_tokens": 1}}
TRICKLE: Json = {"present": "la " * 10_000, "token_delay_seconds": 0.01}
ALONE = TeamSettings(limits=UNBOUNDED, timeouts=FAR)
HELLO = [{"role": "user", "content": "Why is the sky blue?"}]


@dataclass(frozen=True)
class Stage:
    """A team behind a server, and its providers."""

    massgen: MassGen
    provider: Provider
    url: str

    def events(self) -> list[RunEvent]:
        """The events of one run; it has to end without help."""

        async def run() -> list[RunEvent]:
            with anyio.fail_after(PATIENCE):
                async with self.massgen, self.massgen.stream(QUESTION) as events:
                    return [event async for event in events]

        return anyio.run(run)


@contextmanager
def staged(
    models: Mapping[str, Json],
    settings: TeamSettings,
    wires: Mapping[str, Wire] | None = None,
    *,
    api: Api = "responses",
) -> Generator[Stage]:
    """A team of an agent for each model; the names are the same."""
    provider = Provider(models, wires or {})
    with providing(provider) as addresses:
        backend = Backend(type="openai", base_url=addresses.open, api_key="scripted", api=api)
        agents = [Agent(name, model=name, backend=backend) for name in models]
        massgen = MassGen(Team("team", agents, settings=settings), env={})
        with serving(create_app(massgen)) as url:
            yield Stage(massgen, provider, url)
        assert provider.is_left(), "a connection outlived the server"


# A model call


@dataclass(frozen=True)
class Hang:
    timeouts: Timeouts
    message: str
    script: Json = field(default_factory=lambda: WELL)
    wire: Wire = NORMAL


HANGS = {
    "nothing is sent": Hang(
        replace(FAR, first_token_seconds=0.2),
        "did not begin to answer in 0.2 seconds",
        wire=Wire(silent=True),
    ),
    "comments are sent": Hang(
        replace(FAR, first_token_seconds=0.2),
        "did not begin to answer in 0.2 seconds",
        wire=Wire(chatters=True),
    ),
    "the head is sent": Hang(
        replace(FAR, first_token_seconds=0.2),
        "did not begin to answer in 0.2 seconds",
        {"present": {"text": "It.", "fail": {"stall": True, "after_tokens": 0}}},
    ),
    "a token is sent": Hang(
        replace(FAR, between_tokens_seconds=0.2),
        "stopped answering for 0.2 seconds",
        {"present": STALL},
    ),
    "tokens without end are sent": Hang(
        replace(FAR, turn_seconds=0.4), "did not end its answer in 0.4 seconds", TRICKLE
    ),
}


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_a_provider_that_hangs_is_left_after_its_timeout(hang: Hang, api: Api) -> None:
    settings = replace(ALONE, timeouts=hang.timeouts)
    with staged({"a": hang.script}, settings, {"a": hang.wire}, api=api) as stage:
        with pytest.raises(UpstreamTimeout, match=hang.message) as caught:
            stage.events()
        assert caught.value.agent == "a"
        assert caught.value.spent
        assert stage.provider.is_idle(lambda _: True)
        assert stage.provider.calls == {"a": 1}, "a call that hung was made again"


def test_a_connection_that_is_not_made_has_a_timeout_of_its_own() -> None:
    timeouts = replace(FAR, connect_seconds=0.1)
    with full_listener() as url:
        backend = Backend(type="openai", base_url=url, api_key="scripted")
        team = Team(
            "team",
            [Agent("a", model="m", backend=backend)],
            settings=replace(ALONE, timeouts=timeouts),
        )
        provider = Provider({}, {})
        stage = Stage(MassGen(team, env={}), provider, "")
        with pytest.raises(UpstreamUnreachable) as caught:
            stage.events()
        assert not caught.value.spent


@contextmanager
def full_listener() -> Generator[str]:
    """An address that neither takes nor refuses a connection: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for each in waiting:
            each.setblocking(False)  # noqa: FBT003 - it takes no keyword
            each.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        for each in waiting:
            each.close()


@pytest.mark.anyio
async def test_the_time_that_a_slow_reader_takes_is_not_the_providers() -> None:
    def script(request: TurnRequest) -> list[TurnEvent]:
        return say(*["la "] * 200) if request.phase is Phase.PRESENT else list(agreeable(request))

    timeouts = Timeouts(
        first_token_seconds=0.3, between_tokens_seconds=0.3, turn_seconds=0.3, connect_seconds=1
    )
    team = Team("team", [Agent("a", model="m")], settings=replace(ALONE, timeouts=timeouts))
    massgen = MassGen(team, env={}, connect=lambda _: Model(script))
    heard: list[RunEvent] = []
    async with massgen.stream(QUESTION) as events:
        async for event in events:
            if isinstance(event, MessageText) and not isinstance(heard[-1], MessageText):
                await anyio.sleep(0.9)  # three times as long as any timeout
            heard.append(event)
    last = heard[-1]
    assert isinstance(last, RunCompleted)
    assert last.result.content == "la " * 200


# Stragglers


@dataclass(frozen=True)
class Straggler:
    settings: TeamSettings
    script: Json
    reason: str | None


STRAGGLERS = {
    "drafting": Straggler(
        replace(ALONE, initial_round_timeout_seconds=1.0), {**WELL, "draft": STALL}, "timeout"
    ),
    "evaluating, without a majority": Straggler(
        replace(ALONE, subsequent_round_timeout_seconds=1.0, straggler_grace_seconds=600),
        {**WELL, "evaluate": STALL},
        None,
    ),
    "evaluating, with a majority": Straggler(
        replace(ALONE, straggler_grace_seconds=0.1), {**WELL, "evaluate": STALL}, None
    ),
    "drafting, beyond a timeout": Straggler(
        replace(ALONE, timeouts=replace(FAR, between_tokens_seconds=1.0)),
        {**WELL, "draft": STALL},
        UpstreamTimeout.brief,
    ),
}


@pytest.mark.parametrize("straggler", STRAGGLERS.values(), ids=STRAGGLERS)
def test_a_run_does_not_wait_for_an_agent_that_hangs(straggler: Straggler) -> None:
    models = {"a": WELL, "b": WELL, "c": straggler.script}
    with staged(models, straggler.settings) as stage:
        events = stage.events()
        assert stage.provider.is_idle(lambda _: True)
    left = [(event.agent, event.reason) for event in events if isinstance(event, AgentLeft)]
    assert left == ([("c", straggler.reason)] if straggler.reason else [])
    last = events[-1]
    assert isinstance(last, RunCompleted)
    assert last.result.content == "It scatters."
    assert last.result.limited_by is None
    assert [vote.voter for vote in last.result.votes] == ["a", "b"]


# The client's own timeout


def test_the_answer_arrives_before_the_client_gives_up() -> None:
    models = {"a": WELL, "b": WELL, "c": {**WELL, "draft": STALL}}
    with staged(models, ALONE) as stage, client(stage) as sdk:
        completion = sdk.chat.completions.create(model="team", messages=[*HELLO])  # pyright: ignore
        assert completion.model_extra is not None
        assert completion.model_extra["massgen"]["limited_by"] == "deadline_seconds"
        assert completion.choices[0].message.content == "A draft."
        assert stage.provider.is_idle(lambda _: True)
        assert stage.provider.calls["c"] == 1


def test_a_client_that_waited_in_vain_does_not_pay_for_it_again() -> None:
    models = {name: {**WELL, "draft": STALL} for name in "ab"}
    with staged(models, ALONE) as stage, client(stage) as sdk:
        with pytest.raises(openai.InternalServerError) as caught:
            sdk.chat.completions.create(model="team", messages=[*HELLO])  # pyright: ignore
        assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")
        assert stage.provider.calls == {"a": 1, "b": 1}


def test_a_background_request_is_held_to_its_clients_timeout_too() -> None:
    rule = BackgroundRule(name="title", user_contains=("Why is the sky",))
    settings = replace(ALONE, background_rules=(rule,))
    with staged({"a": {"present": STALL}, "b": WELL}, settings) as stage:
        status, headers, body = post(stage.url, {"x-stainless-read-timeout": "0.5"})
        assert (status, headers["x-massgen-background"]) == (200, "title")
        assert body["massgen"]["limited_by"] == "deadline_seconds"
        assert body["choices"][0]["finish_reason"] == "length"
        assert stage.provider.calls == {"a": 1}


def client(stage: Stage) -> openai.OpenAI:
    """A client with a timeout, and with the retries that it has by default."""
    return openai.OpenAI(base_url=f"{stage.url}/v1", api_key="unused", timeout=4)


def post(url: str, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    payload = json.dumps({"model": "team", "messages": HELLO})
    connection.request("POST", "/v1/chat/completions", payload, headers)
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    return response.status, dict(response.getheaders()), body


@pytest.mark.parametrize(
    ("headers", "deadline"),
    [
        ({"x-stainless-read-timeout": "600.0"}, 595.0),
        ({"x-stainless-read-timeout": "600"}, 595.0),
        ({"x-stainless-timeout": "600"}, 595.0),
        ({"x-stainless-timeout": "30", "x-stainless-read-timeout": "600"}, 27.0),
        ({"x-stainless-read-timeout": "2"}, 1.8),
        ({"x-stainless-read-timeout": "None"}, None),
        ({"x-stainless-read-timeout": "inf"}, None),
        ({"x-stainless-read-timeout": "nan"}, None),
        ({"x-stainless-read-timeout": "0"}, None),
        ({"x-stainless-read-timeout": "-5"}, None),
        ({"x-stainless-read-timeout": "1e999"}, None),
        ({"x-stainless-read-timeout": "1" * 5000}, None),
        ({"x-stainless-read-timeout": ""}, None),
        ({}, None),
    ],
)
def test_the_deadline_is_a_little_before_the_clients_timeout(
    headers: dict[str, str], deadline: float | None
) -> None:
    assert before_client_leaves(asked(), headers).run.narrowing.deadline_seconds == deadline


def test_a_stream_keeps_its_client_awake_and_is_not_narrowed() -> None:
    streamed = replace(asked(), stream=True)
    assert before_client_leaves(streamed, {"x-stainless-read-timeout": "2"}) == streamed


@pytest.mark.parametrize(("own", "deadline"), [(1.0, 1.0), (100.0, 18.0)])
def test_the_lower_of_two_deadlines_counts(own: float, deadline: float) -> None:
    request = asked(massgen={"limits": {"deadline_seconds": own}})
    narrowed = before_client_leaves(request, {"x-stainless-read-timeout": "20"})
    assert narrowed.run.narrowing.deadline_seconds == deadline


def asked(**more: Any) -> ChatRequest:
    return parse({"model": "team", "messages": HELLO, **more})
