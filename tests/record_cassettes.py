"""Records the cassettes anew: ``make cassettes``, or ``python -m tests.record_cassettes``.

Without options every cassette is recorded from the scripted model, offline. With ``--live`` those
that a well-behaved model can play are recorded from the real API: it costs money, so it is asked
first (``--yes`` answers).
"""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack
from typing import Any

import anyio

from massgen_compat._run.team import Api
from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer
from tests.recording import CASSETTES, HOST, NOWHERE, recording, replaying
from tests.scenarios import SCENARIOS, Scenario, follow

Event = MutableMapping[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.record_cassettes", description=__doc__)
    parser.add_argument("--live", action="store_true", help="ask the real API (costs money)")
    parser.add_argument("--yes", action="store_true", help="do not ask before spending money")
    arguments = parser.parse_args()
    key = os.environ.get("OPENAI_API_KEY", "") if arguments.live else "sk-none"
    if not key:
        sys.stderr.write("set OPENAI_API_KEY to record from the real API\n")
        return 2
    chosen: list[tuple[Scenario, Api]] = [
        (scenario, api)
        for scenario in SCENARIOS.values()
        for api in scenario.apis
        if scenario.live or not arguments.live
    ]
    if arguments.live and not arguments.yes and not _agreed(chosen):
        return 1
    for scenario, api in chosen:
        sys.stdout.write(f"{scenario.cassette(api)}\n")
        anyio.run(_record, scenario, api, key if arguments.live else None)
    return 0


def _agreed(chosen: list[tuple[Scenario, Api]]) -> bool:
    calls = sum(2 * len(scenario.agents) + 1 for scenario, _ in chosen)
    sys.stdout.write(
        f"{len(chosen)} runs against {HOST}: about {calls} model calls, some of them with web "
        "search, and more where an agent improves its answer. Go on? [y/N] "
    )
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() == "y"


async def _record(scenario: Scenario, api: Api, key: str | None) -> None:
    """Record one cassette and replay it at once: one that cannot be replayed is of no use."""
    name = scenario.cassette(api)
    with ExitStack() as stack:
        url = f"{stack.enter_context(serving(scripted_app(scenario)))}/v1" if key is None else HOST
        stack.enter_context(recording(name, "scripted" if key is None else "live"))
        await follow(scenario, api, url, key=key or "sk-none", patience=20 if key is None else 900)
    with replaying(name, bytewise=scenario.bytewise) as cassette:
        await follow(scenario, api, NOWHERE)
    if not cassette.all_played:
        raise SystemExit(
            f"{CASSETTES.name}/{name}.yaml cannot be replayed: an answer was improved while "
            "another agent was evaluating. Record it again."
        )


def scripted_app(
    scenario: Scenario,
) -> Callable[[Any, Any, Callable[[Event], Awaitable[None]]], Awaitable[None]]:
    """The scripted models of a scenario as an ASGI app."""
    server = ScriptedServer(scenario.scripts, default={})
    if not scenario.ragged:
        return server

    async def ragged(scope: Any, receive: Any, send: Callable[[Event], Awaitable[None]]) -> None:
        ended = False

        async def watch(event: Event) -> None:
            nonlocal ended
            ended = event["type"] == "http.response.body" and not event.get("more_body", False)
            await send(event)

        await server(scope, receive, watch)
        if not ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return ragged


if __name__ == "__main__":
    sys.exit(main())
