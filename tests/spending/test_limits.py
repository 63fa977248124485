"""Limits of tokens and cost: what is counted, where a run stops, and by how much it may exceed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import anyio
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_compat import Agent, Backend, Limits, MassGen, Price, Team, TeamSettings
from massgen_compat._local.engine import LocalEngine
from massgen_compat._run.request import RunRequest
from massgen_compat._run.result import RunResult, Usage
from massgen_compat._run.turn import Phase, Reply, TextPiece, TurnEvent, TurnRequest
from massgen_compat._spending.meter import Meter, MeteredCall
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.errors import ConfigError, LimitExceeded, UpstreamRateLimited, UpstreamTimeout
from massgen_compat.events import RunCompleted, RunEvent, RunLimited, WinnerChosen
from massgen_compat.testing import ScriptedServer
from tests.fakes import QUESTION, Model, agreeable, reading

PRICE = Price(input_per_million=1, output_per_million=10, cached_per_million=0.5)


def guess(request: TurnRequest) -> int:
    return Meter(Limits(max_tokens=1), {}).prompt(request)


def with_usage(events: list[TurnEvent], usage: Usage | None) -> list[TurnEvent]:
    return [replace(e, usage=usage) if isinstance(e, Reply) else e for e in events]


async def events_of(
    models: Mapping[str, Model], limits: Limits, request: RunRequest = QUESTION
) -> list[RunEvent]:
    settings = TeamSettings(limits=limits, prices={"m": PRICE})
    team = Team("team", [Agent(name, model="m") for name in models], settings=settings)
    engine = LocalEngine(lambda agent: models[agent.id])
    async with reading(engine, team, request) as events:
        return [event async for event in events]


def result_of(events: list[RunEvent]) -> RunResult:
    assert isinstance(events[-1], RunCompleted)
    return events[-1].result


def spending(tokens: int) -> Model:
    """A model whose every call costs so many tokens, the prompt as estimated."""

    def script(request: TurnRequest) -> list[TurnEvent]:
        read = guess(request)
        usage = Usage(prompt_tokens=read, completion_tokens=tokens)
        return with_usage(agreeable(request), usage)

    return Model(script)


def run(models: Mapping[str, Model], limits: Limits, request: RunRequest = QUESTION) -> RunResult:
    async def main() -> RunResult:
        return result_of(await events_of(models, limits, request))

    return anyio.run(main)


def test_an_evaluation_that_does_not_fit_is_not_begun_and_the_best_answer_is_the_message() -> None:
    models = {name: spending(100_000) for name in "ab"}

    async def main() -> list[RunEvent]:
        return await events_of(models, Limits(max_tokens=201_000))

    events = anyio.run(main)
    result = result_of(events)
    assert (result.content, result.limited_by) == ("draft of a", "max_tokens")
    assert [len(model.requests) for model in models.values()] == [1, 1]
    chosen = [event for event in events if isinstance(event, WinnerChosen)]
    assert [event.limited_by for event in chosen] == ["max_tokens"]


def test_a_message_that_does_not_fit_is_the_winning_answer_and_the_trace_says_so() -> None:
    free = run({name: spending(100) for name in "ab"}, Limits())
    assert free.usage is not None
    assert free.visible_usage is not None
    all_tokens = free.usage.prompt_tokens + free.usage.completion_tokens
    models = {name: spending(100) for name in "ab"}

    async def main() -> list[RunEvent]:
        read = free.visible_usage.prompt_tokens if free.visible_usage else 0
        return await events_of(models, Limits(max_tokens=all_tokens - 100 - read // 2))

    events = anyio.run(main)
    assert (result_of(events).content, len(result_of(events).votes)) == ("draft of a", 2)
    assert sum(len(model.requests) for model in models.values()) == 4
    assert RunLimited(limit="max_tokens") in events


def test_what_does_not_even_fit_the_question_costs_nothing() -> None:
    model = spending(1)
    with pytest.raises(LimitExceeded) as caught:
        run({"a": model, "b": model}, Limits(max_tokens=5))
    assert (caught.value.spent, model.requests) == (False, [])


def test_a_message_is_cut_where_it_passes_the_limit() -> None:
    model = Model(lambda _: [*(TextPiece("word " * 3) for _ in range(1000)), Reply(text="")])
    result = run({"a": model}, Limits(max_tokens=500))
    assert (result.message.finish_reason, result.limited_by) == ("length", "max_tokens")
    assert model.aborted == 1
    assert 1000 < len(result.content or "") <= 500 * 3 + 15


def test_a_limit_of_cost_holds_by_stated_prices_and_the_cost_is_told() -> None:
    cheap = run({name: spending(1000) for name in "ab"}, Limits(max_cost=1.0))
    usage = cheap.usage
    assert usage is not None
    assert cheap.cost_usd == pytest.approx(PRICE.of(usage))
    assert sum(row.cost_usd or 0 for row in cheap.agents) == pytest.approx(cheap.cost_usd)
    dear = run({name: spending(100_000) for name in "ab"}, Limits(max_cost=2.0))
    assert (dear.content, dear.limited_by) == ("draft of a", "max_cost")


def test_calls_without_a_report_count_as_estimated_and_refused_ones_as_nothing() -> None:
    request = TurnRequest(agent="a", round=1, phase=Phase.DRAFT, messages=QUESTION.messages)
    read = guess(request)

    def left(meter: Meter, tokens: int) -> bool:
        return meter.refused({"a": [tokens]}) is None

    def finish(meter: Meter, call: MeteredCall) -> None:
        meter.finish(call, Reply(text="y" * 30))

    def cut(meter: Meter, call: MeteredCall) -> None:
        meter.cut(call)

    def late(meter: Meter, call: MeteredCall) -> None:
        meter.fail(call, UpstreamTimeout("late"))

    def refuse(meter: Meter, call: MeteredCall) -> None:
        meter.fail(call, UpstreamRateLimited("429"))

    for end, counted in ((finish, read + 10), (cut, read), (late, read), (refuse, 0)):
        meter = Meter(Limits(max_tokens=1000), {})
        end(meter, meter.start(request))
        assert left(meter, 999 - counted)
        assert not left(meter, 1000 - counted)


@settings(deadline=None, max_examples=60)
@given(
    limit=st.integers(1, 20_000),
    outputs=st.lists(st.integers(0, 3000), min_size=1, max_size=6),
    agents=st.integers(1, 3),
    choices=st.integers(1, 3),
    factor=st.floats(0.1, 3.0),
)
def test_the_total_never_exceeds_the_limit_by_more_than_a_turn_of_each_running_call(
    limit: int, outputs: list[int], agents: int, choices: int, factor: float
) -> None:
    """``factor``: how far prompts are from their estimates."""
    read: list[int] = []
    excess: list[int] = []
    wrote: list[int] = []

    def script(request: TurnRequest) -> list[TurnEvent]:
        written = outputs[len(wrote) % len(outputs)]
        estimated = guess(request)
        read.append(round(estimated * factor))
        excess.append(max(0, read[-1] - estimated) + 1)
        wrote.append(written)
        usage = Usage(prompt_tokens=read[-1], completion_tokens=written)
        return with_usage(agreeable(request), usage)

    models = {name: Model(script) for name in "abc"[:agents]}
    try:
        result = run(models, Limits(max_tokens=limit), replace(QUESTION, choices=choices))
    except LimitExceeded:
        pass
    else:
        assert result.limited_by in {None, "max_tokens"}
        assert result.content
    running = max(agents, choices)
    bound = limit + running * (max(wrote, default=0) + max(excess, default=0))
    assert sum(read) + sum(wrote) <= bound


# Over real servers


def step(text: str) -> dict[str, Any]:
    return {"text": text, "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("limit", "calls"), [(6000, 3), (1_000_000, 7)])
def test_a_request_lowers_the_limit_and_the_tokens_upstream_hold_it(
    limit: int, calls: int, *, stream: bool
) -> None:
    script = {"draft": step("The draft."), "present": step("The message.")}
    upstream = ScriptedServer({}, default=script)
    with serving(upstream) as provider:
        backend = Backend(type="openai", base_url=f"{provider}/v1", api_key="x")
        team = Team("team", [Agent(name, model="m", backend=backend) for name in "abc"])
        with (
            serving(create_app(MassGen(team, env={}))) as url,
            openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client,
        ):
            create: Any = client.chat.completions.create
            body: Any = {"massgen": {"limits": {"max_tokens": limit}}}
            asked: Any = {"model": "team", "messages": [{"role": "user", "content": "Why?"}]}
            reply = create(**asked, stream=stream, extra_body=body)
            told = [*reply][-1].massgen if stream else reply.massgen
            assert told["limited_by"] == ("max_tokens" if calls == 3 else None)
            assert told["cost_usd"] is None
            assert len(upstream.requests) == calls
            with pytest.raises(openai.BadRequestError) as caught:
                create(**asked, extra_body={"massgen": {"limits": {"max_cost": 1}}})
            assert caught.value.param == "massgen.limits.max_cost"


def test_an_unknown_price_with_a_limit_of_cost_is_a_configuration_error() -> None:
    limited = TeamSettings(limits=Limits(max_cost=1))
    local = Backend(type="vllm")
    with pytest.raises(ConfigError, match=r"agent 'a': `max_cost` is set.*'ours' is unknown"):
        MassGen(Team("t", [Agent("a", model="ours", backend=local)], settings=limited), env={})
    stated = replace(limited, prices={"ours": PRICE})
    MassGen(Team("t", [Agent("a", model="ours", backend=local)], settings=stated), env={})
    known = Agent("a", model="gpt-5.2", backend=Backend(type="openai", api_key="x"))
    MassGen(Team("t", [known], settings=limited), env={})
