"""One table, printed as it grows: each figure beside its goal and the row that makes it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: ``row`` is the name that makes it, ``met`` is ``None`` where there is no goal."""

    row: str
    figure: str
    measured: str
    goal: str
    met: bool | None


@dataclass(slots=True)
class Table:
    """The lines so far, and the curves that the plots are made of, by their names."""

    row: str = ""
    figures: list[Figure] = field(default_factory=list[Figure])
    curves: dict[str, list[tuple[float, float]]] = field(
        default_factory=dict[str, list[tuple[float, float]]]
    )

    def head(self) -> None:
        """The head of the table."""
        print("| row | figure | measured | goal | met |\n|---|---|---|---|---|", flush=True)

    def tell(self, figure: str, measured: str, goal: str = "", *, met: bool | None = None) -> None:
        """One line."""
        self.figures.append(Figure(self.row, figure, measured, goal, met))
        verdict = {None: "", True: "yes", False: "**no**"}[met]
        print(f"| `{self.row}` | {figure} | {measured} | {goal} | {verdict} |", flush=True)

    def most(self, figure: str, value: float, goal: float, form: str = ".2f") -> None:
        """A figure that may be as large as its goal."""
        self.tell(figure, f"{value:{form}}", f"≤ {goal:g}", met=value <= goal)

    def least(self, figure: str, value: float, goal: float, form: str = ".1f") -> None:
        """A figure that may be as small as its goal."""
        self.tell(figure, f"{value:{form}}", f"≥ {goal:g}", met=value >= goal)

    def missing(self, figure: str, why: str, goal: float) -> None:
        """A figure that could not be measured: its goal is neither met nor missed."""
        self.tell(figure, f"not measured: {why}", f"≥ {goal:g}")

    def curve(self, name: str, points: Sequence[tuple[float, float]]) -> None:
        """A curve for the plots."""
        self.curves[name] = list(points)

    def save(self, path: Path) -> None:
        """Keep everything as JSON, for the plots."""
        kept = {"figures": [asdict(each) for each in self.figures], "curves": self.curves}
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")
