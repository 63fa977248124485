"""Failures, remembered for a while."""

import pytest

from massgen_compat._server.retries import FailureMemory, failure_of
from massgen_compat.errors import (
    ContextLengthExceeded,
    MassGenError,
    Overloaded,
    UpstreamRateLimited,
    UpstreamUnreachable,
)
from massgen_compat.protocol.chat.answer import ChatStream
from massgen_compat.protocol.chat.request import parse
from tests.protocol.rendering import renderer_of

ANSWER = ChatStream(
    renderer_of(parse({"model": "t", "messages": [{"role": "user", "content": "x"}]}))
)


def spent(error: MassGenError) -> MassGenError:
    error.spent = True
    return error


def test_a_failure_is_the_same_until_its_time_is_over() -> None:
    memory = FailureMemory(10)
    told = memory.remember(b"a", spent(UpstreamUnreachable("gone")), ANSWER, 100.0)
    assert memory.recall(b"a", 109.9) == told
    assert memory.recall(b"b", 109.9) is None
    assert memory.recall(b"a", 110.0) is None
    assert len(memory) == 0


def test_an_error_that_can_pass_says_when_it_is_tried_again() -> None:
    memory = FailureMemory(10)
    told = memory.remember(b"a", UpstreamUnreachable("gone"), ANSWER, 100.0)
    assert told.reply.headers["Retry-After"] == "10"
    later = memory.recall(b"a", 107.5)
    assert later is not None
    assert later.reply.headers["Retry-After"] == "3"


@pytest.mark.parametrize(("named", "forgotten", "left"), [(3.0, 103.0, "1"), (60.0, 110.0, "51")])
def test_a_provider_that_names_a_time_is_asked_again_then(
    named: float, forgotten: float, left: str
) -> None:
    memory = FailureMemory(10)
    told = memory.remember(b"a", UpstreamRateLimited("slow", retry_after=named), ANSWER, 100.0)
    assert told.reply.headers["Retry-After"] == str(int(named))
    again = memory.recall(b"a", forgotten - 0.5)
    assert again is not None
    assert again.reply.headers["Retry-After"] == left
    assert memory.recall(b"a", forgotten) is None


def test_an_error_that_cannot_pass_names_no_time() -> None:
    told = FailureMemory(10).remember(b"a", ContextLengthExceeded("too long"), ANSWER, 0.0)
    assert "Retry-After" not in told.reply.headers


@pytest.mark.parametrize(
    ("seconds", "error"), [(10, Overloaded("full")), (0, UpstreamUnreachable("gone"))]
)
def test_a_full_server_is_not_remembered_nor_anything_without_a_memory(
    seconds: float, error: MassGenError
) -> None:
    memory = FailureMemory(seconds)
    assert memory.remember(b"a", error, ANSWER, 0.0) == failure_of(error, ANSWER)
    assert len(memory) == 0


def test_the_memory_is_bounded() -> None:
    memory = FailureMemory(10, capacity=3)
    for name in (b"a", b"b", b"c", b"a", b"d"):
        memory.remember(name, MassGenError("failed"), ANSWER, 0.0)
    assert len(memory) == 3
    assert memory.recall(b"b", 1.0) is None
    assert memory.recall(b"a", 1.0) is not None
