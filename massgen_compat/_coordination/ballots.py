"""How the votes of a team become an order of its answers, and what decided the first place. Pure.

A vote names the best answer and may score every answer. Three rules count votes:

- ``single`` is MassGen's plain rule: most votes win, and ties go to the agent that stands first in
  the config.
- ``scores``: most votes win, and the scores break ties.
- ``ranking``: each vote ranks the answers that it scores, its own choice first. An answer gets a
  point for each answer that a vote ranks below it, and half a point for a tie (Borda's count). The
  scores break ties.

Under the latter two, a tie goes to whom the config's ``tie_reader`` voted for, before the scores:
it has no answer of its own to favour. What is tied then goes to the ``prior`` of the config, if it
states one, and else to a draw that is seeded by the request: the order of agents in a file is no
reason. ``make choosing`` measures the rules (docs/choosing.md).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

Ballot: TypeAlias = Literal["single", "scores", "ranking"]

DecidedBy: TypeAlias = Literal[
    "votes", "ranking", "tie_reader", "scores", "prior", "draw", "order", "only_answer", "limit"
]
"""What put the winner before the second: ``order`` is the config's, under ``single`` only; with
``only_answer`` there was no second; ``limit``: a limit ended the run before anybody had voted."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One vote as it is counted: the best answer, and scores by the agents who wrote the answers.

    Scores are whole numbers, higher is better; each reader has a scale of its own. ``scores`` may
    be empty, or leave answers out.
    """

    target: str
    scores: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The agents with an answer, best first, with their votes, and what decided the first place.

    ``tied`` are those who share it by votes or ranking: more than one where a tie was to be broken.
    """

    order: tuple[str, ...]
    votes: Mapping[str, int]
    decided_by: DecidedBy
    tied: tuple[str, ...]


def count(
    answers: Sequence[str],
    readings: Sequence[Reading],
    *,
    ballot: Ballot,
    prior: Sequence[str] = (),
    tie_reader: str | None = None,
    seed: str = "",
) -> Outcome:
    """Order the agents in ``answers``, which stand in the config's order.

    ``tie_reader`` is the agent that somebody without a draft voted for, asked about the ``tied``.
    """
    votes = {agent: sum(each.target == agent for each in readings) for agent in answers}
    main: _Step = ("votes", votes)
    if ballot == "ranking":
        main = ("ranking", _borda(answers, readings))
    steps: list[_Step] = [main]
    if ballot != "single":
        rank = {agent: len(prior) - place for place, agent in enumerate(prior)}
        steps = [
            main,
            ("tie_reader", {agent: agent == tie_reader for agent in answers}),
            ("scores", _scores(answers, readings)),
            ("prior", {agent: rank.get(agent, 0) for agent in answers}),
            ("draw", {agent: _drawn(seed, agent) for agent in answers}),
        ]
    order = tuple(sorted(answers, key=lambda agent: [-points[agent] for _, points in steps]))
    tied = tuple(agent for agent in order if main[1][agent] == main[1][order[0]])
    return Outcome(order, votes, _decided_by(order, steps), tied)


_Step: TypeAlias = tuple[DecidedBy, Mapping[str, Fraction | int]]
"""What is compared after what came before was equal; more is better."""


def _decided_by(order: Sequence[str], steps: Sequence[_Step]) -> DecidedBy:
    """The first step in which the winner and the second differ."""
    if len(order) < 2:
        return "only_answer"
    first, second = order[:2]
    for name, points in steps:
        if points[first] != points[second]:
            return name
    return "order"


def _borda(answers: Sequence[str], readings: Sequence[Reading]) -> dict[str, int]:
    """Twice the points of each answer. What a vote does not score stands below what it scores.

    Each answer is compared with itself too, which gives the same to all.
    """
    points = dict.fromkeys(answers, 0)
    for reading in readings:
        places = {agent: _place(reading, agent) for agent in answers}
        for agent, place in places.items():
            points[agent] += sum(
                2 * (place > other) + (place == other) for other in places.values()
            )
    return points


def _place(reading: Reading, agent: str) -> tuple[bool, bool, int]:
    """Where a vote puts an answer: its choice first, then by scores."""
    scored = agent in reading.scores
    return agent == reading.target, scored, reading.scores.get(agent, 0)


def _scores(answers: Sequence[str], readings: Sequence[Reading]) -> dict[str, Fraction]:
    """The sums of the scores, each counted from its reader's mean: scales have levels of their own.

    An answer that a reader did not score gets nothing from that reader.
    """
    sums = dict.fromkeys(answers, Fraction(0))
    for reading in readings:
        given = {agent: score for agent, score in reading.scores.items() if agent in sums}
        if given:
            mean = Fraction(sum(given.values()), len(given))
            for agent, score in given.items():
                sums[agent] += score - mean
    return sums


def _drawn(seed: str, agent: str) -> int:
    """The agent's lot: the same for the same request, and different from request to request."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{agent}".encode()).digest()[:8])
