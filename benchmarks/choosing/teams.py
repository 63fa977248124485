"""Thousands of teams of one kind at once: their drafts, and how their members read them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.choosing.settings import LEAD, Setting
from massgen_compat._coordination.ballots import Reading

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

SURE: Final = 8.0
"""What an egoist's own answer gains in its eyes."""

SCALES: Final = {"ten": (6.5, 1.0, 1.5), "coarse": (8.5, 0.2, 0.4), "hundred": (65.0, 10.0, 15.0)}
"""By the scale: where readers put a middling answer, how much they differ in that, and how many
points a deviation of quality is worth to them (times a factor of the reader's own)."""


@dataclass(frozen=True, slots=True)
class Votes:
    """What the members of many teams think: axes are team, reader, answer.

    ``drafted``: who has an answer; ``cast``: whose vote counts; ``seen``: the impressions, and
    ``target`` the best of them; ``scores`` are whole numbers. ``lots`` are the draws.
    """

    drafted: Bools
    cast: Bools
    seen: Floats
    target: Ints
    scores: Ints
    lots: Floats
    counted: dict[str, Ints] = field(default_factory=dict[str, Ints])

    @property
    def choices(self) -> Bools:
        """The targets, as the one answer of each reader's that is chosen."""
        agents: Ints = np.arange(self.target.shape[1], dtype=np.int64)
        chosen: Bools = self.target[:, :, None] == agents
        return chosen

    def kept(self, what: str, count: Callable[[], Ints]) -> Ints:
        """What several rules count, once."""
        if what not in self.counted:
            self.counted[what] = count()
        return self.counted[what]

    def readings(self, team: int) -> Iterator[Reading]:
        """One team's votes as the library counts them. Agents are called by their numbers."""
        answers = [int(each) for each in np.flatnonzero(self.drafted[team])]
        for reader in np.flatnonzero(self.cast[team]):
            scores = {name(j): int(self.scores[team, reader, j]) for j in answers}
            yield Reading(name(int(self.target[team, reader])), scores)


@dataclass(frozen=True, slots=True)
class Teams:
    """Many teams: the quality of their drafts, their votes, and a reader without a draft.

    ``impression`` is that reader's, and ``present`` tells whether it answers.
    """

    quality: Floats
    votes: Votes
    impression: Floats
    present: Bools


def name(agent: int) -> str:
    """The id of an agent, so that a team's agents are in the order of their numbers."""
    return f"agent{agent + 1}"


def drawn(setting: Setting, size: int, teams: int, seed: int) -> Teams:
    """Teams of one kind. Equal seeds draw equal luck, whatever the setting."""
    luck = np.random.default_rng((seed, size))
    each, both = (teams, size), (teams, size, size)
    chance: Floats = luck.standard_normal(each)
    errors: Floats = luck.standard_normal(both)
    common: Floats = luck.standard_normal(each)
    outside: Floats = luck.standard_normal(each)
    level, slope = luck.standard_normal(each), luck.standard_normal(each)
    lots, order, bias = luck.random(each), luck.random(both), luck.random(each)
    absent, failed, copied = luck.random(each), luck.random(each), luck.random(each)
    someone: Ints = luck.integers(size, size=teams)
    selfish: Ints = luck.integers(size, size=teams)

    mean: Floats = _strength(setting, size, someone)
    shared = np.sqrt(setting.shared)
    errors = np.sqrt(1 - setting.shared) * errors + shared * common[:, None, :]
    outside = np.sqrt(1 - setting.shared) * outside + shared * common
    quality: Floats = mean + chance
    if setting.copied:
        copy = copied < setting.copied
        quality = np.where(copy, np.roll(quality, -1, axis=1), quality)
        errors = np.where(copy[:, None, :], np.roll(errors, -1, axis=2), errors)
        outside = np.where(copy, np.roll(outside, -1, axis=1), outside)
    drafted: Bools = failed >= setting.failed
    drafted[~drafted.any(axis=1), 0] = True

    mine = np.eye(size, dtype=np.bool_)
    own = setting.own * (2 * bias if setting.unequal else np.ones(each))
    egoist = (np.arange(size) == selfish[:, None]) & bool(setting.egoist)
    own = np.where(egoist, SURE, own)
    seen: Floats = quality[:, None, :] + setting.noise * errors
    if setting.blind:
        seen = np.where(
            mine, (mean + setting.noise * np.diagonal(errors, axis1=1, axis2=2))[:, :, None], seen
        )
    seen = seen + mine * own[:, :, None]
    if setting.place:
        seen = seen + abs(setting.place) * _favoured(setting, order, drafted)
    scores = _scores(setting, seen, level, slope)
    if setting.egoist == "spiteful":
        scores = np.where(egoist[:, :, None], np.where(mine, 10, 1), scores)
    seen = np.where(drafted[:, None, :], seen, -np.inf)
    votes = Votes(
        drafted=drafted,
        cast=drafted & (absent >= setting.absent) & (drafted.sum(axis=1) > 1)[:, None],
        seen=seen,
        target=seen.argmax(axis=2),
        scores=scores,
        lots=lots,
    )
    impression = np.where(drafted, quality + setting.noise * outside, -np.inf)
    return Teams(quality, votes, impression, luck.random(teams) >= setting.absent)


def _strength(setting: Setting, size: int, someone: Ints) -> Floats:
    """What is to be expected of each member's drafts."""
    match setting.strong:
        case "nobody":
            return np.zeros((len(someone), size))
        case "somebody":
            place = someone
        case "first":
            place = np.zeros_like(someone)
        case "last":
            place = np.full_like(someone, size - 1)
    return LEAD * (np.arange(size) == place[:, None])


def _favoured(setting: Setting, order: Floats, drafted: Bools) -> Bools:
    """Which answer stands where each reader favours it."""
    size = order.shape[2]
    if setting.order == "file":
        shown: Floats = np.arange(size, dtype=np.float64)
        mine: Floats = np.eye(size)
        order = np.zeros_like(order) + shown + size * mine
    there = drafted[:, None, :]
    if setting.place > 0:
        order = np.where(there, order, np.inf)
        return order == order.min(axis=2, keepdims=True)
    order = np.where(there, order, -np.inf)
    return order == order.max(axis=2, keepdims=True)


def _scores(setting: Setting, seen: Floats, level: Floats, slope: Floats) -> Ints:
    """The impressions in whole points, on the scale that each reader has made its own."""
    middle, spread, points = SCALES[setting.scale]
    most = 100 if setting.scale == "hundred" else 10
    raw = (middle + spread * level)[:, :, None] + (points * np.exp(0.3 * slope))[:, :, None] * seen
    return np.clip(np.rint(raw), 0 if most == 100 else 1, most).astype(np.int64)
