"""Clients that send a request again, over real sockets: they join its run, or get its error."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from massgen_compat import Agent, MassGen, Team
from massgen_compat._run.turn import Phase
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.errors import (
    ContextLengthExceeded,
    MassGenError,
    UpstreamAuthentication,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tests.fakes import Model, failing
from tests.server.test_load import PATIENCE, Bench, asking, body_of, until
from tests.server.test_server import Answer, ask

RETRY = {"x-stainless-retry-count": "1"}
KEY = {"Idempotency-Key": "one-of-its-own"}


def readers(bench: Bench) -> int:
    """How many clients read the runs that go on."""
    return sum(run.readers for run in bench.app.state.runs.running)


def post(url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    return ask(url, body=body, headers=headers)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("again", [RETRY, KEY], ids=["retry count", "idempotency key"])
def test_the_same_request_again_joins_its_run_and_gets_all_of_it(
    again: dict[str, str], *, stream: bool
) -> None:
    bench = Bench()
    body = body_of("one", stream=stream)
    first_headers = {} if again is RETRY else again
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        first = pool.submit(post, url, body, first_headers)
        bench.next_begins()
        second = pool.submit(post, url, body, again)
        until(lambda: readers(bench) == 2)
        bench.end("one")
        answers = [first.result(PATIENCE), second.result(PATIENCE)]
    assert answers[0].status == 200
    assert answers[0].body == answers[1].body
    assert answers[0].headers["x-request-id"] != answers[1].headers["x-request-id"]
    assert bench.began == ["one"]


OTHERS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "no retry": (body_of("one"), {}),
    "another body": (body_of("two"), RETRY),
    "another client": (body_of("one"), {**RETRY, "Authorization": "Bearer another"}),
    "a key of its own": (body_of("one"), {**RETRY, **KEY}),
}


@pytest.mark.parametrize(("body", "headers"), OTHERS.values(), ids=OTHERS.keys())
def test_another_request_has_a_run_of_its_own(
    body: dict[str, Any], headers: dict[str, str]
) -> None:
    bench = Bench()
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        first = pool.submit(post, url, body_of("one"))
        bench.next_begins()
        second = pool.submit(post, url, body, headers)
        bench.next_begins()
        for question in bench.began:
            bench.end(question)
        assert first.result(PATIENCE).status == second.result(PATIENCE).status == 200
    assert len(bench.began) == 2


def test_joining_can_be_turned_off() -> None:
    bench = Bench(join_retries=False)
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        first = pool.submit(post, url, body_of("one"), KEY)
        bench.next_begins()
        second = pool.submit(post, url, body_of("one"), {**KEY, **RETRY})
        bench.next_begins()
        bench.end("one")
        assert first.result(PATIENCE).status == second.result(PATIENCE).status == 200


def test_a_run_goes_on_for_a_retry_when_its_first_client_is_gone() -> None:
    bench = Bench()
    body = body_of("one", stream=True)
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        with asking(url, body):
            bench.next_begins()
            second = pool.submit(post, url, body, RETRY)
            until(lambda: readers(bench) == 2)
        until(lambda: readers(bench) == 1)
        bench.end("one")
        answer = second.result(PATIENCE)
    assert answer.body.startswith(b"data: ")
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert b'"content":"scatters."' in answer.body
    assert (bench.began, bench.model.aborted) == (["one"], 0)


def test_within_the_grace_a_client_finds_its_run_again() -> None:
    bench = Bench(retry_grace_seconds=60)
    body = body_of("one")
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        with asking(url, body):
            bench.next_begins()
        until(lambda: readers(bench) == 0)
        again = pool.submit(post, url, body, RETRY)
        until(lambda: readers(bench) == 1)
        bench.end("one")
        assert again.result(PATIENCE).status == 200
    assert bench.began == ["one"]


def test_after_the_grace_a_run_without_clients_ends() -> None:
    bench = Bench(retry_grace_seconds=0.05)
    with serving(bench.app) as url:
        with asking(url, body_of("one")):
            bench.next_begins()
        assert bench.aborted.acquire(timeout=PATIENCE)
        until(lambda: not bench.app.state.runs.running)


def test_a_retry_of_a_request_that_waits_waits_in_its_place() -> None:
    bench = Bench(max_runs=1, max_queue=1)
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        first = pool.submit(post, url, body_of("one"))
        bench.next_begins()
        second = pool.submit(post, url, body_of("two"))
        until(lambda: len(bench.app.state.runs.waiting) == 1)
        third = pool.submit(post, url, body_of("two"), RETRY)
        until(lambda: bench.app.state.runs.waiting[0].readers == 2)
        bench.end("one")
        bench.end("two")
        assert first.result(PATIENCE).status == 200
        assert second.result(PATIENCE).body == third.result(PATIENCE).body
    assert bench.began == ["one", "two"]


def test_an_idempotency_key_with_another_body_is_a_400_while_its_run_goes_on() -> None:
    bench = Bench()
    with serving(bench.app) as url, ThreadPoolExecutor() as pool:
        first = pool.submit(post, url, body_of("one"), KEY)
        bench.next_begins()
        refused = post(url, body_of("two"), KEY)
        assert refused.status == 400
        assert refused.body["error"]["type"] == "invalid_request_error"
        assert refused.body["error"]["code"] == "idempotency_key_reused"
        bench.end("one")
        bench.end("two")
        assert first.result(PATIENCE).status == 200
        assert post(url, body_of("two"), KEY).status == 200


# Failures


def spent(error: MassGenError) -> MassGenError:
    error.spent = True
    return error


FAILURES = {
    "no key": lambda: UpstreamAuthentication("check the key"),
    "unreachable": lambda: UpstreamUnreachable("nobody there"),
    "timeout": lambda: UpstreamTimeout("too slow"),
    "rate limit": lambda: UpstreamRateLimited("slow down"),
    "rate limit of a second": lambda: UpstreamRateLimited("slow down", retry_after=1),
    "context": lambda: ContextLengthExceeded("too long"),
    "our own": ZeroDivisionError,
}


class Failing:
    """A team of two that always fails; counts its runs."""

    def __init__(self, error: Any, phase: Phase = Phase.DRAFT, **settings: Any) -> None:
        self.models = {
            name: Model(failing(phase, error, after=int(phase is Phase.PRESENT))) for name in "ab"
        }
        team = Team("team", [Agent(name, model="m") for name in "ab"])
        self.app = create_app(
            MassGen(team, connect=lambda agent: self.models[agent.id]), **settings
        )

    @property
    def runs(self) -> int:
        """Each run asks each agent for one draft."""
        return sum(r.phase is Phase.DRAFT for r in self.models["a"].requests)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("phase", [Phase.DRAFT, Phase.PRESENT])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_one_request_of_the_official_sdk_starts_two_runs_at_most(
    failure: Any, phase: Phase, *, stream: bool
) -> None:
    team = Failing(failure(), phase, failure_memory_seconds=1)
    with (
        serving(team.app) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=5) as client,
    ):
        create: Any = client.chat.completions.create
        with pytest.raises(openai.APIError):
            list(create(**body_of("x", stream=stream)))
    assert 1 <= team.runs <= 2


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_a_client_that_posts_a_failed_request_again_at_once_starts_one_run(
    failure: Any, *, stream: bool
) -> None:
    team = Failing(failure())
    with serving(team.app) as url:
        answers = [post(url, body_of("x", stream=stream)) for _ in range(9)]
        first, *others = answers
        assert {other.status for other in others} == {first.status}
        assert {last_event(other) for other in others} == {last_event(first)}
        if stream:
            assert first.headers["content-type"] == others[0].headers["content-type"]
        assert team.runs == 1
        assert post(url, body_of("y", stream=stream)).status == first.status
        assert team.runs == 2
        key = {"Authorization": "Bearer another client"}
        assert post(url, body_of("x", stream=stream), key).status == first.status
        assert team.runs == 3


def last_event(answer: Answer) -> str:
    if isinstance(answer.body, bytes):
        return answer.body.decode().split("\n\n")[-3]
    return json.dumps(answer.body)


def test_a_failure_is_forgotten_and_can_be_turned_off() -> None:
    team = Failing(UpstreamUnreachable("nobody there"), failure_memory_seconds=0)
    with serving(team.app) as url:
        answers = [post(url, body_of("x")) for _ in range(3)]
    assert team.runs == 3
    assert "retry-after" not in answers[0].headers


def test_a_request_that_is_refused_before_its_run_is_not_remembered() -> None:
    bench = Bench()
    bench.end("one")
    with serving(bench.app) as url:
        assert post(url, {**body_of("one"), "temperature": "hot"}).status == 400
        assert post(url, {**body_of("one"), "model": "nobody"}).status == 404
        assert post(url, body_of("one")).status == 200
