"""``make choosing``: its rules are the library's, and a small run comes out as a large one."""

from pathlib import Path

import pytest

from benchmarks.choosing import report
from benchmarks.choosing.measured import Cell, Figures, choice, measure, summary
from benchmarks.choosing.proofs import core_is_count, core_is_rule, rule_is_count
from benchmarks.choosing.rules import ORACLE, PLAIN, RULES, Rule
from benchmarks.choosing.settings import SIZES, Setting, cheated, grid, special

PAGE = Path(__file__).parents[1] / "docs" / "choosing.md"
BY_NAME = {rule.name: rule for rule in RULES}
RANKING = next(rule for rule in RULES if rule.ballot == "ranking")
SCORES = next(rule for rule in RULES if rule.ballot == "scores")
READ = BY_NAME["`ranking` and `tie_reader`"]
ANY = BY_NAME["any answer"]


@pytest.fixture(scope="module")
def measured() -> dict[Rule, dict[Cell, Figures]]:
    """A sample of the settings, with few teams."""
    return measure([*grid()][::5], 300, seed=2, sizes=(2, 3, 5))


def test_the_library_counts_as_the_core_decides_on_every_set_of_votes() -> None:
    assert core_is_count() == 3**2 + 4**3


def test_the_core_chooses_and_calls_as_the_rules_here_say() -> None:
    assert core_is_rule(25, seed=3) == 25 * len(SIZES)


def test_the_rules_here_are_those_of_the_library() -> None:
    assert rule_is_count(40, seed=4)


def test_the_rules_come_out_in_their_order(measured: dict[Rule, dict[Cell, Figures]]) -> None:
    ladder = (BY_NAME[ORACLE], READ, RANKING, SCORES, PLAIN, ANY)
    losses = [summary(measured[rule]).regret for rule in ladder]
    assert losses == sorted(losses)
    assert losses[0] == 0
    right = [summary(measured[rule]).best for rule in ladder]
    assert right == sorted(right, reverse=True)


def test_the_ranking_becomes_the_default(measured: dict[Rule, dict[Cell, Figures]]) -> None:
    assert choice(measured) is RANKING


def test_leaving_the_own_answer_out_makes_two_agents_a_coin(
    measured: dict[Rule, dict[Cell, Figures]],
) -> None:
    two = summary(measured[BY_NAME["the vote, without the own answer"]], 2)
    assert two.regret > 3 * summary(measured[PLAIN], 2).regret


def test_only_a_tie_costs_a_call(measured: dict[Rule, dict[Cell, Figures]]) -> None:
    for size, least in ((2, 4), (3, 6), (5, 10)):
        assert summary(measured[RANKING], size).calls == least
        assert least < summary(measured[READ], size).calls < least + 0.5


def test_no_ballot_of_two_withstands_a_member_that_cheats_but_a_reader_does() -> None:
    lying = measure(cheated(), 300, seed=5, sizes=(2,))
    assert summary(lying[RANKING]).worst > 0.1
    assert summary(lying[READ]).worst < 0


def test_equal_seeds_give_equal_figures() -> None:
    kinds = [Setting(absent=0.2, failed=0.1, copied=0.2)]
    once, again, other = (measure(kinds, 50, seed=seed, sizes=(3,)) for seed in (1, 1, 2))
    assert once == again
    assert once != other


def test_every_kind_is_measured_once_and_none_hints_at_the_order() -> None:
    kinds = [*grid(), *special()]
    assert not any(kind.hint for kind in kinds)
    assert len(kinds) == len(set(kinds))


def test_the_page_says_what_was_chosen() -> None:
    page = PAGE.read_text(encoding="utf-8")
    tables = page.partition(report.BEGIN)[2].partition(report.END)[0]
    assert f"**The choice is `ballot: {RANKING.ballot}`**" in tables
    assert all(rule.name in tables for rule in RULES if rule.name != ORACLE)
    assert report.placed(page, tables.strip()) == page
