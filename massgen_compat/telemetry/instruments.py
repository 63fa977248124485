"""The instruments that metrics are recorded with."""

from typing import Final

from opentelemetry import metrics

_SECONDS: Final = [0.01 * 2**power for power in range(14)]
_RUN_SECONDS: Final = [0.1 * 2**power for power in range(15)]
_TOKENS: Final = [4**power for power in range(14)]


class Instruments:
    """One set for all runs; the buckets are those of the conventions, longer for runs."""

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
