"""What a run has cost and how it came to its end, as objects of the wire."""

from typing import Any

from massgen_compat._run.result import AgentUsage, RunResult, Usage


def run_usage(result: RunResult) -> dict[str, Any] | None:
    """The run's total as a ``usage`` object, ``None`` where a provider did not report.

    ``reasoning_tokens`` is all that is not in the visible message: the coordination and every
    model's hidden thinking. Where the visible part is unknown it is what providers call reasoning.
    """
    total = result.usage
    if total is None:
        return None
    visible = result.visible_usage
    if visible is None:
        return _usage(total, reasoning_tokens=total.reasoning_tokens)
    shown = max(0, visible.completion_tokens - visible.reasoning_tokens)
    return _usage(total, reasoning_tokens=total.completion_tokens - shown)


def massgen_object(result: RunResult, background: str | None = None) -> dict[str, Any]:
    """The ``massgen`` object: how the team decided, and what each agent has spent.

    ``background`` is the rule by which one agent answered alone.
    """
    told = {
        "run_id": result.run_id,
        "team": result.team,
        "winner": result.winner,
        "presenter": result.presenter,
        "votes": [
            {"voter": vote.voter, "target": vote.target, "reason": vote.reason}
            for vote in result.votes
        ],
        "limited_by": result.limited_by,
        "cost_usd": _dollars(result.cost_usd),
        "agents": [_agent(agent) for agent in result.agents],
    }
    return {**told, "background": background} if background else told


def _agent(spent: AgentUsage) -> dict[str, Any]:
    usage = spent.usage
    return {
        "id": spent.agent,
        "model": spent.model,
        "calls": spent.calls,
        "unreported_calls": spent.unreported_calls,
        "usage": usage and _usage(usage, reasoning_tokens=usage.reasoning_tokens),
        "cost_usd": _dollars(spent.cost_usd),
    }


def _dollars(cost: float | None) -> float | None:
    """An amount without the noise of binary fractions."""
    return None if cost is None else round(cost, 12)


def _usage(usage: Usage, *, reasoning_tokens: int) -> dict[str, Any]:
    """A ``usage`` object. Its parts never exceed their wholes, whatever a provider reports."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": min(usage.cached_tokens, usage.prompt_tokens),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": min(max(0, reasoning_tokens), usage.completion_tokens),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
