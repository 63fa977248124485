"""The rules that are compared, each on many teams at once.

The first ones are those of ``massgen_compat._coordination.ballots``; ``proofs`` holds them against
it. The others are here to be compared with.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.choosing.teams import Bools, Floats, Ints, Teams, Votes
from massgen_compat._coordination.ballots import Ballot

# How votes are counted


def number(votes: Votes) -> Ints:
    """The votes for each answer."""
    return (votes.choices & votes.cast[:, :, None]).sum(axis=1)


def points(votes: Votes, *, exact: bool = False) -> Ints:
    """What each vote gives to each answer by Borda's count, doubled so that halves are whole.

    A vote's order is that of its scores, its choice first; ``exact``: the order of impressions.
    """
    if exact:
        return _borda(votes, votes.seen)
    return votes.kept("points", lambda: _borda(votes, np.where(votes.choices, 1000, votes.scores)))


def _borda(votes: Votes, place: Floats | Ints) -> Ints:
    here, there = place[:, :, :, None], place[:, :, None, :]
    pairs = votes.drafted[:, None, :, None] & votes.drafted[:, None, None, :]
    pairs = pairs & ~np.eye(place.shape[2], dtype=np.bool_)
    given = 2 * (pairs & (here > there)).sum(axis=3) + (pairs & (here == there)).sum(axis=3)
    return given * votes.cast[:, :, None]


def centred(votes: Votes) -> Ints:
    """What each vote's scores say of each answer: the distance from their mean, times their number.

    The number is the same for all votes of a team, so sums of these can be compared.
    """
    scores = votes.scores * votes.drafted[:, None, :]
    answers = votes.drafted.sum(axis=1)[:, None, None]
    apart = answers * scores - scores.sum(axis=2, keepdims=True)
    return apart * (votes.cast[:, :, None] & votes.drafted[:, None, :])


def of_others(given: Ints, votes: Votes) -> Floats:
    """The mean of what an answer gets from those who did not write it."""
    size = given.shape[1]
    others = ~np.eye(size, dtype=np.bool_)
    readers = (votes.cast[:, :, None] & others).sum(axis=1)
    return (given * others).sum(axis=1) / np.maximum(readers, 1)


def agents_of(votes: Votes) -> Ints:
    """The numbers of a team's agents."""
    return np.arange(votes.drafted.shape[1], dtype=np.int64)


def leading(among: Bools, *keys: Ints | Floats | Bools) -> Bools:
    """The answers that are still tied for the first place after these steps."""
    for key in keys:
        best = np.where(among, key, -np.inf).max(axis=1, keepdims=True)
        among = among & (key == best)
    return among


# What they choose


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen answer of each team, and the calls on top of drafts and votes."""

    answer: Ints
    calls: Ints | Bools


def _drawn(votes: Votes, tied: Bools) -> Chosen:
    answer = np.where(tied, votes.lots, -1.0).argmax(axis=1)
    return Chosen(answer, np.zeros(len(answer), np.int64))


def _first(tied: Bools) -> Chosen:
    return Chosen(tied.argmax(axis=1), np.zeros(len(tied), np.int64))


def asked(teams: Teams, tied: Bools) -> tuple[Bools, Bools]:
    """Who is left once the reader without a draft was asked on a tie, and where that was."""
    asks = tied.sum(axis=1) > 1
    best = np.where(tied, teams.impression, -np.inf).argmax(axis=1)
    its = agents_of(teams.votes) == best[:, None]
    return np.where((asks & teams.present)[:, None], tied & its, tied), asks


def single(teams: Teams) -> Chosen:
    """``ballot: single``: most votes, ties to the first of the file."""
    return _first(leading(teams.votes.drafted, number(teams.votes)))


def scores(teams: Teams) -> Chosen:
    """``ballot: scores``: most votes, ties by the scores, then a draw."""
    votes = teams.votes
    return _drawn(votes, leading(votes.drafted, number(votes), centred(votes).sum(axis=1)))


def ranking(teams: Teams) -> Chosen:
    """``ballot: ranking``: Borda's count of the scores, ties by the scores, then a draw."""
    votes = teams.votes
    steps = points(votes).sum(axis=1), centred(votes).sum(axis=1)
    return _drawn(votes, leading(votes.drafted, *steps))


def _read_first(teams: Teams, key: Ints) -> Chosen:
    votes = teams.votes
    left, calls = asked(teams, leading(votes.drafted, key))
    return replace(_drawn(votes, leading(left, centred(votes).sum(axis=1))), calls=calls)


def scores_reader_first(teams: Teams) -> Chosen:
    """Most votes; a tie is read by somebody without a draft."""
    return _read_first(teams, number(teams.votes))


def ranking_reader_first(teams: Teams) -> Chosen:
    """Borda's count of the scores; a tie is read by somebody without a draft."""
    return _read_first(teams, points(teams.votes).sum(axis=1))


