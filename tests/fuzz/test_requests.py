"""Bodies of real programs with something wrong in them, over a socket: an answer, never a fault."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from tests.fakes import Model
from tests.server.test_server import ask, massgen_of

BODIES = [
    json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parents[1] / "bodies").glob("*.json"))
]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "\x00", "assistant", "function", "team", "call_x", "\u2028", "="]),
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(create_app(massgen_of({"a": Model(), "b": Model()}))) as address:
        yield address


def hold(url: str, body: bytes) -> None:
    answer = ask(url, body=body)
    assert answer.status in {200, 400, 404}, (answer.status, answer.body)
    if answer.status != 200:
        error = answer.body["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"
        assert 0 < len(error["message"]) <= 500


@given(value=ANYTHING)
@settings(max_examples=60, deadline=None)
def test_any_json_is_answered(url: str, value: Any) -> None:
    hold(url, json.dumps(value).encode("utf-8", "surrogatepass"))


@given(
    body=st.sampled_from(BODIES),
    places=st.lists(st.integers(0, 10_000), min_size=1, max_size=3),
    value=ANYTHING,
    act=st.sampled_from(["replace", "remove", "double"]),
)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_body_with_a_wrong_part_is_answered(
    url: str, body: Any, places: list[int], value: Any, act: str
) -> None:
    changed = json.loads(json.dumps({**body, "model": "team"}))
    for place in places:
        change(changed, place, value, act)
    hold(url, json.dumps(changed).encode("utf-8", "surrogatepass"))


def change(body: Any, place: int, value: Any, act: str) -> None:
    """Change one of the values inside, counted through."""
    holders = list(inside(body))
    if not holders:
        return
    holder, key = holders[place % len(holders)]
    match act, holder:
        case "remove", _:
            del holder[key]
        case "double", list():
            cast("list[Any]", holder).insert(key, holder[key])
        case "double", _:
            holder[key] = [holder[key], holder[key]]
        case _:
            holder[key] = deepcopy(value)


def inside(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value inside, as what holds it and its key or index there."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list):
        items = list(enumerate(cast("list[Any]", value)))
    for key, each in items:
        yield value, key
        yield from inside(each)


@given(
    body=st.sampled_from(BODIES),
    at=st.integers(0, 100_000),
    length=st.integers(0, 30),
    noise=st.binary(max_size=6),
)
@settings(max_examples=100, deadline=None)
def test_broken_bytes_are_answered(url: str, body: Any, at: int, length: int, noise: bytes) -> None:
    raw = json.dumps({**body, "model": "team"}).encode()
    at %= len(raw)
    hold(url, raw[:at] + noise + raw[at + length :])
