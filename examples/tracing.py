"""OpenTelemetry: every run, round and model call as a span, here printed as a tree.

    pip install 'massgen-compat[otel]' opentelemetry-sdk
    python examples/tracing.py

It works offline: the team follows a script. In production an exporter takes the place of the list.
"""

from pathlib import Path

import anyio
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from massgen_compat import MassGen
from massgen_compat.telemetry import OpenTelemetry

SCRIPTED = Path(__file__).with_name("team_scripted.yaml")


def show(spans: list[ReadableSpan], parent: int | None = None, depth: int = 0) -> None:
    """Print the spans below a parent, and theirs below them."""
    for span in sorted(spans, key=lambda each: each.start_time or 0):
        above = span.parent.span_id if span.parent else None
        if above == parent and span.context:
            print(f"{'  ' * depth}{span.name}")
            show(spans, span.context.span_id, depth + 1)


async def main() -> None:
    """Ask once, then print what was recorded."""
    recorded = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(recorded))
    observe = OpenTelemetry(tracer_provider=provider)
    async with MassGen.from_yaml(SCRIPTED, observe=[observe]) as massgen:
        question = [{"role": "user", "content": "Why is the sky blue?"}]
        await massgen.chat({"model": "team", "messages": question})
    show(list(recorded.get_finished_spans()))


if __name__ == "__main__":
    anyio.run(main)
