"""On what terms a run is held: the rules of a team, and what follows from them. Values only."""

from dataclasses import dataclass

from massgen_compat._run.team import Agreement, Strategy

TRIES_PER_ROUND = 3
"""Replies that an agent may give in one round before the round ends without a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a team's settings mean for its runs. Durations are seconds.

    ``novelty`` is the greatest word overlap (Jaccard, 0 to 1) that a new answer may have with an
    existing one. ``lead_cap`` bounds how many answers an agent may be ahead of the slowest.
    ``solo`` skips the workflow: the first agent's message is the answer. ``message_drafts`` are
    the agents whose draft is an ordinary message. ``waive_objections``: a decision that a policy
    still objects to in the last try of a round counts, marked as unverified; otherwise it is lost.
    ``presentations``: so many messages are written, each with a model call. ``repairs``: a message
    without the format that was asked for gets another try. ``first`` are the agents that are asked
    first; the others are asked unless ``until`` all of these, or a majority, agree. ``speculate``:
    once a strict majority agrees, its choice begins the message while the others finish.
    """

    agents: tuple[str, ...]
    max_answers: int = 3
    max_answers_global: int | None = None
    novelty: float | None = None
    lead_cap: int | None = None
    defer_voting: bool = True
    skip_voting: bool = False
    solo: bool = False
    strategy: Strategy = "winner_present"
    first_round_seconds: float | None = None
    later_round_seconds: float | None = None
    grace_seconds: float = 10.0
    deadline_seconds: float | None = None
    max_calls: int | None = None
    message_drafts: frozenset[str] = frozenset()
    waive_objections: bool = True
    presentations: int = 1
    repairs: bool = False
    first: tuple[str, ...] = ()
    until: Agreement = "unanimous"
    speculate: bool = False

    @property
    def call_limit(self) -> int:
        """The calls that a run may make: ``max_calls``, or what the other rules allow at most."""
        return call_bound(self) if self.max_calls is None else self.max_calls


def call_bound(rules: Rules) -> int:
    """The model calls of the longest run in which each agent is turned back at most twice.

    Everybody drafts; each further answer sends everybody into one more evaluation; then every
    agent might have to try the presentation, and the last one to repair it. Whoever was asked
    first has evaluated once before the others joined. Each set of votes may have begun a message
    that came to nothing.
    """
    agents = len(rules.agents)
    presenting = rules.presentations * (agents + rules.repairs)
    if rules.solo:
        return presenting
    further_answers = agents * (rules.max_answers - 1)
    if rules.max_answers_global is not None:
        further_answers = min(further_answers, max(0, rules.max_answers_global - agents))
    drafts, evaluations, corrections = agents, agents * (1 + further_answers), 2 * agents
    evaluations += len(rules.first)
    if rules.speculate:
        presenting += rules.presentations * (1 + further_answers)
    return drafts + evaluations + corrections + presenting
