"""The curves of a table as a picture and as text: ``docs/performance.png`` and ``.txt``."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

Curves = Mapping[str, Sequence[Sequence[float]]]
BAR = 40


def text(curves: Curves) -> str:
    """Each curve as bars, one for each of its points."""
    return "\n".join(line for name, points in curves.items() for line in _bars(name, points))


def _bars(name: str, points: Sequence[Sequence[float]]) -> Iterator[str]:
    yield name
    most = max(value for _, value in points) or 1.0
    for size, value in points:
        bar = "█" * max(1, round(value / most * BAR))
        yield f"  {size:>6g}  {bar} {value:.3g}"
    yield ""


def draw(curves: Curves, folder: Path) -> None:
    """Write the picture and the text into a folder."""
    (folder / "performance.txt").write_text(text(curves), encoding="utf-8")
    matplotlib: Any = import_module("matplotlib")  # of the group `bench`: only who draws needs it
    matplotlib.use("agg")
    pyplot: Any = import_module("matplotlib.pyplot")
    rows = -(-len(curves) // 2)
    figure, axes = pyplot.subplots(rows, 2, figsize=(10, 2.6 * rows), squeeze=False)
    for axis, (name, points) in zip(axes.flat, curves.items(), strict=False):
        what, _, by = name.rpartition(", by ")
        axis.plot(*zip(*points, strict=True), marker="o", color="#1f5fa8")
        axis.set_title(what, fontsize=10)
        axis.set_xlabel(by, fontsize=9)
        axis.set_ylim(bottom=0)
        axis.grid(visible=True, alpha=0.3)
    for axis in list(axes.flat)[len(curves) :]:
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(folder / "performance.png", dpi=110)
