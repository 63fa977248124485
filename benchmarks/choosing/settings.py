"""What teams are simulated: how well their members read, and what they favour.

The unit of everything is the standard deviation of the quality of one model's drafts. Where the
values come from stands in docs/choosing.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

SIZES = (2, 3, 5, 9)
NOISES = (0.25, 0.5, 1.0, 2.0)
OWN = (0.0, 0.5, 1.0, 2.0)
LEAD = 1.5
"""By how much the drafts of a strong member are better."""

Scale = Literal["ten", "coarse", "hundred"]
Strong = Literal["nobody", "somebody", "first", "last"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One kind of team.

    ``noise``: the deviation of a reader's impression of an answer. ``own``: what its own answer
    gains in its eyes; ``unequal``: between nothing and twice that, by the reader. ``place``: what
    the answer that it sees first gains (below zero: the last), in an ``order`` of its own, or in
    that of the file with its own answer last. ``absent``: the chance that a vote is not cast,
    ``failed``: that there is no draft either. ``copied``: the chance that a draft is the next
    agent's. ``shared``: the part of the variance of errors that all readers have in common.
    ``egoist``: one member always votes for itself, and a ``spiteful`` one gives others the lowest
    score. ``blind``: authors do not see how well their own draft came out. ``scale``: scores from
    1 to 10, nearly all of them 8 or 9, or from 0 to 100. ``strong``: who is better than the rest.
    """

    name: str = ""
    noise: float = 0.5
    own: float = 0.5
    unequal: bool = False
    place: float = 0.0
    order: Literal["own", "file"] = "own"
    absent: float = 0.0
    failed: float = 0.0
    copied: float = 0.0
    shared: float = 0.0
    egoist: Literal["", "egoist", "spiteful"] = ""
    blind: bool = False
    scale: Scale = "ten"
    strong: Strong = "nobody"

    @property
    def hint(self) -> bool:
        """Whether the order of the file says who is better, or says the opposite."""
        return self.strong in {"first", "last"}


def grid() -> Iterator[Setting]:
    """Every combination of what matters most, where the order of the file is no hint."""
    scales: tuple[Scale, ...] = ("ten", "coarse")
    strong: tuple[Strong, ...] = ("nobody", "somebody")
    for noise, own, absent, scale, who in product(NOISES, OWN, (0.0, 0.2), scales, strong):
        yield Setting(noise=noise, own=own, absent=absent, scale=scale, strong=who)


USUAL = Setting(name="readers as in the papers")

SPECIAL = (
    USUAL,
    replace(USUAL, name="nearly all scores 8 or 9", scale="coarse"),
    replace(USUAL, name="scores from 0 to 100", scale="hundred"),
    replace(USUAL, name="unequal self-preference", own=1.0, unequal=True),
    replace(USUAL, name="an egoist", egoist="egoist"),
    replace(USUAL, name="authors blind to their own draft", blind=True),
    replace(USUAL, name="the first place favoured", place=0.5),
    replace(USUAL, name="… in the file's order, the own last", place=0.5, order="file"),
    replace(USUAL, name="the last place favoured", place=-0.5),
    replace(USUAL, name="… in the file's order, the own last", place=-0.5, order="file"),
    replace(USUAL, name="drafts that are copies, 3 of 10", copied=0.3),
    replace(USUAL, name="agents that fail, 2 of 10", failed=0.2),
    replace(USUAL, name="errors half shared", shared=0.5),
)
"""Departures from the usual readers, one at a time; each is simulated at two levels of noise."""


def special() -> Iterator[Setting]:
    """The departures, among good readers and among middling ones."""
    for noise, setting in product((0.5, 1.0), SPECIAL):
        yield replace(setting, noise=noise)


def cheated() -> Iterator[Setting]:
    """A member that gives its own answer the best score and others the lowest, whatever they are.

    The default is not chosen for this: no ballot of two can tell who of them lies.
    """
    for noise in (0.5, 1.0):
        yield replace(USUAL, name="an egoist who gives others a 1", noise=noise, egoist="spiteful")


def hinted() -> Iterator[Setting]:
    """A strong member at a known place in the file."""
    known: tuple[Strong, ...] = ("first", "last")
    for strong, noise, own in product(known, NOISES, OWN):
        yield Setting(noise=noise, own=own, strong=strong)
