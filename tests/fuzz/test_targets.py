"""Every target under hypothesis: what it usually reads, changed at random places."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Target

HEALTHY = [HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large]


def changed(target: Target) -> st.SearchStrategy[bytes]:
    """A seed with some pieces cut out, put in or doubled; or bytes of no origin."""
    piece = st.one_of(st.sampled_from(target.words), st.binary(max_size=8))
    edit = st.tuples(st.integers(0, 100_000), st.integers(0, 40), piece, st.booleans())
    edited = st.builds(apply, st.sampled_from(list(target.seeds())), st.lists(edit, max_size=6))
    scraps = st.lists(piece, max_size=60).map(b"".join)
    return st.one_of(edited, scraps)


def apply(seed: bytes, edits: list[tuple[int, int, bytes, bool]]) -> bytes:
    for place, length, piece, double in edits:
        at = place % (len(seed) + 1)
        kept = seed[at : at + length] if double else b""
        seed = seed[:at] + kept + piece + kept + seed[at + length :]
    return seed


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_raises_nothing_but_its_own_error(name: str) -> None:
    target = TARGETS[name]

    @given(data=changed(target))
    @settings(max_examples=150, deadline=None, suppress_health_check=HEALTHY)
    def check(data: Any) -> None:
        target.read(data)

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_is_read(name: str) -> None:
    seeds = TARGETS[name].seeds()
    assert seeds
    for seed in seeds:
        TARGETS[name].read(seed)
