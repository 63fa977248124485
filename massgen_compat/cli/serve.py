"""``massgen-compat serve``: serves teams over HTTP, and prints how to reach them.

``greeting`` makes the text that the server prints as soon as it listens.
"""

import argparse
import ipaddress
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import massgen_compat
from massgen_compat._client.observers import Observer
from massgen_compat._server.settings import FAILURE_MEMORY_SECONDS, MAX_QUEUE, MAX_RUNS
from massgen_compat.cli.parser import CommandParser, Commands, count, duration, fail, port, positive
from massgen_compat.protocol.parameters import UnknownParams

DRAIN_SECONDS = 30
"""How long open runs may go on after the server was told to stop."""

_ABOUT = """\
Serve teams to any OpenAI client, each under the stem of its file's name. When
it listens, the server prints its URL, its teams and a curl line to try.

Clients of this machine need no key. To serve further, set
MASSGEN_COMPAT_API_KEYS (comma-separated; clients send one of them) and say
--host. The providers' keys stand in their own variables.
"""

_EXAMPLES = """\
examples:
  massgen-compat serve team.yaml
  massgen-compat serve fast.yaml careful.yaml --port 8080
  MASSGEN_COMPAT_API_KEYS=... massgen-compat serve team.yaml --host 0.0.0.0
"""


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    serve = commands.add_parser(
        "serve", help="serve teams over HTTP", description=_ABOUT, epilog=_EXAMPLES
    )
    serve.add_argument(
        "teams",
        nargs="*",
        type=Path,
        metavar="TEAM.yaml",
        help="MassGen configs (default: one team `massgen` of two gpt-5.2 agents)",
    )
    _add_audience(serve)
    _add_load(serve)
    _add_behaviour(serve)
    serve.set_defaults(command=_serve)


def _add_audience(serve: CommandParser) -> None:
    group = serve.add_argument_group("where, and for whom")
    group.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to bind; 0.0.0.0 for every one of this machine (default: %(default)s)",
    )
    group.add_argument(
        "--port", default=4000, type=port, help="the port; 0: any free one (default: %(default)s)"
    )
    group.add_argument(
        "--no-auth",
        action="store_true",
        help="serve beyond this machine without keys: everybody who reaches it spends your money "
        "(default: refuse to)",
    )
    group.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of this origin ask, `*` for all; can be repeated (default: none)",
    )


def _add_load(serve: CommandParser) -> None:
    """Describe the flags for a server under load, and for clients that send a request again."""
    group = serve.add_argument_group("under load")

    def number(flag: str, default: float, kind: Callable[[str], float], told: str) -> None:
        metavar = "N" if kind is not duration else "SECONDS"
        told = f"{told} (default: %(default)g)"
        group.add_argument(flag, type=kind, default=default, metavar=metavar, help=told)

    number("--max-runs", MAX_RUNS, positive, "runs at once, each asking all agents of its team")
    number("--max-queue", MAX_QUEUE, count, "requests that wait for a place; further ones get 503")
    number("--drain-seconds", DRAIN_SECONDS, duration, "how long open runs go on after SIGTERM")
    number(
        "--failure-memory-seconds",
        FAILURE_MEMORY_SECONDS,
        duration,
        "how long a failed request gets the same error without a new run; 0: never",
    )
    number(
        "--retry-grace-seconds",
        0,
        duration,
        "how long a run goes on without its client, for it to come back; 0: not at all",
    )
    group.add_argument(
        "--no-join-retries",
        action="store_true",
        help="start a new run for a request that is sent again while its run goes on (default: "
        "the client gets the run that is alive, from its beginning)",
    )


def _add_behaviour(serve: CommandParser) -> None:
    group = serve.add_argument_group("requests and records")
    group.add_argument(
        "--unknown-params",
        choices=get_args(UnknownParams),
        default="warn",
        help="parameters that the API does not have: name them in a response header, pass them "
        "over, or refuse the request (default: %(default)s)",
    )
    group.add_argument(
        "--otel",
        action="store_true",
        help="make OpenTelemetry spans and metrics; start under `opentelemetry-instrument`, which "
        "sets up where they go (default: none)",
    )


