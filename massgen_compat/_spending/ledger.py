"""Adds up the calls, tokens and cost of a run, and builds its result or its error. No I/O."""

from collections.abc import Mapping, Sequence

from massgen_compat._coordination import Member, State, label
from massgen_compat._run.result import AgentUsage, Answer, FinalMessage, RunResult, Usage, Vote
from massgen_compat._run.team import Team
from massgen_compat._run.turn import Reply
from massgen_compat._spending.meter import Cost
from massgen_compat.errors import (
    ContextLengthExceeded,
    LimitExceeded,
    MassGenError,
    UpstreamAuthentication,
    UpstreamMalformed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)

TELLING: tuple[type[MassGenError], ...] = (
    UpstreamAuthentication,
    ContextLengthExceeded,
    UpstreamRejected,
    UpstreamMalformed,
    LimitExceeded,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamRateLimited,
)
"""The order in which a failed run looks for the error to report: the first kind that an agent met.

Errors that somebody has to mend come before those that pass by themselves, because the second kind
invites a retry. So a run reports 429 only if every agent met one."""


class Ledger:
    """Counts the calls of one run and what they used.

    ``costs``: by agent id, the price of a call in US dollars by its usage; ``None``: not known.
    """

    def __init__(self, team: Team, costs: Mapping[str, Cost | None]) -> None:
        self._team = team
        self._costs = costs
        self._calls = {agent.id: 0 for agent in team.agents}
        self._usages: dict[str, list[Usage | None]] = {agent.id: [] for agent in team.agents}
        self._heard = False

    @property
    def asked(self) -> bool:
        """Whether any model call was started."""
        return any(self._calls.values())

    @property
    def spent(self) -> bool:
        """Whether some model wrote anything or ended its reply, so that it has to be paid for."""
        return self._heard or any(self._usages.values())

    def called(self, agent: str) -> None:
        """Count a call of the agent that was started."""
        self._calls[agent] += 1

    def heard(self) -> None:
        """Note that a piece of a reply came."""
        self._heard = True

    def finished(self, agent: str, reply: Reply) -> None:
        """Count the usage of a call that ended; its provider may have reported none."""
        self._usages[agent].append(reply.usage)

    def agents(self) -> tuple[AgentUsage, ...]:
        """Return what each agent spent, in the order of the config."""
        rows: list[AgentUsage] = []
        for agent in self._team.agents:
            reported = [usage for usage in self._usages[agent.id] if usage is not None]
            rows.append(
                AgentUsage(
                    agent=agent.id,
                    model=agent.model,
                    calls=self._calls[agent.id],
                    unreported_calls=self._calls[agent.id] - len(reported),
                    usage=_sum(reported),
                    cost_usd=self._cost(agent.id, reported),
                )
            )
        return tuple(rows)

    def _cost(self, agent: str, reported: Sequence[Usage]) -> float | None:
        cost = self._costs.get(agent)
        return sum(map(cost, reported)) if cost and reported else None

    def cost(self) -> float | None:
        """Return the cost of ``total`` in US dollars; ``None`` if that or a price is unknown."""
        reporting = [row for row in self.agents() if row.usage is not None]
        costs = [row.cost_usd for row in reporting if row.cost_usd is not None]
        known = self.total() is not None and len(costs) == len(reporting)
        return sum(costs) if known else None

    def total(self) -> Usage | None:
        """Return the sum of all usage reports; ``None`` if a finished call reported none.

        A sum with a part missing would look like the whole.
        """
        usages = [usage for reports in self._usages.values() for usage in reports]
        reported = [usage for usage in usages if usage is not None]
        return _sum(reported) if len(reported) == len(usages) else None

    def result(
        self,
        *,
        run_id: str,
        state: State,
        messages: tuple[FinalMessage, ...],
        replies: Sequence[Reply],
    ) -> RunResult:
        """Return the result of a run that ended in ``state`` with these messages.

        ``replies`` are the presenter's replies that the messages were made of; none if the message
        is an answer.
        """
        return self.sum_up(
            run_id=run_id,
            messages=messages,
            replies=replies,
            winner=state.winner or state.rules.agents[0],
            presenter=state.presenter,
            answers=tuple(_answer(state, member) for member in state.answered),
            votes=tuple(
                Vote(voter=member.agent, target=member.vote.target, reason=member.vote.reason)
                for member in state.members
                if member.vote is not None
            ),
            limited_by=state.limited_by,
        )

    def sum_up(
        self,
        *,
        run_id: str,
        messages: tuple[FinalMessage, ...],
        replies: Sequence[Reply],
        winner: str,
        presenter: str | None,
        answers: tuple[Answer, ...],
        votes: tuple[Vote, ...],
        limited_by: str | None,
    ) -> RunResult:
        """Return the result with these parts, and with what the run spent.

        ``visible_usage`` of the result is the usage of ``replies``: of what the client reads.
        """
        visible = [reply.usage for reply in replies]
        reported = [usage for usage in visible if usage is not None]
        return RunResult(
            run_id=run_id,
            team=self._team.name,
            messages=messages,
            winner=winner,
            presenter=presenter,
            answers=answers,
            votes=votes,
            agents=self.agents(),
            usage=self.total(),
            visible_usage=_sum(reported) if len(reported) == len(visible) else None,
            limited_by=limited_by,
            cost_usd=self.cost(),
        )


def most_telling(failures: Sequence[MassGenError], limited_by: str | None) -> MassGenError:
    """Return the error to report for a run that has nothing to answer with.

    ``failures`` are the errors of its agents, ``limited_by`` the limit that ended it, if one did.
    """
    causes = list(failures)
    if limited_by in {"max_tokens", "max_cost"}:
        causes.append(LimitExceeded(limited_by))
    elif limited_by:
        limit = f"No agent gave an answer before the run's limit ({limited_by})."
        causes.append(UpstreamTimeout(limit))
    if not causes:
        return UpstreamMalformed("No agent gave an answer.")
    kinds = [next((i for i, kind in enumerate(TELLING) if isinstance(c, kind)), 0) for c in causes]
    return causes[kinds.index(min(kinds))]


def _answer(state: State, member: Member) -> Answer:
    return Answer(
        agent=member.agent,
        label=label(state.rules, member.agent),
        content=member.answer or "",
        number=member.answers,
    )


def _sum(usages: Sequence[Usage]) -> Usage | None:
    total: Usage | None = None
    for usage in usages:
        total = usage if total is None else total + usage
    return total
