"""What the rules lose, as a picture that can be read on a light and on a dark page."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.choosing.measured import Measured
from benchmarks.choosing.rules import Rule
from benchmarks.choosing.settings import NOISES, OWN, Setting

COLORS = ("#888888", "#c98a1b", "#3b82d6", "#2f9e6e")
GREY = "#888888"


def curves() -> tuple[tuple[str, str, tuple[Setting, ...]], ...]:
    """What is drawn: by the noise of readers, and by how much they favour themselves."""
    usual = Setting()
    return (
        ("noise of readers", "noise", tuple(replace(usual, noise=each) for each in NOISES)),
        ("self-preference", "own", tuple(replace(usual, own=each) for each in OWN)),
    )


def settings() -> tuple[Setting, ...]:
    """All that has to be measured for it."""
    return tuple(dict.fromkeys(each for _, _, kinds in curves() for each in kinds))


def draw(measured: Measured, rules: Sequence[Rule], folder: Path) -> None:
    """Write ``choosing.svg`` into a folder."""
    matplotlib: Any = import_module("matplotlib")  # of the group `bench`: only who draws needs it
    matplotlib.use("agg")
    matplotlib.rcParams.update(
        {
            "svg.hashsalt": "choosing",
            "svg.fonttype": "none",
            "text.color": GREY,
            "axes.labelcolor": GREY,
            "axes.edgecolor": GREY,
            "xtick.color": GREY,
            "ytick.color": GREY,
            "font.size": 9,
        }
    )
    pyplot: Any = import_module("matplotlib.pyplot")
    sizes = (2, 3, 5)
    figure, axes = pyplot.subplots(2, len(sizes), figsize=(9, 5), sharex="row", sharey="row")
    for row, (label, key, kinds) in enumerate(curves()):
        for column, size in enumerate(sizes):
            axis = axes[row][column]
            for rule, color in zip(rules, COLORS, strict=True):
                values = [getattr(kind, key) for kind in kinds]
                losses = [measured[rule][size, kind].regret for kind in kinds]
                axis.plot(values, losses, marker="o", markersize=3, color=color, label=rule.name)
            axis.set_xlabel(label)
            axis.grid(visible=True, alpha=0.25)
            if not row:
                axis.set_title(f"{size} agents", fontsize=10)
            if not column:
                axis.set_ylabel("loss against an oracle")
    for axis in axes[:, 0]:
        axis.set_ylim(bottom=0)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(
        handles,
        [each.replace("`", "") for each in labels],
        loc="lower center",
        ncols=2,
        frameon=False,
    )
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    figure.savefig(folder / "choosing.svg", transparent=True, metadata={"Date": None})