def _serve(arguments: argparse.Namespace) -> int:
    # `check` and `run` do without the [server] extra.
    from massgen_compat.asgi import create_app  # noqa: PLC0415
    from massgen_compat.cli.server import serve_until_stopped  # noqa: PLC0415

    keys = tuple(
        key
        for each in os.environ.get("MASSGEN_COMPAT_API_KEYS", "").split(",")
        if (key := each.strip())
    )
    if not keys and not arguments.no_auth and not _is_loopback(arguments.host):
        return fail(
            f"refusing to serve on {arguments.host} without keys: set MASSGEN_COMPAT_API_KEYS, "
            "or say --no-auth"
        )
    massgen = _massgen(arguments)
    app = create_app(
        massgen,
        api_keys=keys,
        cors_origins=arguments.cors_origin,
        max_runs=arguments.max_runs,
        max_queue=arguments.max_queue,
        join_retries=not arguments.no_join_retries,
        retry_grace_seconds=arguments.retry_grace_seconds,
        failure_memory_seconds=arguments.failure_memory_seconds,
    )

    def greet(listening: int) -> None:
        sys.stderr.write(greeting(massgen, arguments.host, listening, with_keys=bool(keys)))

    serve_until_stopped(
        app,
        app.state.runs,
        host=arguments.host,
        port=arguments.port,
        drain_seconds=arguments.drain_seconds,
        greet=greet,
    )
    return 0


def _massgen(arguments: argparse.Namespace) -> "massgen_compat.MassGen":
    observe = [_telemetry()] if arguments.otel else []
    if not arguments.teams:
        return massgen_compat.MassGen(unknown_params=arguments.unknown_params, observe=observe)
    return massgen_compat.MassGen.from_yaml(
        *arguments.teams, unknown_params=arguments.unknown_params, observe=observe
    )


def _telemetry() -> Observer:
    from massgen_compat.telemetry import OpenTelemetry  # noqa: PLC0415 - the [otel] extra

    return OpenTelemetry()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# The greeting

KEY = "${MASSGEN_COMPAT_API_KEYS%%,*}"
"""The first of the keys, as a shell takes it from the variable. No key is ever shown."""

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing binds here


def greeting(massgen: "massgen_compat.MassGen", host: str, port: int, *, with_keys: bool) -> str:
    """What the server prints: its teams, with engines, models and policies, and a ``curl`` line.

    The line works as it is, on this machine; with ``with_keys`` the shell puts the key into it.
    """
    url = base_url(host, port)
    lines = [f"massgen-compat serves at {url}"]
    for name, team in massgen.teams.items():
        lines.append(f"  {name}, engine {team.settings.engine}")
        for agent in team.agents:
            policy = massgen.policy_of(agent).name
            lines.append(f"    {agent.id} ({agent.model}), policy {policy}")
    lines.append(
        "Clients need one of the keys in MASSGEN_COMPAT_API_KEYS."
        if with_keys
        else "Clients need no key."
    )
    lines += ["Try it:", f"  {curl(next(iter(massgen.teams)), url, with_keys=with_keys)}"]
    return "\n".join(lines) + "\n"


def base_url(host: str, port: int) -> str:
    """The URL at which a client of this machine finds a server that is bound to ``host``."""
    host = _EVERY_ADDRESS.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def curl(model: str, url: str, *, with_keys: bool) -> str:
    """A shell command that asks the model for a stream."""
    hello = {
        "model": model,
        "stream": True,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    key = f'-H "Authorization: Bearer {KEY}" ' if with_keys else ""
    json_of = "-H 'Content-Type: application/json'"
    return f"curl -N {url}/chat/completions {key}{json_of} -d {shlex.quote(json.dumps(hello))}"
