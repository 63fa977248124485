"""The rules of a run, as a team's settings give them, and the number of calls that they allow."""

from dataclasses import dataclass

from massgen_compat._run.team import Agreement, Strategy

TRIES_PER_ROUND = 3
"""How many replies an agent may give in one round. After them the round ends without a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a team's settings mean for a run. Times are in seconds; ``None`` means no bound.

    ``agents``: their ids, in the order of the config, which breaks ties.
    ``max_answers``, ``max_answers_global``: answers that an agent, or the team, may give in a run.
    ``novelty``: the greatest word overlap (Jaccard, 0 to 1) of a new answer with a current one.
    ``lead_cap``: an agent may have at most so many answers more than the one with the fewest.
    ``defer_voting``: evaluations start when nobody drafts any more, not with the second answer.
    ``skip_voting``: nobody evaluates; the first agent with an answer wins.
    ``solo``: nobody drafts or votes; the first agent's message is the answer.
    ``strategy``: how the message comes about (``final_answer_strategy`` of the config).
    ``first_round_seconds``, ``later_round_seconds``: the time of a draft, of a later evaluation.
    ``grace_seconds``: what the others have left once a strict majority agrees.
    ``max_calls``: the model calls of the run; ``None``: the bound that follows from the rules.
    ``message_drafts``: agents whose draft is an ordinary message and no tool call.
    ``waive_objections``: a decision that a policy still objects to in the last try of a round
    counts, marked as unverified; otherwise it is lost.
    ``presentations``: how many messages are written, each with a model call of its own.
    ``repairs``: messages without the format or the call that was asked for get another try.
    ``first``: agents that are asked first; empty: all are. ``until``: whether all of these or a
    majority have to agree for the others not to be asked.
    ``speculate``: once a strict majority agrees on an agent, it begins the message while the
    others finish.
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
        """How many model calls a run may make: ``max_calls``, or else ``call_bound``."""
        return call_bound(self) if self.max_calls is None else self.max_calls


def call_bound(rules: Rules) -> int:
    """Count the model calls of the longest run in which each agent is turned back at most twice.

    Everybody drafts and evaluates. Each further answer makes everybody evaluate once more. Then
    each agent may have to present, because those before it failed, and the last one may have to
    repair its messages. Agents that are asked first have evaluated once before the others join.
    With ``speculate`` each set of votes may have begun messages that were dropped.

    MassGen has no such bound: two agents that always answer anew never end (``docs/limits.md``).
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
