"""How votes are counted: the three ballots, their ties, and what decided."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._coordination.ballots import Ballot, DecidedBy, Outcome, Reading, count

TWO = ("ada", "ben")
THREE = ("ada", "ben", "cleo")
FOUR = (*THREE, "dan")
BALLOTS: tuple[Ballot, ...] = ("single", "scores", "ranking")
SCORED: tuple[Ballot, ...] = ("scores", "ranking")


def vote(target: str, **scores: int) -> Reading:
    return Reading(target, scores)


@dataclass(frozen=True)
class Case:
    """``order`` is the expected one, or only its beginning."""

    ballot: Ballot
    readings: Sequence[Reading]
    order: tuple[str, ...]
    decided_by: DecidedBy
    tied: int = 1
    answers: tuple[str, ...] = THREE
    prior: tuple[str, ...] = ()
    tie_reader: str | None = None


EVEN = (vote("ada"), vote("ben"))
SURER = (vote("ada", ada=6, ben=5), vote("ben", ada=2, ben=9))
LIKED_BY_ALL = (
    vote("ada", ada=9, cleo=8, ben=1),
    vote("ben", ben=9, cleo=8, ada=1),
    vote("cleo", cleo=9, ada=5, ben=5),
)


@pytest.mark.parametrize(
    "case",
    [
        Case("single", (vote("cleo"), vote("cleo"), vote("ben")), ("cleo", "ben", "ada"), "votes"),
        Case("single", (vote("ben"), vote("cleo")), ("ben", "cleo", "ada"), "order", tied=2),
        Case("single", SURER, ("ada", "ben", "cleo"), "order", tied=2),
        Case("single", EVEN, ("ada",), "order", tied=2, prior=("ben",), tie_reader="ben"),
        Case("single", (), THREE, "order", tied=3),
        Case("scores", (vote("ben", ada=9, ben=1),), ("ben", "ada"), "votes"),
        Case("scores", SURER, ("ben", "ada"), "scores", tied=2),
        Case("scores", LIKED_BY_ALL, ("cleo",), "scores", tied=3),
        Case("scores", SURER, ("ada", "ben"), "tie_reader", tied=2, tie_reader="ada"),
        Case("scores", SURER, ("ben",), "scores", tied=2, tie_reader="cleo"),
        Case("scores", EVEN, ("ben", "ada", "cleo"), "prior", tied=2, prior=("cleo", "ben")),
        Case("scores", SURER, ("ben",), "scores", tied=2, prior=("ada",)),
        Case("scores", (), ("cleo", "ben", "ada"), "prior", tied=3, prior=("cleo", "ben", "ada")),
        Case("scores", (), ("cleo",), "tie_reader", tied=3, tie_reader="cleo"),
        Case("ranking", LIKED_BY_ALL, ("cleo",), "ranking"),
        Case("ranking", SURER, ("ben", "ada"), "scores", tied=2, answers=TWO),
        Case("ranking", SURER, ("ada",), "tie_reader", tied=2, answers=TWO, tie_reader="ada"),
        Case("ranking", EVEN, ("ben",), "prior", tied=2, answers=TWO, prior=("ben",)),
        Case("ranking", (vote("ben", ada=9, ben=1),), ("ben", "ada", "cleo"), "ranking"),
        Case("ranking", (vote("ben"),), ("ben",), "ranking"),
        *(Case(ballot, (), ("ada",), "only_answer", answers=("ada",)) for ballot in BALLOTS),
        *(Case(ballot, (vote("ada"),), ("ada",), "only_answer", 1, ("ada",)) for ballot in BALLOTS),
    ],
)
def test_votes_make_an_order_and_it_says_what_decided(case: Case) -> None:
    found = count(
        case.answers,
        case.readings,
        ballot=case.ballot,
        prior=case.prior,
        tie_reader=case.tie_reader,
    )
    assert found.order[: len(case.order)] == case.order
    assert found.decided_by == case.decided_by
    assert len(found.tied) == case.tied
    assert found.tied[0] == found.order[0]


def test_the_outcome_has_the_votes_of_every_answer() -> None:
    for ballot in BALLOTS:
        found = count(THREE, LIKED_BY_ALL[:2], ballot=ballot)
        assert found.votes == {"ada": 1, "ben": 1, "cleo": 0}


def test_without_any_answer_there_is_no_order() -> None:
    for ballot in BALLOTS:
        found = count((), (), ballot=ballot)
        assert (found.order, found.tied, found.decided_by) == ((), (), "only_answer")


# The draw


def test_a_draw_is_the_same_for_the_same_request() -> None:
    for ballot in SCORED:
        first, again = (count(TWO, EVEN, ballot=ballot, seed="request 1") for _ in range(2))
        assert first == again
        assert first.decided_by == "draw"


def test_over_many_requests_a_draw_favours_nobody() -> None:
    winners = [count(THREE, (), ballot="scores", seed=str(seed)).order[0] for seed in range(3000)]
    for agent in THREE:
        assert 900 < winners.count(agent) < 1100


def test_a_draw_does_not_heed_the_order_of_the_file() -> None:
    for seed in map(str, range(50)):
        for ballot in SCORED:
            forth = count(FOUR, (), ballot=ballot, seed=seed)
            assert count(FOUR[::-1], (), ballot=ballot, seed=seed).order == forth.order


# Scores


def test_scores_count_from_the_mean_of_their_reader() -> None:
    generous = (vote("ada", ada=10, ben=9), vote("ben", ada=1, ben=3))
    found = count(TWO, generous, ballot="scores")
    assert (found.order[0], found.decided_by) == ("ben", "scores")


def test_an_answer_without_a_score_neither_gains_nor_loses_by_it() -> None:
    readings = (vote("ada"), vote("ben", ben=10), vote("cleo", ada=1, cleo=5))
    found = count(THREE, readings, ballot="scores", seed="x")
    assert found.order == ("cleo", "ben", "ada")


def test_scores_of_answers_that_are_gone_do_not_count() -> None:
    gone = (vote("ada", ada=6, ben=5, zoe=10), vote("ben", ada=5, ben=6, zoe=0))
    found = count(TWO, gone, ballot="scores")
    assert found.decided_by == "draw"


def test_a_ranking_puts_what_is_not_scored_below_what_is() -> None:
    found = count(THREE, (vote("ada", cleo=1),), ballot="ranking")
    assert (found.order, found.decided_by) == (("ada", "cleo", "ben"), "ranking")


def test_a_ranking_without_scores_is_the_vote() -> None:
    readings = (vote("ada"), vote("cleo"), vote("cleo"))
    assert count(THREE, readings, ballot="ranking").order == ("cleo", "ada", "ben")


# What holds for all votes


@dataclass(frozen=True)
class Votes:
    readings: list[Reading]
    seed: str = field(default="seed")

    def counted(self, ballot: Ballot, answers: Sequence[str] = FOUR) -> Outcome:
        return count(answers, self.readings, ballot=ballot, seed=self.seed)


readings = st.builds(
    Reading, st.sampled_from(FOUR), st.dictionaries(st.sampled_from(FOUR), st.integers(0, 10))
)
votes = st.builds(Votes, st.lists(readings, max_size=6), st.text(max_size=3))


@given(votes, st.sampled_from(BALLOTS))
def test_an_order_has_every_answer_once(cast: Votes, ballot: Ballot) -> None:
    assert sorted(cast.counted(ballot).order) == sorted(FOUR)


@given(votes, st.permutations(FOUR), st.sampled_from(BALLOTS))
def test_the_order_of_the_file_matters_to_nobody_who_is_not_tied(
    cast: Votes, answers: list[str], ballot: Ballot
) -> None:
    found, moved = cast.counted(ballot), cast.counted(ballot, answers)
    if ballot != "single":
        assert moved.order == found.order
    elif len(found.tied) == 1:
        assert moved.order[0] == found.order[0]
    assert set(moved.tied) == set(found.tied)


@given(votes, st.permutations(range(6)), st.sampled_from(BALLOTS))
def test_the_order_of_the_votes_matters_to_nobody(
    cast: Votes, places: list[int], ballot: Ballot
) -> None:
    shuffled = [cast.readings[place] for place in places if place < len(cast.readings)]
    assert Votes(shuffled, cast.seed).counted(ballot) == cast.counted(ballot)


@given(votes, readings, st.sampled_from(BALLOTS))
def test_a_vote_for_an_answer_never_lowers_it(cast: Votes, more: Reading, ballot: Ballot) -> None:
    before = cast.counted(ballot).order
    after = Votes([*cast.readings, more], cast.seed).counted(ballot).order
    above = set(before[: before.index(more.target)])
    assert set(after[: after.index(more.target)]) <= above


@given(votes, st.sampled_from(FOUR), st.sampled_from(SCORED))
def test_a_tie_reader_decides_a_tie_and_nothing_else(
    cast: Votes, chosen: str, ballot: Ballot
) -> None:
    plain = cast.counted(ballot)
    read = count(FOUR, cast.readings, ballot=ballot, seed=cast.seed, tie_reader=chosen)
    assert set(read.tied) == set(plain.tied)
    if len(plain.tied) == 1:
        assert (read.order[0], read.decided_by) == (plain.order[0], plain.decided_by)
    elif chosen in plain.tied:
        assert (read.order[0], read.decided_by) == (chosen, "tie_reader")


@given(votes, st.permutations(FOUR), st.sampled_from(SCORED))
def test_a_prior_of_all_agents_leaves_nothing_to_a_draw(
    cast: Votes, prior: list[str], ballot: Ballot
) -> None:
    drawn = cast.counted(ballot)
    stated = count(FOUR, cast.readings, ballot=ballot, seed=cast.seed, prior=prior)
    assert stated.decided_by != "draw"
    if drawn.decided_by != "draw":
        assert (stated.order[0], stated.decided_by) == (drawn.order[0], drawn.decided_by)
