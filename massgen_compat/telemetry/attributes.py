"""The attributes of spans and metrics, with the names of the GenAI conventions v0.1.0. Pure.

No attribute holds content: text that a client, a model or a provider wrote.
"""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from opentelemetry import metrics

from massgen_compat._run.result import Usage
from massgen_compat._run.team import Agent
from massgen_compat.errors import (
    ContextLengthExceeded,
    UpstreamAuthentication,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from massgen_compat.events import (
    Abstained,
    AgentLeft,
    Answered,
    FirstAsked,
    HostedToolCalled,
    ParametersDropped,
    PresentationStarted,
    RunEvent,
    SpeculationDropped,
    SpeculationStarted,
    SubmissionRejected,
    TeamCalled,
    VoteCast,
    VotesVoided,
    WinnerChosen,
)

Attributes: TypeAlias = dict[str, str | int | bool]

CANCELLED: Final = "cancelled"
"""The ``error.type`` of a run, a round or a call that was cancelled."""

PROVIDERS: Final[Mapping[str, str]] = {
    "azure_openai": "azure.ai.openai",
    "claude": "anthropic",
    "gemini": "gcp.gemini",
    "grok": "x_ai",
    "moonshot": "moonshot_ai",
}
"""The conventions' names of providers, by backend type; other types stand for themselves."""

ERRORS: Final = {
    kind.brief: kind.__name__
    for kind in (
        UpstreamError,
        ContextLengthExceeded,
        UpstreamAuthentication,
        UpstreamRateLimited,
        UpstreamTimeout,
        UpstreamUnreachable,
        UpstreamRejected,
        UpstreamMalformed,
    )
}
"""The ``error.type`` of an agent that left, by the reason that its event gives."""


def facts(event: RunEvent) -> Attributes | None:
    """The facts of an event without its content; ``None`` if the span does not show the event."""
    match event:
        case Answered():
            return {"agent": event.agent, "round": event.round, "verified": event.verified}
        case VoteCast():
            return {
                "agent": event.voter,
                "target": event.target,
                "round": event.round,
                "verified": event.verified,
            }
        case SubmissionRejected():
            return {"agent": event.agent, "round": event.round, "attempt": event.attempt}
        case Abstained() | AgentLeft():
            return {"agent": event.agent, "round": event.round}
        case VotesVoided():
            return {"votes": event.votes}
        case WinnerChosen():
            votes = dict(event.votes).get(event.winner, 0)
            limit: Attributes = {"limited_by": event.limited_by} if event.limited_by else {}
            return {"agent": event.winner, "votes": votes, **limit}
        case FirstAsked():
            return {"agents": ",".join(event.agents)}
        case TeamCalled():
            return {"agents": ",".join(event.agents), "reason": event.reason}
        case HostedToolCalled():
            return {"agent": event.agent, "round": event.round, "tool": event.tool}
        case ParametersDropped():
            return {"agent": event.agent, "parameters": ",".join(event.parameters)}
        case PresentationStarted() | SpeculationStarted() | SpeculationDropped():
            return {"agent": event.agent}
        case _:
            return None


def asked(agent: Agent) -> Attributes:
    """The attributes of a call of the agent: the provider and the model that are asked."""
    kind = agent.backend.type
    return {
        "gen_ai.provider.name": PROVIDERS.get(kind, kind),
        "gen_ai.request.model": agent.model,
    }


def counts(usage: Usage) -> Iterator[tuple[str, int]]:
    """The numbers of tokens, by ``gen_ai.token.type``."""
    yield "input", usage.prompt_tokens
    yield "output", usage.completion_tokens


def usage(spent: Usage | None) -> Attributes:
    """The numbers of tokens as attributes of a span; empty where none were reported."""
    if spent is None:
        return {}
    return {
        **{f"gen_ai.usage.{kind}_tokens": count for kind, count in counts(spent)},
        "gen_ai.usage.cache_read.input_tokens": spent.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": spent.reasoning_tokens,
    }


def error_type(error: BaseException) -> str:
    """The ``error.type`` of a run that ended with the error: its class, never its text."""
    if isinstance(error, Exception):
        return type(error).__name__
    return CANCELLED


_SECONDS: Final = [0.01 * 2**power for power in range(14)]
_RUN_SECONDS: Final = [0.1 * 2**power for power in range(15)]
_TOKENS: Final = [4**power for power in range(14)]


class Instruments:
    """The instruments of the metrics, one set for all runs.

    The buckets of calls and tokens are those of the conventions. Those of runs go further, because
    a run takes longer than a call.
    """

    def __init__(self, meter: metrics.Meter) -> None:
        def seconds(name: str, description: str, bounds: list[float]) -> metrics.Histogram:
            return meter.create_histogram(
                name, "s", description, explicit_bucket_boundaries_advisory=bounds
            )

        self.call = seconds("gen_ai.client.operation.duration", "Time of a model call.", _SECONDS)
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens of a model call.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self.agent = seconds(
            "gen_ai.invoke_agent.duration",
            "Time of an agent's round, or of a team's run.",
            _RUN_SECONDS,
        )
        self.request = seconds(
            "gen_ai.server.request.duration", "Time of a request to a team.", _RUN_SECONDS
        )
        self.first_token = seconds(
            "gen_ai.server.time_to_first_token",
            "Time to the first piece of the final message.",
            _RUN_SECONDS,
        )
