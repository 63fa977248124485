"""The command line: ``serve``, ``run``, ``check``, ``doctor``, ``policies``, ``demo``.

The only module that imports uvicorn, and with ``MassGen`` the only reader of the environment.
"""

import argparse
import gc
import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import anyio

from massgen_compat.client import MassGen
from massgen_compat.config import check
from massgen_compat.demo import show_demo
from massgen_compat.errors import MassGenError
from massgen_compat.observing import Observer
from massgen_compat.policies.report import resolved, table
from massgen_compat.protocol.chat import parse
from massgen_compat.protocol.parameters import UnknownParams
from massgen_compat.serving.settings import FAILURE_MEMORY_SECONDS, MAX_QUEUE, MAX_RUNS

FAILED, MISUSED = 1, 2
"""Exit codes: a check or a run failed; the command or its configuration is wrong."""

DRAIN_SECONDS = 30
"""How long runs that are open may go on once the server was told to stop."""

GOODBYE_SECONDS = 1
"""How long the clients of the runs that are ended then have to hear of it."""


_EXTRAS = {"aiohttp": "server", "opentelemetry": "otel", "starlette": "server", "uvicorn": "server"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code. Errors are one line on stderr, never a traceback."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except MassGenError as error:
        return _fail(error.message)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None:
            raise
        return _fail(f"{error.name} is not installed: pip install 'massgen-compat[{extra}]'")
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the exit
        return FAILED
    except KeyboardInterrupt:
        return 130


def _fail(message: str) -> int:
    sys.stderr.write(f"massgen-compat: {' '.join(message.split())}\n")
    return MISUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="massgen-compat",
        description="A team of coordinating LLM agents behind any OpenAI client.",
    )
    parser.add_argument(
        "--version", action="version", version=f"massgen-compat {version('massgen-compat')}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser(
        "serve",
        help="serve teams over HTTP",
        description="Serve teams to any OpenAI client. Keys that clients must send stand, comma-"
        "separated, in MASSGEN_COMPAT_API_KEYS; the providers' keys in their own variables.",
    )
    serve.add_argument("teams", nargs="*", type=Path, metavar="TEAM.yaml", help=_TEAMS_HELP)
    serve.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    serve.add_argument("--port", default=4000, type=_port, help=_PORT_HELP)
    serve.add_argument(
        "--no-auth",
        action="store_true",
        help="serve beyond this machine without keys: everybody who reaches it spends your money",
    )
    serve.add_argument(
        "--unknown-params",
        choices=["warn", "ignore", "reject"],
        default="warn",
        help="parameters that the API does not have: name them in a response header, pass them "
        "over, or refuse the request (default: %(default)s)",
    )
    serve.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of this origin ask, `*` for all; can be repeated (default: none)",
    )
    _describe_limits(serve)
    serve.add_argument(
        "--otel",
        action="store_true",
        help="make OpenTelemetry spans and metrics; start under `opentelemetry-instrument`, which "
        "sets up where they go",
    )
    serve.set_defaults(command=_serve)

    run = commands.add_parser("run", help="ask a team one question and watch it deliberate")
    run.add_argument("team", type=Path, metavar="TEAM.yaml", help="a MassGen config")
    run.add_argument("question", help="what to ask")
    run.add_argument(
        "--trace",
        choices=["off", "status", "full"],
        help="how much of the deliberation to show (default: the team's setting)",
    )
    run.set_defaults(command=_run)

    checking = commands.add_parser(
        "check",
        help="say what a config's keys mean here",
        description="Say for every key of a MassGen config whether it is honoured, ignored, or "
        "needs MassGen itself. Exit code 0: the config can be served; 1: it cannot.",
    )
    checking.add_argument("team", type=Path, metavar="TEAM.yaml", help="a MassGen config")
    checking.add_argument("--json", action="store_true", help="print the report as JSON")
    checking.set_defaults(command=_check)

    _describe_doctor(
        commands.add_parser(
            "doctor",
            help="examine a running endpoint as a client would, and say what to fix",
            description=_DOCTOR_HELP,
        )
    )

    policies = commands.add_parser(
        "policies",
        help="show which models are treated specially, and how",
        description="Print the table of model policies, or the policy that a model name gets.",
    )
    policies.add_argument("model", nargs="?", metavar="MODEL", help="a model's name")
    policies.set_defaults(command=_policies)

    demo = commands.add_parser(
        "demo", help="watch two teams answer a request offline (scripted: no model is involved)"
    )
    demo.set_defaults(command=_demo)
    return parser