def ranking_reader_last(teams: Teams) -> Chosen:
    """Borda's count, ties by the scores; what is tied still, by somebody without a draft."""
    votes = teams.votes
    steps = points(votes).sum(axis=1), centred(votes).sum(axis=1)
    left, calls = asked(teams, leading(votes.drafted, *steps))
    return replace(_drawn(votes, left), calls=calls)


def _trusted(votes: Votes) -> Bools:
    first: Bools = agents_of(votes) == 0
    return np.broadcast_to(first, votes.drafted.shape)


def ranking_prior(teams: Teams) -> Chosen:
    """``ballot: ranking`` with a ``prior`` that names the first of the file."""
    votes = teams.votes
    steps = points(votes).sum(axis=1), centred(votes).sum(axis=1), _trusted(votes)
    return _drawn(votes, leading(votes.drafted, *steps))


def ranking_prior_first(teams: Teams) -> Chosen:
    """The same, with the prior before the scores."""
    votes = teams.votes
    steps = points(votes).sum(axis=1), _trusted(votes), centred(votes).sum(axis=1)
    return _drawn(votes, leading(votes.drafted, *steps))


def random_ties(teams: Teams) -> Chosen:
    """Most votes, ties by a draw."""
    return _drawn(teams.votes, leading(teams.votes.drafted, number(teams.votes)))


def of_the_others(teams: Teams) -> Chosen:
    """Each votes for the best answer of the others; ties by a draw."""
    votes = teams.votes
    theirs = np.where(np.eye(votes.seen.shape[1], dtype=np.bool_), -np.inf, votes.seen)
    votes = replace(votes, target=theirs.argmax(axis=2), counted={})
    return _drawn(votes, leading(votes.drafted, number(votes)))


def exact_ranking(teams: Teams) -> Chosen:
    """Each ranks all answers without ties; Borda's count, ties by the scores, then a draw."""
    votes = teams.votes
    steps = points(votes, exact=True).sum(axis=1), centred(votes).sum(axis=1)
    return _drawn(votes, leading(votes.drafted, *steps))


def ranking_of_others(teams: Teams) -> Chosen:
    """As ``ranking``, but what a vote gives to its author's answer does not count."""
    votes = teams.votes
    steps = of_others(points(votes), votes), of_others(centred(votes), votes)
    return _drawn(votes, leading(votes.drafted, *steps))


def scores_alone(teams: Teams) -> Chosen:
    """The best sum of scores, ties by a draw."""
    votes = teams.votes
    return _drawn(votes, leading(votes.drafted, centred(votes).sum(axis=1)))


def majority(teams: Teams) -> Chosen:
    """The answer with more than half of the votes; without one, any answer."""
    votes = teams.votes
    given = number(votes)
    most = given * 2 > given.sum(axis=1, keepdims=True)
    return _drawn(votes, leading(votes.drafted, most))


def anyone(teams: Teams) -> Chosen:
    """Any answer."""
    return _drawn(teams.votes, teams.votes.drafted)


def alone(teams: Teams) -> Chosen:
    """The answer of the first of the file that has one."""
    return _first(teams.votes.drafted)


def oracle(teams: Teams) -> Chosen:
    """The best answer."""
    return _first(leading(teams.votes.drafted, teams.quality))


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by its name; ``ballot``: the library has it, and it needs nothing but a team.

    ``calls``: whether its calls are a team's with votes, a team's without, or one.
    """

    name: str
    choose: Callable[[Teams], Chosen]
    ballot: Ballot | None = None
    calls: str = "votes"


ORACLE = "an oracle"
PLAIN = Rule("`single`: ties to the file's first", single, "single")
RULES = (
    PLAIN,
    Rule("`scores`: the vote, ties by scores", scores, "scores"),
    Rule("`ranking`: Borda of the scores", ranking, "ranking"),
    Rule("`scores` and `tie_reader`", scores_reader_first),
    Rule("`ranking` and `tie_reader`", ranking_reader_first),
    Rule("… asked after the scores", ranking_reader_last),
    Rule("the vote, ties by a draw", random_ties),
    Rule("the vote, without the own answer", of_the_others),
    Rule("Borda of a ranking without ties", exact_ranking),
    Rule("`ranking`, own points not counted", ranking_of_others),
    Rule("scores alone", scores_alone),
    Rule("a majority, else any answer", majority),
    Rule("any answer", anyone, calls="drafts"),
    Rule("the first agent alone", alone, calls="one"),
    Rule(ORACLE, oracle, calls="drafts"),
)

PRIORS = (
    Rule("`ranking` and `prior`: the file's first", ranking_prior, "ranking"),
    Rule("… before the scores", ranking_prior_first),
)
"""What a config that states whom it trusts gains, or loses."""
