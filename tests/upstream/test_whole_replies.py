"""Replies in one piece: what is asked for, and what is learned from a provider that has none."""

from dataclasses import replace
from typing import Any

import pytest

from massgen_compat._run.team import Api
from massgen_compat._run.turn import TextPiece, TurnRequest
from massgen_compat.errors import UpstreamError
from tests.upstream.test_client import (
    DONE,
    END,
    HELLO,
    RESPONSE,
    Serving,
    agent_at,
    ask,
    connecting,
    whole,
)

pytestmark = pytest.mark.anyio

MESSAGE = {"choices": [{"message": {"content": "Hi"}}]}
ONLY_STREAMS = (
    "This model only support stream mode, please enable the stream parameter to access the model."
)


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_reply_in_one_piece_is_asked_for_without_stream(
    serving: Serving, turn: TurnRequest, api: Api
) -> None:
    answer = RESPONSE if api == "responses" else MESSAGE
    async with serving([whole(answer)], [whole(answer)]) as upstream:
        connections = connecting()
        events = await ask(connections, agent_at(upstream, api), replace(turn, whole=True))
        await ask(connections, agent_at(upstream, api), turn)
        await connections.aclose()
    one, streamed = [request["body"] for request in upstream.requests]
    assert events[0] == TextPiece("Hi")
    assert not {"stream", "stream_options"} & one.keys()
    assert one == {k: v for k, v in streamed.items() if k not in {"stream", "stream_options"}}
    assert streamed["stream"] is True


async def test_a_model_that_only_streams_is_asked_again_and_from_then_on_streamed(
    serving: Serving, turn: TurnRequest
) -> None:
    refusal = whole({"error": {"message": ONLY_STREAMS, "code": "invalid_parameter_error"}}, 400)
    async with serving([refusal], [HELLO, END, DONE], [HELLO, END, DONE]) as upstream:
        connections = connecting()
        for _ in range(2):
            events = await ask(connections, agent_at(upstream), replace(turn, whole=True))
            assert events[0] == TextPiece("Hello")
        await connections.aclose()
    assert streamed(upstream) == [None, True, True]


@pytest.mark.parametrize("status", [408, 504, 524])
async def test_after_a_gateways_timeout_the_next_replies_are_streamed(
    serving: Serving, turn: TurnRequest, status: int
) -> None:
    late = status, {"content-type": "text/html"}, b"<html>too late</html>"
    async with serving([late], [HELLO, END, DONE]) as upstream:
        connections = connecting()
        with pytest.raises(UpstreamError, match=f"HTTP {status}"):
            await ask(connections, agent_at(upstream), replace(turn, whole=True))
        await ask(connections, agent_at(upstream), replace(turn, whole=True))
        await connections.aclose()
    assert streamed(upstream) == [None, True]


def streamed(upstream: Any) -> list[bool | None]:
    return [request["body"].get("stream") for request in upstream.requests]
