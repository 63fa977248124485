"""Background requests go to one agent: over HTTP and in the library, visibly, and only those."""

import json
import logging
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from massgen_compat import Agent, MassGen, Team, TeamSettings
from massgen_compat._run.background_rules import BackgroundRule
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.errors import ConfigError
from tests.cli.test_cli import TEAM, config, serve
from tests.fakes import Model
from tests.server.test_server import ask, sdk

TITLE: list[Any] = [
    {
        "role": "user",
        "content": "### Task:\nGenerate a concise title summarizing the chat history.\n"
        '### Output:\nJSON format: { "title": "x" }\n'
        "<chat_history>\nUSER: My secret plan.\n</chat_history>",
    }
]
OPENCODE: list[Any] = [
    {"role": "system", "content": "You are a title generator. You output ONLY a thread title."},
    {"role": "user", "content": "Generate a title for this conversation:\n"},
    {"role": "user", "content": "Why is the sky blue?"},
]
QUESTION: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]
MINE = BackgroundRule(name="my-titles", user_starts_with="TITLE:", max_tokens=20)


@dataclass(frozen=True)
class Seen:
    """A reply, and how many calls each agent's model got for it."""

    headers: Mapping[str, str]
    body: Any
    calls: tuple[int, ...]


def post(messages: list[Any], settings: TeamSettings | None = None, **more: object) -> Seen:
    """Send a body to a real server of a team of three."""
    models = {name: Model() for name in "abc"}
    team = Team("team", [Agent(name, model="m") for name in models], settings=settings)
    app = create_app(MassGen(team, connect=lambda agent: models[agent.id]))
    with serving(app) as url:
        reply = ask(url, body={"model": "team", "messages": messages, **more})
    assert reply.status == 200
    return Seen(reply.headers, reply.body, tuple(len(model.requests) for model in models.values()))


