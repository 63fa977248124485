"""What is held before anything is measured: one rule in the core, in the library, and here."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from benchmarks.choosing.core import decided
from benchmarks.choosing.measured import calls_of_votes
from benchmarks.choosing.rules import asked, centred, leading, number, points, single
from benchmarks.choosing.settings import SIZES, Setting
from benchmarks.choosing.teams import Bools, Teams, drawn, name
from massgen_compat._coordination.ballots import Ballot, Reading, count

BALLOTS: tuple[Ballot, ...] = ("single", "scores", "ranking")

ROUGH = Setting(noise=1.0, absent=0.3, failed=0.2, copied=0.2, scale="coarse")
"""Teams in which everything happens that can happen."""


def vote_sets(size: int) -> Iterator[dict[str, Reading]]:
    """Every set of votes that a team can cast, abstentions included."""
    agents = [name(agent) for agent in range(size)]
    for targets in product((None, *agents), repeat=size):
        yield {
            agent: Reading(target, {})
            for agent, target in zip(agents, targets, strict=True)
            if target
        }


def core_is_count() -> int:
    """The core's decision is ``count``'s, on every set of votes of two and three agents."""
    sets = 0
    for size in (2, 3):
        agents = tuple(name(agent) for agent in range(size))
        for cast in vote_sets(size):
            core = decided(agents, agents, cast)
            counted = count(agents, list(cast.values()), ballot="single")
            assert (core.order, core.votes) == (counted.order, counted.votes), cast
            sets += 1
    return sets


def core_is_rule(teams: int, seed: int) -> int:
    """The core's winner and calls are those of the rules here, also where agents fail."""
    for size in SIZES:
        drawn_teams = drawn(ROUGH, size, teams, seed)
        votes = drawn_teams.votes
        winners, calls = single(drawn_teams).answer, calls_of_votes(votes)
        agents = [name(agent) for agent in range(size)]
        for team in range(teams):
            voters = [agents[reader] for reader in np.flatnonzero(votes.cast[team])]
            cast = dict(zip(voters, votes.readings(team), strict=True))
            answers = [agents[agent] for agent in np.flatnonzero(votes.drafted[team])]
            core = decided(agents, answers, cast)
            assert (core.order[0], core.calls) == (agents[winners[team]], calls[team])
    return teams * len(SIZES)


def rule_is_count(teams: int, seed: int) -> int:
    """The rules here are ``count``'s: who is tied for the first place before the draw."""
    for size in SIZES:
        for scale in ("ten", "coarse"):
            kind = drawn(replace(ROUGH, scale=scale), size, teams, seed)
            for ballot in BALLOTS:
                _compare(kind, ballot)
                _compare(kind, ballot, reader=True)
    return teams * len(SIZES) * 2 * len(BALLOTS) * 2


def tied(teams: Teams, ballot: Ballot, *, reader: bool = False) -> Bools:
    """Who shares the first place before the file's order or a draw decides."""
    votes = teams.votes
    first = leading(
        votes.drafted, points(votes).sum(axis=1) if ballot == "ranking" else number(votes)
    )
    if ballot == "single":
        return first
    if reader:
        first, _ = asked(teams, first)
    return leading(first, centred(votes).sum(axis=1))


def _compare(teams: Teams, ballot: Ballot, *, reader: bool = False) -> None:
    votes, shared = teams.votes, tied(teams, ballot, reader=reader)
    agents = [name(agent) for agent in range(shared.shape[1])]
    for team in range(len(shared)):
        answers = [agents[agent] for agent in np.flatnonzero(votes.drafted[team])]
        first = [agents[agent] for agent in np.flatnonzero(shared[team])]
        readings, seed = list(votes.readings(team)), str(team)
        found = count(answers, readings, ballot=ballot, seed=seed)
        if reader and len(found.tied) > 1 and teams.present[team]:
            best = max(
                sorted(found.tied), key=lambda agent: teams.impression[team, agents.index(agent)]
            )
            found = count(answers, readings, ballot=ballot, seed=seed, tie_reader=best)
        assert found.order[0] in first, (ballot, team)
        assert ballot != "single" or found.order[0] == first[0], (ballot, team)
        if len(answers) > 1:
            last = "order" if ballot == "single" else "draw"
            assert (found.decided_by == last) == (len(first) > 1), (ballot, team)


def prove(seed: int, teams: int = 100) -> str:
    """Hold all three; says on how much."""
    return (
        f"`ballots.count` is the core's decision on {core_is_count()} sets of votes; the rules "
        f"here are the core's on {core_is_rule(teams, seed)} teams, calls included, and those of "
        f"`ballots.count` on {rule_is_count(teams, seed)}."
    )
