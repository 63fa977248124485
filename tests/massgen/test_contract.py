"""What an engine promises, held to by both engines over the same wire to the same upstream."""

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from massgen_compat import MassGen
from massgen_compat._massgen.orchestration import Orchestration
from massgen_compat._massgen.package import load
from massgen_compat._run.message import text_message
from massgen_compat._run.result import Usage
from massgen_compat._run.team import EngineName, Limits, TeamSettings
from massgen_compat._run.turn import Phase
from massgen_compat.errors import (
    ConfigError,
    MassGenError,
    UpstreamAuthentication,
    UpstreamMalformed,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from massgen_compat.events import (
    AgentLeft,
    AgentText,
    Answered,
    MessageText,
    PresentationStarted,
    RunCompleted,
    RunStarted,
    TurnFinished,
    TurnStarted,
    VoteCast,
    WinnerChosen,
)
from massgen_compat.testing import ServedRequest
from tests.massgen.stage import (
    QUESTION,
    massgen_at,
    needs_massgen,
    only,
    result_of,
    run,
    upstream,
)

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

both = pytest.mark.parametrize("engine", ["local", pytest.param("massgen", marks=needs_massgen)])
SCRIPT: Mapping[str, Any] = {"draft": "Air scatters blue.", "present": "It scatters most of all."}


@both
async def test_a_run_has_one_beginning_and_one_end(engine: EngineName) -> None:
    async with upstream(SCRIPT) as up, massgen_at(up.url, engine, "m", "m", "m") as massgen:
        events = await run(massgen)
    assert isinstance(events[0], RunStarted)
    assert [i for i, e in enumerate(events) if isinstance(e, RunCompleted)] == [len(events) - 1]
    result = result_of(events)
    assert result.content == "It scatters most of all."
    assert "".join(event.text for event in only(events, MessageText)) == result.content
    assert (result.winner, result.presenter, result.limited_by) == ("a", "a", None)
    assert [answer.content for answer in result.answers] == ["Air scatters blue."] * 3
    assert [(vote.voter, vote.target) for vote in result.votes] == [
        ("a", "a"), ("b", "a"), ("c", "a"),
    ]  # fmt: skip


@both
async def test_every_announcement_stands_before_what_follows_from_it(engine: EngineName) -> None:
    async with upstream(SCRIPT) as up, massgen_at(up.url, engine) as massgen:
        events = await run(massgen)
    order = [type(event) for event in events]
    assert order.index(Answered) < order.index(VoteCast) < order.index(WinnerChosen)
    assert order.index(WinnerChosen) < order.index(PresentationStarted) < order.index(MessageText)
    assert {event.round for event in only(events, Answered)} == {1}
    assert min(event.round for event in only(events, VoteCast)) == 2


@both
async def test_usage_adds_up_over_every_call(engine: EngineName) -> None:
    async with upstream(SCRIPT) as up, massgen_at(up.url, engine) as massgen:
        events = await run(massgen)
        asked = len(up.app.requests)
    result = result_of(events)
    assert sum(row.calls for row in result.agents) == asked == len(only(events, TurnStarted))
    finished = only(events, TurnFinished)
    assert len(finished) == asked
    total = Usage(prompt_tokens=0, completion_tokens=0)
    for event in finished:
        assert event.usage is not None
        total += event.usage
    assert result.usage == total
    assert result.visible_usage == finished[-1].usage
    assert all(row.unreported_calls == 0 for row in result.agents)


@both
async def test_a_provider_without_usage_leaves_the_total_unknown(engine: EngineName) -> None:
    script = {"draft": {"text": "x y z", "usage": None}, "present": "done"}
    async with upstream(script) as up, massgen_at(up.url, engine) as massgen:
        result = result_of(await run(massgen))
    assert result.usage is None
    assert [row.unreported_calls for row in result.agents] == [1, 1]


@both
@pytest.mark.parametrize("phase", list(Phase))
async def test_leaving_the_stream_aborts_every_call(engine: EngineName, phase: Phase) -> None:
    reached = anyio.Event()

    async def hold(request: ServedRequest, index: int) -> None:
        if request.phase is phase and index == 1:
            reached.set()
            await anyio.sleep_forever()

    async with upstream(SCRIPT, hold=hold) as up, massgen_at(up.url, engine) as massgen:
        with anyio.fail_after(20):
            async with massgen.stream(QUESTION) as events, anyio.create_task_group() as tasks:

                async def read() -> None:
                    async for _ in events:
                        pass

                tasks.start_soon(read)
                await reached.wait()
                tasks.cancel_scope.cancel()
        await up.is_idle()
        assert up.app.aborted >= 1


@both
async def test_cancellation_from_outside_goes_through(engine: EngineName) -> None:
    reached = anyio.Event()

    async def hold(request: ServedRequest, index: int) -> None:
        reached.set()
        await anyio.sleep_forever()

    async with upstream(SCRIPT, hold=hold) as up, massgen_at(up.url, engine) as massgen:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, massgen)
            await reached.wait()
            tasks.cancel_scope.cancel()
        await up.is_idle()