def chunks_of(raw: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in raw.decode().split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_a_title_costs_one_call_and_a_question_seven() -> None:
    title, question = post(TITLE), post(QUESTION)
    assert (title.calls, sum(question.calls)) == ((1, 0, 0), 7)
    assert title.headers["x-massgen-background"] == "open-webui-title"
    assert "x-massgen-background" not in question.headers
    assert title.body["massgen"]["background"] == "open-webui-title"
    assert title.body["massgen"]["team"] == title.body["model"] == "team"
    assert [agent["id"] for agent in title.body["massgen"]["agents"]] == ["a"]
    assert "background" not in question.body["massgen"]
    assert title.body["choices"][0]["message"]["content"] == "It scatters."


def test_a_stream_says_so_in_its_header_and_its_last_chunk() -> None:
    seen = post(OPENCODE, stream=True, max_tokens=32000)
    assert sum(seen.calls) == 1
    assert seen.headers["x-massgen-background"] == "opencode-title"
    *others, last = chunks_of(seen.body)
    assert last["massgen"]["background"] == "opencode-title"
    assert not any("massgen" in chunk for chunk in others)


def test_without_the_massgen_object_the_header_still_says_so() -> None:
    seen = post(TITLE, massgen="off")
    assert seen.headers["x-massgen-background"] == "open-webui-title"
    assert "massgen" not in seen.body


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_off_means_that_the_team_answers_everything(stream: bool) -> None:  # noqa: FBT001
    settings = TeamSettings(background_agent="off", background_rules=(MINE,))
    seen = post(OPENCODE, settings, stream=stream)
    assert sum(seen.calls) == 7
    assert "x-massgen-background" not in seen.headers


def test_another_agent_can_be_chosen() -> None:
    assert post(TITLE, TeamSettings(background_agent="c")).calls == (0, 0, 1)


def test_an_own_rule_is_looked_at_and_a_built_in_one_can_be_taken_back() -> None:
    gone = BackgroundRule(name="open-webui-title", enabled=False)
    settings = TeamSettings(background_rules=(MINE, gone))
    mine: list[Any] = [{"role": "user", "content": "TITLE: Why is the sky blue?"}]
    seen = post(mine, settings, max_tokens=20)
    assert (sum(seen.calls), seen.headers["x-massgen-background"]) == (1, "my-titles")
    assert sum(post(mine, settings).calls) == 7
    assert sum(post(TITLE, settings).calls) == 7


def test_the_user_agent_tells_nothing() -> None:
    models = {name: Model() for name in "abc"}
    team = Team("team", [Agent(name, model="m") for name in models])
    with serving(create_app(MassGen(team, connect=lambda agent: models[agent.id]))) as url:
        for agent in ("opencode/1.18.33", "open-webui", "QwenCode/0.24.4"):
            body = {"model": "team", "messages": QUESTION}
            reply = ask(url, body=body, headers={"User-Agent": agent})
            assert "x-massgen-background" not in reply.headers
    assert sum(len(model.requests) for model in models.values()) == 3 * 7


def test_one_agent_alone_is_no_case_for_a_rule() -> None:
    models = {name: Model() for name in "ab"}
    pair = Team("pair", [Agent(name, model="m") for name in models])
    solo = Team("solo", [Agent("a", model="m")])
    massgen = MassGen(pair, solo, connect=lambda agent: models[agent.id])
    with serving(create_app(massgen)) as url:
        for model in ("solo", "pair-single"):
            reply = ask(url, body={"model": model, "messages": TITLE})
            assert "x-massgen-background" not in reply.headers
            assert "background" not in reply.body["massgen"]
    assert [len(model.requests) for model in models.values()] == [2, 0]


@pytest.mark.anyio
async def test_the_library_does_the_same_and_logs_no_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = {name: Model() for name in "abc"}
    team = Team("team", [Agent(name, model="m") for name in models])
    massgen = MassGen(team, connect=lambda agent: models[agent.id])
    with caplog.at_level(logging.INFO, logger="massgen_compat"):
        completion = await massgen.chat({"model": "team", "messages": TITLE})
        async with massgen.chat_stream({"model": "team", "messages": OPENCODE}) as chunks:
            async for _ in chunks:
                pass
        await massgen.chat({"model": "team", "messages": QUESTION})
    assert (completion.model_extra or {})["massgen"]["background"] == "open-webui-title"
    assert len(models["a"].requests) == 2 + 3
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "background request to team: open-webui-title, by agent a"),
        ("INFO", "background request to team: opencode-title, by agent a"),
    ]


def test_the_sdk_sees_the_header() -> None:
    models = {name: Model() for name in "ab"}
    team = Team("team", [Agent(name, model="m") for name in models])
    app = create_app(
        MassGen(team, connect=lambda agent: models[agent.id]), cors_origins=["https://app.example"]
    )
    with serving(app) as url:
        with sdk(url) as client:
            raw = client.chat.completions.with_raw_response.create(model="team", messages=TITLE)
        assert raw.headers["x-massgen-background"] == "open-webui-title"
        body = {"model": "team", "messages": TITLE}
        reply = ask(url, body=body, headers={"Origin": "https://app.example"})
    assert "x-massgen-background" in reply.headers["access-control-expose-headers"]


def test_an_unknown_agent_is_an_error_at_the_start() -> None:
    settings = TeamSettings(background_agent="z")
    team = Team("team", [Agent(name, model="m") for name in "ab"], settings=settings)
    with pytest.raises(ConfigError, match="background_agent 'z' is none of its agents: a, b"):
        MassGen(team, connect=lambda _: Model())


def test_a_server_shows_the_line_in_its_log(tmp_path: Path) -> None:
    with serve(config(tmp_path, TEAM)) as server:
        reply = ask(server.url, body={"model": "team", "messages": TITLE})
        assert reply.headers["x-massgen-background"] == "open-webui-title"
        assert server.stop(signal.SIGTERM) == 0
    [line] = [line for line in server.log if "background" in line]
    assert line == "INFO:     background request to team: open-webui-title, by agent ada\n"
    assert not any("secret plan" in line for line in server.log)
