"""Observers, and the spans and metrics of real runs as OpenTelemetry's own SDK receives them."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from massgen_compat import Agent, MassGen, MassGenError, RunRequest, Team
from massgen_compat._client.observers import Observer, See
from massgen_compat._run.team import Trace
from massgen_compat._run.turn import CallPiece, Phase, TextPiece, TurnEvent, TurnRequest
from massgen_compat.errors import UpstreamRateLimited
from massgen_compat.events import AgentReasoning, AgentText, Detail, MessageText, RunEvent
from massgen_compat.telemetry import OpenTelemetry
from tests.fakes import QUESTION, Model, Script, agreeable, call, say

pytestmark = pytest.mark.anyio

SECRETS = ("sky", "draft of", "it is right", "scatters", "Zurich", "run-secret")
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


@dataclass
class Collected:
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.observe = OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters)

    def spans(self, start: str = "") -> list[ReadableSpan]:
        return [s for s in self.exporter.get_finished_spans() if s.name.startswith(start)]

    def run(self) -> ReadableSpan:
        (span,) = self.spans("invoke_workflow")
        return span

    def points(self) -> Iterator[tuple[str, HistogramDataPoint]]:
        data = self.reader.get_metrics_data()
        assert data is not None
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        assert isinstance(point, HistogramDataPoint)
                        yield metric.name, point

    def everything(self) -> str:
        metrics = self.reader.get_metrics_data()
        return "\n".join(span.to_json() for span in self.spans()) + (
            metrics.to_json() if metrics else ""
        )


@pytest.fixture
def collected() -> Iterator[Collected]:
    """What a run recorded. Whatever the test, none of it is content, and every span has ended."""
    found = Collected()
    yield found
    text = found.everything()
    assert found.spans()
    assert not [secret for secret in SECRETS if secret in text]
    for span in found.spans():
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time
    found.meters.shutdown()
    found.tracers.shutdown()


def team(agents: int) -> Team:
    return Team("team", [Agent(f"a{n}", model=f"m{n}") for n in range(agents)])


def massgen(
    observe: Observer | Sequence[Observer], agents: int = 1, model: Model | None = None
) -> MassGen:
    shared = model or Model()
    observers = [observe] if isinstance(observe, Observer) else observe
    return MassGen(team(agents), env={}, connect=lambda _: shared, observe=observers)


async def events_of(served: MassGen, request: RunRequest = QUESTION) -> list[RunEvent]:
    async with served.stream(request) as events:
        return [event async for event in events]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parents(children: Sequence[ReadableSpan]) -> set[int]:
    return {span.parent.span_id for span in children if span.parent}


def failing(agent: str) -> Script:
    def script(request: TurnRequest) -> Sequence[TurnEvent]:
        if request.agent == agent:
            raise UpstreamRateLimited("run-secret")
        return agreeable(request)

    return script


async def test_one_agent_is_a_run_a_round_and_a_call(collected: Collected) -> None:
    await events_of(massgen(collected.observe))
    run, call_span = collected.run(), collected.spans("chat m0")[-1]
    assert attributes(run)["gen_ai.operation.name"] == "invoke_workflow"
    assert attributes(run)["gen_ai.agent.name"] == "team"
    assert attributes(run)["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes(run)["massgen.winner"] == "a0"
    assert attributes(call_span)["gen_ai.provider.name"] == "openai"
    assert attributes(call_span)["gen_ai.usage.input_tokens"] == 10
    assert call_span.kind.name == "CLIENT"
    assert run.status.status_code is StatusCode.UNSET
    assert run.context is not None
    assert parents(collected.spans("invoke_agent")) == {run.context.span_id}


async def test_three_agents_show_their_rounds_votes_and_decision(collected: Collected) -> None:
    model = Model()
    await events_of(massgen(collected.observe, 3, model))
    names = [span.name for span in collected.spans("invoke_agent")]
    assert {f"invoke_agent a{n}" for n in range(3)} == set(names)
    assert len(collected.spans("chat")) == len(model.requests) == 7
    assert len(parents(collected.spans("chat"))) == len(names)
    evaluations = {
        span.context.span_id: attributes(span)["gen_ai.agent.name"]
        for span in collected.spans("invoke_agent")
        if span.context and attributes(span)["massgen.phase"] == "evaluate"
    }
    votes = collected.spans("vote")
    assert parents(votes) == evaluations.keys()
    for vote in votes:
        assert vote.parent
        assert vote.name == f"vote {evaluations[vote.parent.span_id]}"
        assert attributes(vote)["massgen.target"] == "a0"
    (decision,) = collected.spans("decide team")
    assert decision.parent == collected.run().context
    assert attributes(decision) == {"massgen.agent": "a0", "massgen.votes": 3}
    told = [event.name for event in collected.run().events]
    assert told.count("massgen.answered") == 3
    assert attributes(collected.run())["gen_ai.usage.output_tokens"] == 7 * 4


async def test_metrics_count_tokens_and_time_without_ids(collected: Collected) -> None:
    await events_of(massgen(collected.observe, 3))
    points = list(collected.points())
    assert {name for name, _ in points} == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.invoke_agent.duration",
        "gen_ai.server.request.duration",
        "gen_ai.server.time_to_first_token",
    }
    used = [point for name, point in points if name == "gen_ai.client.token.usage"]
    sums = {"input": 0, "output": 0}
    for point in used:
        sums[str((point.attributes or {})["gen_ai.token.type"])] += int(point.sum)
    assert sums == {"input": 70, "output": 28}
    assert tuple(used[0].explicit_bounds) == tuple(4**n for n in range(14))
    assert not [key for _, point in points for key in point.attributes or {} if "id" in key[-3:]]


async def test_a_tool_loop_ends_one_run_with_calls_and_resumes_in_another(
    collected: Collected,
) -> None:
    def script(request: TurnRequest) -> Sequence[TurnEvent]:
        if request.phase is not Phase.PRESENT:
            return agreeable(request)
        if any(message.role == "tool" for message in request.messages):
            return say("It rains in Zurich.")
        arguments = '{"city": "Zurich"}'
        return [CallPiece(0, arguments, id="call_1", name="weather"), call("weather", arguments)]

    asked: list[Any] = [{"role": "user", "content": "Is the sky blue in Zurich?"}]
    served = massgen(collected.observe, 2, Model(script))
    payload: dict[str, Any] = {"model": "team", "messages": asked, "tools": [WEATHER]}
    first = (await served.chat(payload)).choices[0].message
    assert first.tool_calls
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "Zurich: rain"}
    await served.chat({**payload, "messages": [*asked, first, result]})
    runs = collected.spans("invoke_workflow")
    reasons = [attributes(run)["gen_ai.response.finish_reasons"] for run in runs]
    assert reasons == [("tool_calls",), ("stop",)]


async def test_each_of_several_choices_is_a_call_of_one_round(collected: Collected) -> None:
    await events_of(massgen(collected.observe, 2), replace(QUESTION, choices=3))
    rounds = collected.spans("invoke_agent")
    present = [span for span in rounds if attributes(span)["massgen.phase"] == "present"]
    assert len(present) == 1
    assert present[0].context is not None
    calls = [s for s in collected.spans("chat") if parents([s]) == {present[0].context.span_id}]
    assert len(calls) == 3
    assert attributes(collected.run())["gen_ai.response.finish_reasons"] == ("stop",) * 3


async def test_a_failing_agent_has_an_error_and_the_run_has_none(collected: Collected) -> None:
    await events_of(massgen(collected.observe, 3, Model(failing("a2"))))
    (broken,) = collected.spans("chat m2")
    assert attributes(broken)["error.type"] == "UpstreamRateLimited"
    assert broken.status.status_code is StatusCode.ERROR
    assert broken.status.description is None
    assert collected.run().status.status_code is StatusCode.UNSET


async def test_a_failing_run_ends_with_the_type_of_its_error(collected: Collected) -> None:
    with pytest.raises(UpstreamRateLimited):
        await events_of(massgen(collected.observe, 1, Model(failing("a0"))))
    assert attributes(collected.run())["error.type"] == "UpstreamRateLimited"
    assert collected.run().status.status_code is StatusCode.ERROR
    kinds = [point.attributes or {} for name, point in collected.points() if "server" in name]
    assert [kind["error.type"] for kind in kinds] == ["UpstreamRateLimited"]


async def test_a_cancelled_run_ends_every_span_as_cancelled(collected: Collected) -> None:
    with anyio.CancelScope() as scope:
        reached = anyio.Event()

        async def hold(_request: TurnRequest, _index: int) -> None:
            reached.set()
            await anyio.sleep_forever()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(events_of, massgen(collected.observe, 3, Model(hold=hold)))
            await reached.wait()
            scope.cancel()
    assert scope.cancelled_caught
    assert {attributes(span)["error.type"] for span in collected.spans()} == {"cancelled"}


async def test_a_reader_that_leaves_early_is_a_cancelled_run(collected: Collected) -> None:
    async with massgen(collected.observe, 3).stream(QUESTION) as events:
        async for event in events:
            if isinstance(event, MessageText):
                break
    assert attributes(collected.run())["error.type"] == "cancelled"


async def test_an_observer_sees_the_events_and_the_error_of_its_run() -> None:
    seen: list[str] = []

    @contextmanager
    def observe(team: Team, request: RunRequest) -> Generator[See]:
        try:
            yield lambda event: seen.append(event.type)
        except MassGenError as error:
            seen.append(type(error).__name__)

    events = await events_of(massgen(Observer(observe)))
    assert seen == [event.type for event in events]
    with pytest.raises(UpstreamRateLimited):  # the observer's `except` does not swallow it
        await events_of(massgen(Observer(observe), 1, Model(failing("a0"))))
    assert seen[-1] == "UpstreamRateLimited"


@pytest.mark.parametrize("place", ["start", "event", "end"])
async def test_an_observer_that_fails_is_logged_and_the_run_goes_on(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(here: str) -> None:
        if here == place:
            raise RuntimeError("the observer is broken")

    @contextmanager
    def observe(team: Team, request: RunRequest) -> Generator[See]:
        fail("start")
        yield lambda _: fail("event")
        fail("end")

    assert (await events_of(massgen(Observer(observe))))[-1].type == "run_completed"
    assert [record.name for record in caplog.records] == ["massgen_compat"]


class Recording(Observer):
    """Keeps what it is told."""

    def __init__(self, detail: Detail) -> None:
        super().__init__(lambda _team, _request: nullcontext(self.events.append), detail=detail)
        self.events: list[RunEvent] = []

    @property
    def is_full(self) -> bool:
        return any(isinstance(event, AgentText) for event in self.events)


def thinking(request: TurnRequest) -> Sequence[TurnEvent]:
    """Agreeable, and writes something beside its decisions."""
    return [TextPiece("I think."), *agreeable(request)]


@pytest.mark.parametrize("trace", ["off", "status", "full"])
async def test_each_observer_is_told_what_it_wants_whatever_the_client_asked_for(
    trace: Trace,
) -> None:
    status, full = Recording("status"), Recording("full")
    request = replace(QUESTION, trace=trace)
    told = await events_of(massgen([status, full], 2, Model(thinking)), request)
    assert (status.is_full, full.is_full) == (False, True)
    texts = AgentText | AgentReasoning
    assert [each for each in full.events if not isinstance(each, texts)] == status.events
    assert told == (full.events if trace == "full" else status.events)


@pytest.mark.parametrize("trace", ["off", "status", "full"])
async def test_without_a_full_observer_the_clients_trace_decides(trace: Trace) -> None:
    status = Recording("status")
    told = await events_of(massgen(status, 2, Model(thinking)), replace(QUESTION, trace=trace))
    assert any(isinstance(event, AgentText) for event in told) is (trace == "full")
    assert not status.is_full


async def test_a_full_observer_changes_nothing_of_a_clients_answer() -> None:
    payload = {"model": "team", "messages": [{"role": "user", "content": "Why?"}], "stream": True}

    async def answer(*observers: Observer) -> list[str]:
        """What is told; the agents work at the same time, so their lines have no order."""
        async with massgen(observers, 2, Model(thinking)).chat_stream(payload) as chunks:
            deltas = [choice.delta async for chunk in chunks for choice in chunk.choices]
        return sorted(repr(delta.model_dump(exclude_unset=True)) for delta in deltas)

    assert await answer(Recording("full")) == await answer()


async def test_observers_are_left_in_the_order_that_contexts_have() -> None:
    order: list[str] = []

    def observer(name: str) -> Observer:
        @contextmanager
        def watch(team: Team, request: RunRequest) -> Generator[See]:
            order.append(f"{name} opens")
            yield lambda _: None
            order.append(f"{name} ends")

        return Observer(watch)

    await events_of(massgen([observer("a"), observer("b")]))
    assert order == ["a opens", "b opens", "b ends", "a ends"]


async def test_one_observer_that_fails_costs_the_others_nothing() -> None:
    kept = Recording("full")

    @contextmanager
    def broken(team: Team, request: RunRequest) -> Generator[See]:
        raise RuntimeError("the observer is broken")
        yield kept.events.append

    told = await events_of(massgen([Observer(broken), kept], 2))
    assert kept.events == told