async def fail_at_the_first_answer(massgen: MassGen) -> None:
    async with massgen.stream(QUESTION) as events:
        async for event in events:
            if isinstance(event, Answered):
                raise KeyError("mine")


@both
async def test_an_error_of_the_reader_comes_out_as_it_is(engine: EngineName) -> None:
    async with upstream(SCRIPT) as up, massgen_at(up.url, engine) as massgen:
        with pytest.raises(KeyError, match="mine"):
            await fail_at_the_first_answer(massgen)
        await up.is_idle()


@both
async def test_the_first_token_reaches_the_reader_before_the_presenter_goes_on(
    engine: EngineName,
) -> None:
    seen = anyio.Event()

    async def hold(request: ServedRequest, index: int) -> None:
        if request.phase is Phase.PRESENT and index == 2:
            await seen.wait()

    text = ""
    async with upstream(SCRIPT, hold=hold) as up, massgen_at(up.url, engine) as massgen:
        with anyio.fail_after(20):
            async with massgen.stream(QUESTION) as events:
                async for event in events:
                    if isinstance(event, MessageText):
                        text += event.text
                        seen.set()
    assert text == "It scatters most of all."


@dataclass(frozen=True)
class Failure:
    fail: Mapping[str, Any]
    expected: type[MassGenError]


@both
@pytest.mark.parametrize(
    "case",
    [
        Failure({"status": 401, "message": "bad key"}, UpstreamAuthentication),
        Failure({"status": 429, "retry_after": 0}, UpstreamRateLimited),
        Failure({"cut": True, "after_tokens": 1}, UpstreamMalformed),
    ],
    ids=lambda case: case.expected.__name__,
)
async def test_when_every_provider_fails_the_run_fails_with_its_error(
    engine: EngineName, case: Failure
) -> None:
    script = {"draft": {"text": "some words here", "fail": case.fail}}
    async with upstream(script) as up, massgen_at(up.url, engine) as massgen:
        with pytest.raises(case.expected) as caught:
            await run(massgen)
    assert "sk-upstream" not in str(caught.value)
    assert caught.value.spent is (case.expected is UpstreamMalformed)


@both
async def test_a_provider_that_cannot_be_reached_is_said_to_be_so(engine: EngineName) -> None:
    async with massgen_at("http://127.0.0.1:9/v1", engine) as massgen:
        with pytest.raises(UpstreamUnreachable):
            await run(massgen)


@both
async def test_an_agent_whose_provider_fails_leaves_and_the_others_decide(
    engine: EngineName,
) -> None:
    broken = {"draft": {"text": "x", "fail": {"status": 401}}}
    script = {**SCRIPT, "evaluate": "vote longest"}
    async with (
        upstream(script, scripts={"broken": broken}) as up,
        massgen_at(up.url, engine, "broken", "fine", "fine") as massgen,
    ):
        events = await run(massgen)
        refused = [request for request in up.app.requests if request.model == "broken"]
    assert [event.agent for event in only(events, AgentLeft)] == ["a"]
    assert len(refused) == 1, "it was asked again in vain"
    result = result_of(events)
    assert result.content == "It scatters most of all."
    assert {answer.agent for answer in result.answers} == {"b", "c"}


