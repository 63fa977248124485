"""The tables of docs/choosing.md, as ``make choosing`` prints them."""

import re
from collections.abc import Iterator, Sequence

from benchmarks.choosing.measured import WORSE, Cell, Measured, choice, summary
from benchmarks.choosing.proofs import tied
from benchmarks.choosing.rules import PLAIN, Rule
from benchmarks.choosing.settings import SIZES, Setting
from benchmarks.choosing.teams import drawn

BEGIN = "<!-- choosing: written by make choosing PLOTS=docs -->"
END = "<!-- end of choosing -->"


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def overall(measured: Measured) -> str:
    """Every rule over all settings in which the order of the file is no hint."""

    def rows() -> Iterator[Sequence[str]]:
        for rule, cells in measured.items():
            sizes = [summary(cells, size) for size in SIZES]
            every = summary(cells)
            yield (
                rule.name,
                *(f"{each.regret:.3f}" for each in sizes),
                f"{every.regret:.3f} ± {every.error:.3f}",
                _slashed([f"{each.best:.2f}" for each in sizes]),
                f"{every.worst:+.3f} ± {every.worst_error:.3f}",
                f"{every.worse} of {every.settings}",
                _slashed([f"{each.calls:.1f}" for each in sizes]),
            )

    sizes = [f"loss, N = {SIZES[0]}", *(str(size) for size in SIZES[1:])]
    tail = ("P(best)", "most above `single`", f"above by > {WORSE}", "calls")
    return table(("rule", *sizes, "mean", *tail), rows())


def by_setting(measured: Measured, settings: Sequence[Setting], rules: Sequence[Rule]) -> str:
    """Some rules in single settings: losses of two, three and five agents."""

    def rows() -> Iterator[Sequence[str]]:
        for setting in settings:
            cells = [
                _slashed([f"{measured[rule][size, setting].regret:.3f}" for size in (2, 3, 5)])
                for rule in rules
            ]
            yield (setting.name, *cells)

    return table(("setting", *(_short(rule) for rule in rules)), rows())


def by_place(measured: Measured) -> str:
    """The rules where a strong member stands at a known place in the file."""

    def rows() -> Iterator[Sequence[str]]:
        for rule, cells in measured.items():
            found: list[str] = []
            for strong in ("first", "last"):
                kept = {cell: each for cell, each in cells.items() if cell[1].strong == strong}
                found.append(_slashed([f"{summary(kept, size).regret:.3f}" for size in SIZES]))
                if strong == "first":
                    every = summary(kept)
                    found.append(f"{every.worst:+.3f}")
                    found.append(f"{every.worse} of {every.settings}")
            yield (rule.name, *found)

    tail = ("most above `single`", f"above by > {WORSE}", "the strong one last")
    return table(("rule", "the strong one first", *tail), rows())


def sensible(measured: Measured, rules: Sequence[Rule]) -> str:
    """Equal members who read and favour themselves within reason, and who score from 1 to 10."""

    def rows() -> Iterator[Sequence[str]]:
        for rule in rules:
            cells = {cell: each for cell, each in measured[rule].items() if _sensible(cell)}
            sizes = [summary(cells, size) for size in SIZES]
            yield (
                rule.name,
                *(f"{each.regret:.3f}" for each in sizes),
                _slashed([f"{each.best:.2f}" for each in sizes]),
            )

    return table(("rule", *(f"N = {size}" for size in SIZES), "P(best)"), rows())


def _sensible(cell: Cell) -> bool:
    setting = cell[1]
    return (
        not setting.name
        and setting.noise <= 1.0
        and setting.own <= 1.0
        and not setting.absent
        and (setting.scale, setting.strong) == ("ten", "nobody")
    )


def ties(teams: int, seed: int) -> str:
    """How often two agents tie under the plain vote, and how often the file's first then wins."""

    def rows() -> Iterator[Sequence[str]]:
        for noise, own in ((0.25, 0.0), (1.0, 0.5), (0.5, 1.0), (0.25, 2.0)):
            pair = drawn(Setting(noise=noise, own=own), 2, teams, seed)
            shared = tied(pair, "single")
            even = float((shared.sum(axis=1) > 1).mean())
            first = float(shared[:, 0].mean())
            yield f"{noise:g}", f"{own:g}", f"{even:.0%}", f"{first:.0%}"

    return table(("noise", "self-preference", "ties", "the file's first wins"), rows())


def verdict(measured: Measured, cheated: Measured) -> str:
    """Which rule becomes the default, and why."""
    default = choice(measured)
    own, plain = summary(measured[default]), summary(measured[PLAIN])
    fooled = summary(cheated[default], 2)
    best = min(
        (rule for rule in measured if rule.calls == "votes"),
        key=lambda rule: summary(measured[rule]).regret,
    )
    return (
        f"**The choice is `ballot: {default.ballot}`**: of the ballots that the library has it "
        f"loses least ({own.regret:.3f}, `single` {plain.regret:.3f}), it is above `single` by "
        f"more than {WORSE} in {own.worse} of {own.settings} settings (by {own.worst:+.3f} at "
        f"most), and it takes the votes that are cast anyway. Of all rules {best.name} loses least "
        f"({summary(measured[best]).regret:.3f}). Where one of two cheats with its scores, the "
        f"default is above `single` by {fooled.worst:.2f}."
    )


def placed(page: str, text: str) -> str:
    """The page with the text between its marks."""
    part = re.compile(rf"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
    return part.sub(lambda _: f"\n{text}\n\n", page)


def _short(rule: Rule) -> str:
    return rule.name.partition(":")[0]


def _slashed(values: Sequence[str]) -> str:
    return " / ".join(values)
