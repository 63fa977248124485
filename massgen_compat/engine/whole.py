"""Whose replies may come in one piece. Pure.

A streamed reply costs twice as much to hear as a whole one, or more (``docs/performance.md``), and
nobody reads along while agents draft and evaluate.
"""

from dataclasses import replace

from massgen_compat.run import Team, Timeouts


def whole_replies(team: Team, *, watched: bool) -> frozenset[str]:
    """The agents whose drafts and evaluations may come in one piece.

    Not where a piece is of use before the end: it is shown (``watched``), counts towards a limit,
    is the sign of life that a timeout waits for, or tells of a tool that the provider runs.
    """
    settings, default = team.settings, Timeouts()
    timed = (
        settings.timeouts.first_token_seconds != default.first_token_seconds
        or settings.timeouts.between_tokens_seconds != default.between_tokens_seconds
    )
    limited = settings.limits.max_tokens is not None or settings.limits.max_cost is not None
    if settings.stream_turns == "always" or watched or limited or timed:
        return frozenset()
    return frozenset(agent.id for agent in team.agents if not agent.backend.hosted_tools)


def without_first_token(timeouts: Timeouts) -> Timeouts:
    """The timeouts of a whole reply: it has no token before its end."""
    return replace(timeouts, first_token_seconds=timeouts.turn_seconds)
