"""``ScriptedModel`` as the engine meets it: events in order, delays, failures, cancellation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from massgen_compat._run.message import ToolCall, text_message
from massgen_compat._run.result import Usage
from massgen_compat._run.turn import (
    CallPiece,
    HostedToolUsed,
    ModelClient,
    Phase,
    ReasoningPiece,
    RefusalPiece,
    Reply,
    TextPiece,
    TurnEvent,
    TurnPiece,
    TurnRequest,
)
from massgen_compat.errors import (
    ConfigError,
    ContextLengthExceeded,
    MassGenError,
    UpstreamAuthentication,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from massgen_compat.testing import ScriptedModel

pytestmark = pytest.mark.anyio


def request(**fields: Any) -> TurnRequest:
    messages = (text_message("user", "Hello?"),)
    return TurnRequest(agent="a", round=1, phase=Phase.DRAFT, messages=messages, **fields)


async def collect(model: ModelClient, said: list[TurnEvent], asked: TurnRequest) -> None:
    async def hear(pieces: Sequence[TurnPiece]) -> None:
        said.extend(pieces)

    said.append(await model.ask(asked, hear))


async def events(model: ModelClient, asked: TurnRequest | None = None) -> list[TurnEvent]:
    said: list[TurnEvent] = []
    with anyio.fail_after(5):
        await collect(model, said, asked or request())
    return said


async def test_a_turn_yields_its_pieces_in_order_and_then_the_reply() -> None:
    step = {
        "text": "Let me look.",
        "reasoning": "Hm, well.",
        "hosted": ["web_search"],
        "calls": [{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": ""}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 50},
        "finish_reason": "tool_calls",
    }
    model = ScriptedModel({"draft": step}, model="gpt-x")
    said = await events(model, request(params={"reasoning_effort": "low"}))
    *pieces, reply = said
    assert isinstance(reply, Reply)
    first, second = reply.tool_calls
    assert pieces == [
        ReasoningPiece("Hm, "),
        ReasoningPiece("well."),
        HostedToolUsed("web_search_call"),
        TextPiece("Let "),
        TextPiece("me "),
        TextPiece("look."),
        CallPiece(0, "", id=first.id, name="f"),
        *(CallPiece(0, fragment) for fragment in ['{"', "x", '":', "1", "}"]),
        CallPiece(1, "", id=second.id, name="g"),
    ]
    assert reply == Reply(
        text="Let me look.",
        tool_calls=(
            ToolCall(id=first.id, name="f", arguments='{"x":1}'),
            ToolCall(id=second.id, name="g", arguments=""),
        ),
        finish_reason="tool_calls",
        usage=Usage(prompt_tokens=5, completion_tokens=50, reasoning_tokens=2),
        model="gpt-x",
        effort="low",
    )
    assert first.id != second.id
    assert len(first.id) <= 40


async def test_a_refusal_is_told_in_pieces() -> None:
    said = await events(ScriptedModel({"draft": {"refusal": "I cannot."}}))
    assert said[:2] == [RefusalPiece("I "), RefusalPiece("cannot.")]
    assert isinstance(said[2], Reply)
    assert said[2].refusal == "I cannot."


async def test_the_same_turn_is_answered_the_same_way_every_time() -> None:
    script = {"draft": {"calls": [{"name": "f"}]}}
    assert await events(ScriptedModel(script)) == await events(ScriptedModel(script))


async def test_the_default_reply_says_that_no_model_is_involved() -> None:
    reply = (await events(ScriptedModel()))[-1]
    assert isinstance(reply, Reply)
    assert reply.text.startswith("[scripted model, no model involved]")
    assert "Hello?" in reply.text


def test_a_wrong_script_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="script: unknown key 'drft'"):
        ScriptedModel({"drft": ""})


@dataclass(frozen=True)
class Fails:
    fail: dict[str, Any]
    error: type[MassGenError]
    pieces: int = 0


FAILURES = (
    Fails({"status": 401}, UpstreamAuthentication),
    Fails({"status": 403}, UpstreamAuthentication),
    Fails({"status": 408}, UpstreamTimeout),
    Fails({"status": 429, "retry_after": 1}, UpstreamRateLimited),
    Fails({"status": 504}, UpstreamTimeout),
    Fails({"status": 400, "code": "x"}, UpstreamRejected),
    Fails({"status": 400, "code": "context_length_exceeded"}, ContextLengthExceeded),
    Fails({"status": 500}, UpstreamError),
    Fails({"status": 500, "after_tokens": 2}, UpstreamError, pieces=2),
    Fails({"cut": True}, UpstreamMalformed),
    Fails({"cut": True, "after_tokens": 2}, UpstreamMalformed, pieces=2),
    Fails({"cut": True, "after_tokens": 99}, UpstreamMalformed, pieces=3),
)


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: str(case.fail))
async def test_failures_are_the_upstream_errors_that_a_provider_would_cause(case: Fails) -> None:
    model = ScriptedModel({"draft": {"text": "one two three", "fail": case.fail}})
    said: list[TurnEvent] = []
    with anyio.fail_after(5), pytest.raises(case.error) as caught:
        await collect(model, said, request())
    assert type(caught.value) is case.error
    assert len(said) == case.pieces
    if isinstance(caught.value, UpstreamRateLimited):
        assert (caught.value.status, caught.value.retry_after) == (429, 1)


async def test_a_parameter_is_refused_only_where_it_is_sent() -> None:
    fail = {"status": 400, "when_sent": "reasoning_effort"}
    model = ScriptedModel({"draft": {"text": "A", "fail": fail}})
    assert isinstance((await events(model))[-1], Reply)
    with pytest.raises(UpstreamRejected):
        await events(model, request(params={"reasoning_effort": "low"}))


async def test_a_stalled_reply_waits_until_it_is_cancelled() -> None:
    fail = {"stall": True, "after_tokens": 1}
    model = ScriptedModel({"draft": {"text": "one two", "fail": fail}})
    said: list[TurnEvent] = []
    with anyio.move_on_after(0.05) as scope:
        await collect(model, said, request())
    assert scope.cancelled_caught
    assert said == [TextPiece("one ")]


async def test_delays_come_before_the_first_and_before_every_token() -> None:
    pace = {"delay_seconds": 0.02, "token_delay_seconds": 0.02}
    model = ScriptedModel({"draft": "one two", **pace})
    started = anyio.current_time()
    await events(model)
    assert anyio.current_time() - started >= 0.05


async def test_a_test_can_hold_a_reply_before_a_token() -> None:
    reached, release = anyio.Event(), anyio.Event()
    said: list[TurnEvent] = []

    async def hold(asked: TurnRequest, index: int) -> None:
        assert asked.agent == "a"
        if index == 1:
            reached.set()
            await release.wait()

    model = ScriptedModel({"draft": "one two"}, before_token=hold)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(collect, model, said, request())
            await reached.wait()
            assert said == [TextPiece("one ")]
            release.set()
    assert len(said) == 3