def _describe_limits(serve: argparse.ArgumentParser) -> None:
    """What a server under load does, and with clients that come again."""

    def number(flag: str, default: float, kind: Callable[[str], float], told: str) -> None:
        metavar = "N" if kind is not _duration else "SECONDS"
        told = f"{told} (default: %(default)g)"
        serve.add_argument(flag, type=kind, default=default, metavar=metavar, help=told)

    number("--max-runs", MAX_RUNS, _positive, "runs at once, each asking all agents of its team")
    number("--max-queue", MAX_QUEUE, _count, "requests that wait for a place; further ones get 503")
    number("--drain-seconds", DRAIN_SECONDS, _duration, "how long open runs go on after SIGTERM")
    number(
        "--failure-memory-seconds",
        FAILURE_MEMORY_SECONDS,
        _duration,
        "how long a failed request gets the same error without a new run; 0: never",
    )
    number(
        "--retry-grace-seconds",
        0,
        _duration,
        "how long a run goes on without its client, for it to come back",
    )
    serve.add_argument(
        "--no-join-retries",
        action="store_true",
        help="start a new run for a request that is sent again while its run goes on",
    )


_DOCTOR_HELP = (
    "Examine any OpenAI-compatible endpoint, also behind a proxy or a tunnel: its URL, keys, "
    "models and errors, and with a few chat requests its replies, streams and tool calls. Chat "
    "requests cost money; how many they are stands in the first line. Exit code 0: no problems; "
    "1: problems; 2: no API there, or a wrong command."
)


def _describe_doctor(doctor: argparse.ArgumentParser) -> None:
    doctor.add_argument("url", metavar="URL", help="the base URL, as clients are given it")
    doctor.add_argument(
        "--key", help="the key to send (default: $MASSGEN_COMPAT_API_KEY); it is never printed"
    )
    doctor.add_argument(
        "--model", metavar="NAME", help="the model to chat with (default: the first)"
    )
    doctor.add_argument("--no-chat", action="store_true", help="make no chat requests: free")
    doctor.add_argument(
        "--timeout",
        type=_seconds,
        default=300.0,
        metavar="SECONDS",
        help="how long a chat request may take (default: %(default)g)",
    )
    doctor.set_defaults(command=_doctor)


_TEAMS_HELP = "MassGen configs; without any: one team `massgen` of two gpt-5.2 agents"
_PORT_HELP = "port (default: %(default)s; 0: any free one)"


def _port(text: str) -> int:
    """uvloop takes the number modulo 65536, so it is checked here."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def _duration(text: str) -> float:
    return 0.0 if text == "0" else _seconds(text)


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def _positive(text: str) -> int:
    if _count(text) < 1:
        raise argparse.ArgumentTypeError("it has to be at least 1")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    import uvicorn  # noqa: PLC0415 - `check` and `run` do without the [server] extra

    from massgen_compat.asgi import create_app  # noqa: PLC0415

    keys = tuple(
        key
        for each in os.environ.get("MASSGEN_COMPAT_API_KEYS", "").split(",")
        if (key := each.strip())
    )
    if not keys and not arguments.no_auth and not _is_loopback(arguments.host):
        return _fail(
            f"refusing to serve on {arguments.host} without keys: set MASSGEN_COMPAT_API_KEYS, "
            "or say --no-auth"
        )
    observe = _telemetry() if arguments.otel else None
    massgen = _massgen(arguments.teams, unknown_params=arguments.unknown_params, observe=observe)
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

    class Server(uvicorn.Server):
        """Greets once it listens, and drains when it is told to stop."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            gc.collect()
            gc.freeze()  # else a full collection, also of all that was imported, takes 80 ms
            port = self.servers[0].sockets[0].getsockname()[1]
            sys.stderr.write(_greeting(massgen, arguments.host, port, with_keys=bool(keys)))

        interrupts = 0

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.state.runs.draining = True
            if sig == signal.SIGTERM:  # uvicorn would raise it again; a drained server ends with 0
                self.should_exit = True
                return
            self.interrupts = max(self.interrupts, int(self.should_exit)) + 1
            if self.interrupts != 2:  # the second one ends the runs, and only the third all else
                super().handle_exit(sig, frame)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Keep listening while runs go on, so that ``/ready`` can say that this drains."""
            app.state.runs.drain()
            await self._idle(arguments.drain_seconds, interrupts=2)
            app.state.runs.end()
            await self._idle(GOODBYE_SECONDS, interrupts=3)
            await super().shutdown(sockets)

        async def _idle(self, seconds: float, *, interrupts: int) -> None:
            with anyio.move_on_after(seconds):
                while self.server_state.tasks and self.interrupts < interrupts:  # noqa: ASYNC110
                    await anyio.sleep(0.05)  # uvicorn has no event for it

    config = uvicorn.Config(
        _Quiet(app),
        host=arguments.host,
        port=arguments.port,
        log_level="info",
        log_config=_log_config(),
        server_header=False,
        timeout_graceful_shutdown=1,  # after the drain
    )
    Server(config).run()
    return 0


class _Quiet:
    """An app whose requests end without a traceback when uvicorn cancels what hangs at its end."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with suppress(anyio.get_cancelled_exc_class()):
            await self._app(scope, receive, send)


