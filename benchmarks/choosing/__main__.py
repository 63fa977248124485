"""``make choosing``: the rules for choosing among drafts, side by side.

``--teams N``: so many teams in each setting. ``--plots FOLDER`` writes the tables into the folder's
``choosing.md``, between its marks, and ``choosing.svg`` beside it.
"""

import argparse
import sys
import time
from pathlib import Path

from benchmarks.choosing import plots, report
from benchmarks.choosing.measured import Cell, measure
from benchmarks.choosing.proofs import prove
from benchmarks.choosing.rules import (
    ORACLE,
    PLAIN,
    PRIORS,
    RULES,
    alone,
    exact_ranking,
    ranking,
    ranking_of_others,
    ranking_reader_first,
    scores,
)
from benchmarks.choosing.settings import SPECIAL, cheated, grid, hinted, special

TEAMS = 4000
SHOWN = (PLAIN.choose, scores, ranking, ranking_reader_first)
"""What single settings and the picture show."""


def text(teams: int, seed: int, folder: Path | None) -> str:
    """All tables; draws the picture too, if there is a folder for it."""
    started = time.perf_counter()
    proved = prove(seed)
    shown = [rule for rule in RULES if rule.choose in SHOWN]
    alike = [
        rule for rule in RULES if rule.choose in {*SHOWN[:3], exact_ranking, ranking_of_others}
    ]
    plain = [*grid(), *special()]
    measured = measure(plain, teams, seed, tell=_tell)
    cheats = measure(cheated(), teams, seed)
    first = [rule for rule in RULES if rule.choose is alone]
    placed = measure(hinted(), teams, seed, rules=[*shown, *PRIORS, *first])
    seconds = time.perf_counter() - started
    print(f"{seconds:.0f} s", file=sys.stderr)
    if folder:
        plots.draw(measure(plots.settings(), teams, seed, rules=shown), shown, folder)
    lying = list(cheated())[:1]
    both = {rule: {**measured[rule], **cheats[rule]} for rule in RULES}
    several = [rule for rule in RULES if rule.choose in {*SHOWN, ranking_of_others}]
    parts = (
        f"{teams} teams of each kind and size ({len(plain)} kinds), seed {seed}. {proved}",
        report.verdict(measured, cheats),
        report.overall({rule: cells for rule, cells in measured.items() if rule.name != ORACLE}),
        "Equal members, noise 0.25 to 1, self-preference 0 to 1, scores from 1 to 10:",
        report.sensible(measured, alike),
        "One thing different at a time (noise and self-preference 0.5), 2 / 3 / 5 agents:",
        report.by_setting(both, [*SPECIAL, *lying], several),
        "One member better by 1.5, 2 / 3 / 5 / 9 agents:",
        report.by_place(placed),
        "Two equal agents under `single`:",
        report.ties(teams, seed),
    )
    return "\n\n".join(parts)


def _tell(_: Cell) -> None:
    """Show that it goes on, where somebody looks."""
    if sys.stderr.isatty():
        print(".", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choosing", description=__doc__)
    parser.add_argument("--teams", type=int, default=TEAMS, help="teams in each setting")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plots", type=Path, help="a folder with choosing.md")
    arguments = parser.parse_args()
    folder: Path | None = arguments.plots
    tables = text(arguments.teams, arguments.seed, folder)
    print(tables)
    if folder:
        page = folder / "choosing.md"
        page.write_text(report.placed(page.read_text("utf-8"), tables), "utf-8")


if __name__ == "__main__":
    main()
