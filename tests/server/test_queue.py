"""The places of runs: whatever comes and goes, nobody overtakes and no place stands empty."""

from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._server.queue import RunQueue


def test_the_first_run_the_next_wait_and_the_rest_are_refused() -> None:
    places: RunQueue[str] = RunQueue(2, 1)
    assert [places.arrive(run) for run in "abcd"] == ["runs", "runs", "waits", "refused"]
    assert places.leave("a") == "c"
    assert places.leave("b") is None
    assert places.running == {"c"}


def test_without_a_queue_nobody_waits() -> None:
    places: RunQueue[str] = RunQueue(1, 0)
    assert [places.arrive(run) for run in "ab"] == ["runs", "refused"]


@given(
    st.integers(1, 3),
    st.integers(0, 3),
    st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=60),
)
def test_places_are_full_before_anybody_waits_and_given_in_order(
    max_runs: int, max_queue: int, history: list[int | None]
) -> None:
    """``None``: somebody arrives; a number: that one leaves, whether or not it is there."""
    places: RunQueue[int] = RunQueue(max_runs, max_queue)
    arrived, admitted = 0, list[int]()
    left: set[int] = set()
    for event in history:
        if event is None:
            told = places.arrive(arrived)
            full = len(places.running) == max_runs and len(places.waiting) == max_queue
            assert told != "refused" or full
            if told == "runs":
                admitted.append(arrived)
            elif told == "refused":
                left.add(arrived)
            arrived += 1
        else:
            following = places.leave(event)
            left.update({event} & set(range(arrived)))
            if following is not None:
                admitted.append(following)
        assert len(places.running) <= max_runs
        assert len(places.waiting) <= max_queue
        assert not places.waiting or len(places.running) == max_runs
        assert not places.running & set(places.waiting)
        assert places.running | set(places.waiting) == set(range(arrived)) - left
    assert admitted == sorted(admitted), "somebody overtook"