@both
async def test_what_agents_write_is_told_only_under_the_full_trace(engine: EngineName) -> None:
    script = {
        "draft": {"text": "Thinking aloud.", "new_answer": "An answer."},
        "evaluate": {"text": "Comparing.", "vote": "agent1"},
        "present": "Done.",
    }
    async with upstream(script) as up, massgen_at(up.url, engine) as massgen:
        quiet = await run(massgen, trace="status")
        told = only(await run(massgen, trace="full"), AgentText)
    assert only(quiet, AgentText) == []
    for agent in "ab":
        said = "".join(event.text for event in told if event.agent == agent)
        assert said.startswith("Thinking aloud.Comparing.")


@both
async def test_at_the_deadline_the_best_answer_so_far_is_the_answer(engine: EngineName) -> None:
    async def hold(request: ServedRequest, index: int) -> None:
        if request.model == "slow":
            await anyio.sleep_forever()

    settings = TeamSettings(limits=Limits(deadline_seconds=2), defer_voting_until_all_answered=True)
    async with (
        upstream(SCRIPT, hold=hold) as up,
        massgen_at(up.url, engine, "fast", "slow", settings=settings) as massgen,
    ):
        result = result_of(await run(massgen))
        await up.is_idle()
    assert (result.content, result.limited_by) == ("Air scatters blue.", "deadline_seconds")


@both
async def test_without_any_answer_at_the_deadline_the_run_is_a_timeout(engine: EngineName) -> None:
    async def hold(request: ServedRequest, index: int) -> None:
        await anyio.sleep_forever()

    settings = TeamSettings(limits=Limits(deadline_seconds=1))
    async with (
        upstream(SCRIPT, hold=hold) as up,
        massgen_at(up.url, engine, settings=settings) as massgen,
    ):
        with pytest.raises(UpstreamTimeout, match="deadline_seconds") as caught:
            await run(massgen)
    assert caught.value.spent


@both
async def test_no_call_is_made_beyond_max_calls(engine: EngineName) -> None:
    settings = TeamSettings(limits=Limits(max_calls=4))
    async with (
        upstream(SCRIPT) as up,
        massgen_at(up.url, engine, "m", "m", "m", settings=settings) as massgen,
    ):
        result = result_of(await run(massgen))
        assert len(up.app.requests) <= 4
    assert (result.content, result.limited_by) == ("Air scatters blue.", "max_calls")


@both
async def test_no_call_is_made_once_max_tokens_is_reached(engine: EngineName) -> None:
    settings = TeamSettings(limits=Limits(max_tokens=12_000))
    script = {"draft": {"text": "An answer.", "usage": {"prompt_tokens": 9_000}}}
    async with (
        upstream(script) as up,
        massgen_at(up.url, engine, "m", "m", settings=settings) as massgen,
    ):
        result = result_of(await run(massgen))
    assert (result.content, result.limited_by) == ("An answer.", "max_tokens")


@both
async def test_several_runs_at_once_do_not_mix(engine: EngineName) -> None:
    said: dict[int, str | None] = {}
    async with upstream({}) as up, massgen_at(up.url, engine) as massgen:

        async def ask(number: int) -> None:
            messages = (text_message("user", f"What is question {number}?"),)
            said[number] = result_of(await run(massgen, messages=messages)).content

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(ask, number)
    assert {n: text for n, text in said.items() if f"question {n}?" not in (text or "")} == {}
    assert len(said) == 12


@both
async def test_nothing_is_left_behind(engine: EngineName, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with upstream(SCRIPT) as up, massgen_at(up.url, engine) as massgen:
        await run(massgen)
        tasks = len(asyncio.all_tasks())
        for _ in range(3):
            await run(massgen)
            async with massgen.stream(QUESTION) as events:
                await anext(aiter(events))
        await up.is_idle()
        assert len(asyncio.all_tasks()) <= tasks
    assert [path async for path in anyio.Path(tmp_path).iterdir()] == []


@needs_massgen
async def test_what_cannot_be_built_leaves_nothing_behind(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    backend = {"type": "chatcompletion", "model": "m", "base_url": "http://127.0.0.1:9/v1"}

    def refuse(_: str) -> None:
        raise ConfigError("there is no such client")

    with pytest.raises(ConfigError, match="no such client"):
        Orchestration(
            load(),
            {"agents": [{"id": "a", "backend": backend}]},
            environment={},
            client_of=refuse,
        )
    assert [path async for path in anyio.Path(tmp_path).iterdir()] == []
