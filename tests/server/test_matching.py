"""Which requests are the same one again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._server.retries import Identity, RunIndex, identify
from massgen_compat.errors import InvalidRequest

BODY: dict[str, Any] = {"model": "team", "messages": [{"role": "user", "content": "secret"}]}


def test_the_order_of_members_does_not_tell_requests_apart() -> None:
    backwards = dict(reversed(BODY.items()))
    assert identify(b"key", BODY) == identify(b"key", backwards)


def test_another_client_or_another_body_is_another_request() -> None:
    requests = {
        identify(b"key", BODY).request,
        identify(b"other key", BODY).request,
        identify(b"key", {**BODY, "stream": True}).request,
        identify(b"", {**BODY, "key": ""}).request,
    }
    assert len(requests) == 4


def test_nothing_of_a_key_or_a_body_is_kept() -> None:
    identity = identify(b"client key", BODY, idempotency_key="idempotency")
    shown = repr(identity)
    assert "client" not in shown
    assert "secret" not in shown
    assert "idempotency" not in shown


@pytest.mark.parametrize(
    ("count", "retry"), [(None, False), ("0", False), ("1", True), ("2", True), ("x", False)]
)
def test_a_retry_count_above_zero_is_a_retry(count: str | None, *, retry: bool) -> None:
    assert identify(b"", BODY, retry_count=count).retry is retry


def test_a_key_of_any_length_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="at most 255"):
        identify(b"", BODY, idempotency_key="x" * 256)


def test_a_key_of_a_live_request_with_another_body_is_an_error_that_nobody_retries() -> None:
    matching: RunIndex[str] = RunIndex()
    first = Identity(b"a", key=b"k")
    matching.add(first, "run")
    assert matching.find(first) == ["run"]
    with pytest.raises(InvalidRequest, match="another body") as caught:
        matching.find(Identity(b"b", key=b"k"))
    assert caught.value.code == "idempotency_key_reused"
    matching.remove(first, "run")
    assert matching.find(Identity(b"b", key=b"k")) == []


identities = st.builds(
    Identity,
    request=st.sampled_from([b"a", b"b"]),
    key=st.sampled_from([None, b"k", b"l"]),
    retry=st.booleans(),
)


@given(st.lists(st.tuples(identities, st.booleans()), max_size=30))
def test_only_live_runs_of_the_same_request_are_found(
    history: list[tuple[Identity, bool]],
) -> None:
    """Each request starts a run unless it finds one; every other one also ends the oldest."""
    matching: RunIndex[int] = RunIndex()
    alive: dict[int, Identity] = {}
    for number, (identity, ends) in enumerate(history):
        try:
            found = matching.find(identity)
        except InvalidRequest:
            found = None
            assert any(
                live.key == identity.key and live.request != identity.request
                for live in alive.values()
            )
        if found is not None:
            expected = [
                run
                for run, live in alive.items()
                if live.request == identity.request
                and live.key == identity.key
                and (identity.key is not None or identity.retry)
            ]
            assert found == expected
        if found == []:
            matching.add(identity, number)
            alive[number] = identity
        if ends and alive:
            oldest = min(alive)
            matching.remove(alive.pop(oldest), oldest)
    for run, identity in alive.items():
        matching.remove(identity, run)
    assert not any(
        matching.find(Identity(r, key=k, retry=True))
        for r in (b"a", b"b")
        for k in (None, b"k", b"l")
    )
