"""The ``usage`` and ``massgen`` objects of an answer: what the run cost, and how it ended."""

from typing import Any

from massgen_compat._run.result import AgentUsage, RunResult, Usage


def run_usage(result: RunResult) -> dict[str, Any] | None:
    """The tokens of all model calls of the run, as a ``usage`` object of OpenAI.

    ``None`` if a provider did not report its usage. ``reasoning_tokens`` counts everything that was
    generated and is not in the visible message: the coordination and every model's hidden thinking.
    If the size of the visible message is unknown, it is the sum of what providers call reasoning.
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

    ``background`` is the name of the rule by which one agent answered alone, if one did.
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
    """An amount rounded to 12 decimals, because sums of floats end in noise."""
    return None if cost is None else round(cost, 12)


def _usage(usage: Usage, *, reasoning_tokens: int) -> dict[str, Any]:
    """A ``usage`` object. Its details never exceed their totals, whatever a provider reports."""
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
