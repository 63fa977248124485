"""``OpenTelemetry``: an observer that turns runs into spans and metrics. Needs the [otel] extra.

The names are those of OpenTelemetry's semantic conventions for GenAI, v0.1.0 (their status is
"development"), and ``massgen.*`` where the conventions have no name. Nothing that a client, a model
or a provider wrote is recorded: no messages, answers, reasons or error texts. Metrics have no ids.
Only this package imports opentelemetry.
"""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry import metrics, trace

from massgen_compat._client.observers import Observer, See
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Team
from massgen_compat.telemetry.attributes import CANCELLED, Instruments, error_type
from massgen_compat.telemetry.spans import RunSpans


class OpenTelemetry(Observer):
    """An observer for ``MassGen(observe=[...])``; a single one can observe any number of runs.

    ``tracer_provider`` and ``meter_provider`` are by default the global ones of the process, which
    do nothing until an SDK of OpenTelemetry is set up.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        super().__init__(self._spans)
        own = version("massgen-compat")
        self._tracer = trace.get_tracer("massgen_compat", own, tracer_provider)
        self._instruments = Instruments(metrics.get_meter("massgen_compat", own, meter_provider))

    @contextmanager
    def _spans(self, team: Team, request: RunRequest) -> Generator[See]:
        """Observe one run. Its span is a child of the span that is current when the run starts."""
        run = RunSpans(self._tracer, self._instruments, team, request)
        try:
            yield run.see
        except BaseException as error:
            run.end(error_type(error))
            raise
        run.end(None if run.completed else CANCELLED)
