"""What each rule does in each setting, and which one follows from it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.choosing.rules import PLAIN, RULES, Rule, oracle
from benchmarks.choosing.settings import SIZES, Setting
from benchmarks.choosing.teams import Floats, Ints, Teams, Votes, drawn

WORSE = 0.02
"""By how much the default may be worse than the plain vote in a setting where it may be worse."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One rule in one setting, at one size. ``more``: its regret minus that of the plain vote."""

    best: float
    regret: float
    error: float
    more: float
    more_error: float
    calls: float


Cell = tuple[int, Setting]
Measured = Mapping[Rule, Mapping[Cell, Figures]]


def calls_of_votes(votes: Votes) -> Ints:
    """Drafts, and an evaluation by everybody who has one; a single draft is not evaluated."""
    there = votes.drafted.sum(axis=1)
    return votes.drafted.shape[1] + np.where(there > 1, there, 0)


def _calls(rule: Rule, teams: Teams) -> Ints:
    if rule.calls == "votes":
        return calls_of_votes(teams.votes)
    each = teams.votes.drafted.shape[1] if rule.calls == "drafts" else 1
    return np.full(len(teams.quality), each)


def _mean(values: Floats) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def figures(rules: Sequence[Rule], teams: Teams) -> dict[Rule, Figures]:
    """All rules on the same teams."""
    every = np.arange(len(teams.quality))
    top: Floats = teams.quality[every, oracle(teams).answer]
    chosen = {rule: rule.choose(teams) for rule in {*rules, PLAIN}}
    losses: dict[Rule, Floats] = {
        rule: top - teams.quality[every, each.answer] for rule, each in chosen.items()
    }
    found: dict[Rule, Figures] = {}
    for rule in rules:
        loss = losses[rule]
        calls: Ints = _calls(rule, teams) + chosen[rule].calls
        best = float((loss == 0).mean())
        found[rule] = Figures(best, *_mean(loss), *_mean(loss - losses[PLAIN]), float(calls.mean()))
    return found


def measure(
    settings: Iterable[Setting],
    teams: int,
    seed: int,
    *,
    sizes: Sequence[int] = SIZES,
    rules: Sequence[Rule] = RULES,
    tell: Callable[[Cell], None] = lambda _: None,
) -> dict[Rule, dict[Cell, Figures]]:
    """All rules in all settings at all sizes."""
    table: dict[Rule, dict[Cell, Figures]] = {rule: {} for rule in rules}
    for setting in settings:
        for size in sizes:
            for rule, found in figures(rules, drawn(setting, size, teams, seed)).items():
                table[rule][size, setting] = found
            tell((size, setting))
    return table


@dataclass(frozen=True, slots=True)
class Summary:
    """A rule over many settings of one size, or of all.

    ``error`` is that of the mean; the same luck is drawn in each setting, so it is not smaller for
    many settings. ``worst`` is the largest ``more``, ``worse`` in how many settings it is more than
    may be.
    """

    best: float
    regret: float
    error: float
    worst: float
    worst_error: float
    where: Cell
    worse: int
    settings: int
    calls: float


def summary(cells: Mapping[Cell, Figures], size: int | None = None) -> Summary:
    """The mean over settings, and the worst of them."""
    kept = {cell: each for cell, each in cells.items() if size in {None, cell[0]}}
    where = max(kept, key=lambda cell: kept[cell].more)
    values = list(kept.values())
    return Summary(
        best=float(np.mean([each.best for each in values])),
        regret=float(np.mean([each.regret for each in values])),
        error=float(np.mean([each.error for each in values])),
        worst=kept[where].more,
        worst_error=kept[where].more_error,
        where=where,
        worse=sum(each.more > WORSE for each in values),
        settings=len(kept),
        calls=float(np.mean([each.calls for each in values])),
    )


def choice(table: Measured) -> Rule:
    """The rule that follows: what the library has, that is never much worse, with least regret.

    Whatever needs a call on a tie only costs none where agents agree; what needs a reader that
    stands outside the team is no default, as no team has one that its config does not name.
    """
    fit = [rule for rule, cells in table.items() if rule.ballot and not summary(cells).worse]
    return min(fit, key=lambda rule: summary(table[rule]).regret)