def _log_config() -> dict[str, Any]:
    """uvicorn's own, and beside its lines those of this library."""
    from uvicorn.config import LOGGING_CONFIG  # noqa: PLC0415 - see _serve

    own = {"massgen_compat": {"handlers": ["default"], "level": "INFO"}}
    return {**LOGGING_CONFIG, "loggers": {**LOGGING_CONFIG["loggers"], **own}}


def _telemetry() -> Observer:
    from massgen_compat.telemetry import OpenTelemetry  # noqa: PLC0415 - the [otel] extra

    return OpenTelemetry()


def _massgen(
    paths: Sequence[Path],
    *,
    unknown_params: UnknownParams = "warn",
    observe: Observer | None = None,
) -> MassGen:
    if not paths:
        return MassGen(unknown_params=unknown_params, observe=observe)
    return MassGen.from_yaml(*paths, unknown_params=unknown_params, observe=observe)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _greeting(massgen: MassGen, host: str, port: int, *, with_keys: bool) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing binds here
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    lines = [f"massgen-compat serves at {url}"]
    for name, team in massgen.teams.items():
        members = ", ".join(f"{agent.id} ({agent.model})" for agent in team.agents)
        lines.append(f"  {name}: {members}")
    model = next(iter(massgen.teams))
    key = "-H 'Authorization: Bearer YOUR_KEY' " if with_keys else ""
    hello = f'{{"model": "{model}", "stream": true, "messages": {_HELLO}}}'
    curl = f"curl -N {url}/chat/completions {key}-H 'Content-Type: application/json' -d '{hello}'"
    lines += ["Try it:", f"  {curl}"]
    return "\n".join(lines) + "\n"


_HELLO = '[{"role": "user", "content": "Hello"}]'


def _run(arguments: argparse.Namespace) -> int:
    massgen = _massgen([arguments.team])
    payload: dict[str, Any] = {
        "model": next(iter(massgen.teams)),
        "messages": [{"role": "user", "content": arguments.question}],
    }
    if arguments.trace:
        payload["massgen"] = {"trace": arguments.trace}

    async def ask() -> None:
        async with massgen, massgen.chunks(parse(payload, default_trace=None)) as chunks:
            async for chunk in chunks:
                for choice in chunk["choices"]:
                    delta = choice["delta"]
                    _show(sys.stderr, delta.get("reasoning_content"))
                    _show(sys.stdout, delta.get("content") or delta.get("refusal"))
        sys.stdout.write("\n")

    try:
        anyio.run(ask)
    except MassGenError as error:
        _fail(error.message)
        return FAILED
    return 0


def _show(stream: TextIO, text: str | None) -> None:
    if text:
        stream.write(text)
        stream.flush()


def _check(arguments: argparse.Namespace) -> int:
    report = check(arguments.team, os.environ)
    sys.stdout.write((report.to_json() if arguments.json else report.text()) + "\n")
    return 0 if report.ok else FAILED


def _policies(arguments: argparse.Namespace) -> int:
    text = resolved(arguments.model) if arguments.model else table()
    sys.stdout.write(f"{text}\n")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from massgen_compat.doctor import checkup, report  # noqa: PLC0415 - aiohttp, as uvicorn above
    from massgen_compat.doctor.address import read_url  # noqa: PLC0415
    from massgen_compat.doctor.findings import Finding  # noqa: PLC0415

    target = checkup.Target(
        address=read_url(arguments.url),
        key=checkup.read_key(arguments.key or os.environ.get("MASSGEN_COMPAT_API_KEY")),
        model=arguments.model,
        chat=not arguments.no_chat,
        patience=arguments.timeout,
    )
    told: list[Finding] = []

    def tell(finding: Finding) -> None:
        told.append(finding)
        _show(sys.stdout, report.line(finding, secret=target.key))

    _show(sys.stdout, report.greeting(target))
    verdict = anyio.run(checkup.examine, target, tell)
    _show(sys.stdout, report.summary(told))
    return {"well": 0, "unwell": FAILED, "unreachable": MISUSED}[verdict]


def _demo(_arguments: argparse.Namespace) -> int:
    show_demo(serving, sys.stdout)
    return 0


@contextmanager
def serving(app: Any) -> Generator[str]:
    """Serve an app on a free loopback port for the time of a ``with``; yields its URL."""
    import uvicorn  # noqa: PLC0415 - see _serve

    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            try:
                await super().startup(sockets)
            finally:
                ready.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="warning")
        server = Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        ready.wait()
        if not server.started:
            raise RuntimeError("the app did not start; the log says why")
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    sys.exit(main())
