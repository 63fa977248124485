"""The command line as a user has it: a process of its own, its exit code and what it prints."""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import openai
import pytest

from massgen_compat import MassGen
from massgen_compat.cli import command_line
from massgen_compat.cli.serve import DRAIN_SECONDS
from massgen_compat.cli.server import serving
from massgen_compat.errors import ModelNotFound
from massgen_compat.testing import ScriptedServer, ServedRequest
from tests.processes import PATIENCE, Outcome, Served, environment, run, served

TEAM = """\
agents:
  - id: ada
    backend:
      type: scripted
      script:
        draft: Air scatters blue light.
        evaluate: {vote: agent1, reason: It names the cause.}
        present: Because air scatters blue light most.
  - id: ben
    backend:
      type: scripted
      script: {draft: The ozone layer., evaluate: {vote: agent1, reason: Mine is wrong.}}
"""
STALLED = "agents: [{id: ada, backend: {type: scripted, script: {present: {fail: {stall: true}}}}}]"
NEEDS_MASSGEN = "agents: [{id: coder, backend: {type: claude_code}}]"
BROKEN = "agents:\n  - id: ada\n    backend: {type: opnai, model: gpt-5.2}\n"
NO_YAML = "agents: [\n"
PAID = "agents: [{id: ada, backend: {type: openai, model: gpt-5.2}}]"
HELLO: list[Any] = [{"role": "user", "content": "Why?"}]


def cli(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Outcome:
    command = [sys.executable, "-m", "massgen_compat", *map(str, arguments)]
    return run(command, env=env)


def config(folder: Path, text: str, name: str = "team.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_help_names_every_command() -> None:
    told = cli("--help")
    assert told.code == 0
    for command in ("serve", "run", "check", "doctor", "policies", "demo"):
        assert command in told.out
        page = cli(command, "--help").out
        assert page.startswith(f"usage: massgen-compat {command}")
        assert f"example:\n  massgen-compat {command}" in page.replace("examples:", "example:")


def test_the_version_is_that_of_the_package() -> None:
    assert cli("--version").out == "massgen-compat 0.1.0\n"


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a command line, its commands' included."""
    for action in parser._actions:
        commands: Any = action.choices
        if isinstance(commands, dict):
            for inner in cast("dict[str, argparse.ArgumentParser]", commands).values():
                yield from options(inner)
        elif action.dest not in {"help", "version"}:
            yield action


def test_every_option_says_its_default_and_what_it_does() -> None:
    for option in options(command_line()):
        assert option.help, option
        needed = not option.option_strings and option.nargs is None
        assert needed or "(default: " in option.help, option.option_strings


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("serv",), "did you mean `serve`?"),
        (("team.yaml",), "did you mean `massgen-compat serve team.yaml`?"),
        (("serve", "--max-run", "3"), "unknown flag --max-run; did you mean `--max-runs`?"),
        (("serve", "--hots=0.0.0.0"), "unknown flag --hots; did you mean `--host`?"),
        (("serve", "--unknown-params", "wran"), "did you mean `warn`?"),
        (("run", "team.yaml", "Why?", "--trace", "ful"), "did you mean `full`?"),
        (("check", "team.yaml", "other.yaml"), "unknown argument: other.yaml"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_one_that_was_meant(
    arguments: tuple[str, ...], meant: str
) -> None:
    told = cli(*arguments)
    assert (told.code, told.out) == (2, "")
    assert meant in told.err.splitlines()[-1]


def test_a_mistyped_model_is_answered_with_the_one_that_was_meant(tmp_path: Path) -> None:
    massgen = MassGen.from_yaml(config(tmp_path, TEAM), env={})
    with pytest.raises(ModelNotFound, match=r"`teem` does not exist .*; did you mean `team`"):
        massgen.team("teem")


@pytest.mark.parametrize(
    "arguments", [(), ("nope",), ("serve", "--port", "65536"), ("serve", "--port", "http")]
)
def test_a_wrong_command_line_gets_its_usage(arguments: tuple[str, ...]) -> None:
    told = cli(*arguments)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("usage: massgen-compat")
    assert "Traceback" not in told.err


# check


@dataclass(frozen=True)
class Checked:
    text: str | None
    verdict: str
    says: str


CHECKED = {
    "good": Checked(TEAM, "ok", "team.yaml: ok, can be served"),
    "needs MassGen": Checked(
        NEEDS_MASSGEN, "needs_massgen", "needs MassGen itself: can be served with `engine: massgen`"
    ),
    "unknown backend": Checked(BROKEN, "error", "openai"),
    "broken YAML": Checked(NO_YAML, "error", "team.yaml:2"),
    "no file": Checked(None, "error", "cannot be read: No such file or directory"),
}


@pytest.mark.parametrize("case", CHECKED.values(), ids=CHECKED.keys())
def test_check_says_what_a_config_is_and_exits_accordingly(tmp_path: Path, case: Checked) -> None:
    path = tmp_path / "team.yaml"
    if case.text is not None:
        config(tmp_path, case.text)
    told = cli("check", path)
    expected = 0 if case.verdict == "ok" else 1
    assert (told.code, told.err) == (expected, "")
    assert case.says in told.out
    as_json = cli("check", "--json", path)
    report = json.loads(as_json.out)
    assert (as_json.code, as_json.err) == (expected, "")
    assert (report["verdict"], report["ok"]) == (case.verdict, case.verdict == "ok")
    assert (report["error"] is None) == report["ok"]


# run


def test_run_deliberates_on_stderr_and_answers_on_stdout(tmp_path: Path) -> None:
    told = cli("run", config(tmp_path, TEAM), "Why is the sky blue?")
    assert (told.code, told.out) == (0, "Because air scatters blue light most.\n")
    lines = told.err.splitlines()
    assert sorted(lines[:2]) == ["ada answered.", "ben answered."]
    assert sorted(lines[2:4]) == [
        "ada voted for ada: It names the cause.",
        "ben voted for ada: Mine is wrong.",
    ]
    assert lines[4:] == ["The team chose ada (votes: ada 2)."]


def test_run_can_keep_the_deliberation_to_itself(tmp_path: Path) -> None:
    told = cli("run", config(tmp_path, TEAM), "Why is the sky blue?", "--trace", "off")
    assert (told.code, told.out, told.err) == (0, "Because air scatters blue light most.\n", "")


@dataclass(frozen=True)
class Misused:
    text: str | None
    says: str


MISUSED = {
    "no file": Misused(None, "cannot be read: No such file or directory"),
    "broken YAML": Misused(NO_YAML, "team.yaml:2"),
    "unknown backend": Misused(BROKEN, "team.yaml:3"),
    "needs MassGen": Misused(NEEDS_MASSGEN, "needs MassGen itself"),
    "no key": Misused(PAID, "set OPENAI_API_KEY"),
}


@pytest.mark.parametrize("command", ["run", "serve"])
@pytest.mark.parametrize("case", MISUSED.values(), ids=MISUSED.keys())
def test_a_config_that_cannot_work_is_one_line_before_anything_starts(
    tmp_path: Path, case: Misused, command: str
) -> None:
    path = tmp_path / "team.yaml"
    if case.text is not None:
        config(tmp_path, case.text)
    told = cli(command, path, *(["Why?"] if command == "run" else ["--port", "0"]))
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("massgen-compat: ")
    assert told.err.count("\n") == 1
    assert case.says in told.err


def test_a_run_that_fails_is_one_line_and_another_exit_code(tmp_path: Path) -> None:
    refused = "{fail: {status: 401, message: no such key}}"
    text = f"agents: [{{id: ada, backend: {{type: scripted, script: {{draft: {refused}, "
    path = config(tmp_path, f"{text}present: {refused}}}}}}}]")
    told = cli("run", path, "Why?")
    assert (told.code, told.out) == (1, "")
    assert told.err.splitlines()[-1].startswith("massgen-compat: ")
    assert "Traceback" not in told.err


# serve


TEAM_SAYS = '"content":"Because'


def streamed(greeting: str, env: Mapping[str, str]) -> str:
    """What the greeting's command prints, run as it stands by a shell."""
    command = next(line for line in greeting.splitlines() if line.startswith("  curl "))
    assert shutil.which("curl"), "the greeting's command needs curl"
    told = run(["sh", "-c", command.replace("curl ", "curl -sS -i ", 1)], env=env)
    assert told.code == 0, told.err
    return told.out


GREETED = r"serves at (http://\S+)/v1\n"


def serve(
    *arguments: str | Path, env: Mapping[str, str] | None = None
) -> AbstractContextManager[Served]:
    command = [sys.executable, "-m", "massgen_compat", "serve", *map(str, arguments)]
    return served([*command, "--port", "0"], url=GREETED, ready="  curl", env=env)


def test_the_greeting_names_a_url_that_works(tmp_path: Path) -> None:
    with (
        serve(config(tmp_path, TEAM), config(tmp_path, TEAM, "other.yaml")) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused") as client,
    ):
        models = ["team", "other", "team-single", "other-single"]
        assert [model.id for model in client.models.list()] == models
        greeting = "".join(server.log)
        assert (
            "  team, engine local\n    ada (scripted), policy default\n    ben (scripted)"
            in greeting
        )
        assert "Clients need no key." in greeting
        assert TEAM_SAYS in streamed(greeting, {})
        for path in ("/health", "/ready"):
            assert server.ask(path) == 200
        assert server.stop(signal.SIGTERM) == 0


def test_a_server_for_other_machines_greets_with_an_address_of_this_one(tmp_path: Path) -> None:
    team = config(tmp_path, TEAM)
    keys = {"MASSGEN_COMPAT_API_KEYS": " first-secret-key , second-secret-key ,"}
    with serve(team, "--host", "0.0.0.0", env=keys) as server:  # noqa: S104 - that is the case
        assert server.url.startswith("http://127.0.0.1:")
        assert (server.ask("/health"), server.ask("/v1/models")) == (200, 401)
        assert "one of the keys in MASSGEN_COMPAT_API_KEYS" in "".join(server.log)
        assert TEAM_SAYS in streamed("".join(server.log), keys)
        assert "401" in streamed("".join(server.log), {"MASSGEN_COMPAT_API_KEYS": "other"})
        for key in ("first-secret-key", "second-secret-key"):
            with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key) as client:
                assert client.models.list().data
        server.stop(signal.SIGTERM)
    assert "secret-key" not in "".join(server.log)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "somewhere.example"])  # noqa: S104
def test_serve_refuses_other_addresses_without_keys(tmp_path: Path, host: str) -> None:
    told = cli("serve", config(tmp_path, TEAM), "--host", host, "--port", "0")
    assert (told.code, told.out) == (2, "")
    assert told.err == (
        f"massgen-compat: refusing to serve on {host} without keys: set MASSGEN_COMPAT_API_KEYS, "
        "or say --no-auth\n"
    )


def test_serve_without_a_config_wants_the_key_of_its_default_team() -> None:
    told = cli("serve", "--port", "0")
    assert told.code == 2
    assert told.err.startswith("massgen-compat: team 'massgen', agent 'agent1': ")
    assert "set OPENAI_API_KEY" in told.err
    assert told.err.count("\n") == 1


def test_two_teams_of_one_name_are_told_apart_before_anything_starts(tmp_path: Path) -> None:
    path = config(tmp_path, TEAM)
    told = cli("serve", path, path, "--port", "0")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "two teams are called 'team'" in told.err


def test_a_port_in_use_is_said_without_a_traceback_or_a_greeting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = cli("serve", config(tmp_path, TEAM), "--port", str(taken.getsockname()[1]))
    assert told.code not in {0, 2}
    assert "address already in use" in told.err
    assert "Traceback" not in told.err
    assert "serves at" not in told.err


SLOW = TEAM.replace("agent1, reason: It names", "agent1, delay_seconds: 1.5, reason: It names")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_sigterm_lets_an_open_stream_finish_and_takes_no_new_runs(tmp_path: Path) -> None:
    with (
        serve(config(tmp_path, SLOW)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        chunks = client.chat.completions.create(model="team", messages=HELLO, stream=True)
        next(chunks)
        assert server.ask("/ready") == 200
        server.process.send_signal(signal.SIGTERM)
        while server.ask("/ready") != 503:
            pass  # the signal is on its way; the test's timeout bounds this
        with pytest.raises(openai.InternalServerError) as refused:
            client.chat.completions.create(model="team", messages=HELLO)
        assert refused.value.status_code == 503
        rest = list(chunks)
        assert rest[-1].choices[0].finish_reason == "stop"
        text = "".join(chunk.choices[0].delta.content or "" for chunk in rest)
        assert text == "Because air scatters blue light most."
        assert server.process.wait(PATIENCE) == 0
    assert "Traceback" not in "".join(server.log)


def draining(server: Served, sig: int) -> None:
    """Send the signal, and wait until the server drains."""
    server.process.send_signal(sig)
    while server.ask("/ready") != 503:
        pass  # the signal is on its way; the test's timeout bounds this


@contextmanager
def stalled_provider() -> Generator[tuple[str, threading.Event]]:
    """A provider that never gets further than its first token: its URL, and when it is there."""
    reached = threading.Event()

    async def hold(request: ServedRequest, index: int) -> None:
        reached.set()
        await anyio.sleep_forever()

    with serving(ScriptedServer({}, default={}, before_token=hold)) as url:
        yield f"{url}/v1", reached


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize("stream", [True, False])
def test_runs_that_outlast_the_drain_end_with_an_error(tmp_path: Path, *, stream: bool) -> None:
    with stalled_provider() as (url, reached), ThreadPoolExecutor() as pool:
        backend = f"{{type: chatcompletion, model: m, base_url: '{url}', api_key: scripted}}"
        team = config(tmp_path, f"agents: [{{id: ada, backend: {backend}}}]")
        with (
            serve(team, "--drain-seconds", "0.3") as server,
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client,
        ):
            create = client.chat.completions.create
            asked = pool.submit(
                lambda: (
                    list(create(model="team", messages=HELLO, stream=True))
                    if stream
                    else create(model="team", messages=HELLO)
                )
            )
            assert reached.wait(PATIENCE)
            assert server.stop(signal.SIGTERM) == 0
            with pytest.raises(openai.APIError, match="shutting down") as ended:
                asked.result(PATIENCE)
    if stream:
        told = (ended.value.type, ended.value.code)
        assert told == ("invalid_request_error", "coordination_failed")
    else:
        assert isinstance(ended.value, openai.InternalServerError)
        assert ended.value.status_code == 503
        headers = ended.value.response.headers
        assert (headers["retry-after"], headers["x-should-retry"]) == ("10", "false")
    log = "".join(server.log)
    assert "outcome=server_overloaded" in log
    assert "Traceback" not in log


def test_a_second_interrupt_ends_open_runs_without_a_traceback(tmp_path: Path) -> None:
    with (
        serve(config(tmp_path, STALLED)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        chunks = client.chat.completions.create(model="team", messages=HELLO, stream=True)
        next(chunks)
        draining(server, signal.SIGINT)
        server.process.send_signal(signal.SIGINT)
        with pytest.raises(openai.APIError, match="shutting down"):
            list(chunks)
        assert server.process.wait(DRAIN_SECONDS / 2) == 130
    assert "Traceback" not in "".join(server.log)


@pytest.mark.parametrize("interrupts", [2, 3])
def test_interrupts_end_what_no_run_is_without_a_traceback(tmp_path: Path, interrupts: int) -> None:
    """A client that never sends its body holds its request open."""
    with serve(config(tmp_path, STALLED)) as server:
        port = urlsplit(server.url).port or 0
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                b"Content-Length: 99\r\nExpect: 100-continue\r\n\r\n"
            )
            assert client.recv(100).startswith(b"HTTP/1.1 100")  # the body is being waited for
            draining(server, signal.SIGINT)
            for _ in range(interrupts - 2):  # each by itself: signals sent at once are one
                with suppress(ConnectionError):  # where it took long, nobody listens any more
                    draining(server, signal.SIGINT)
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(DRAIN_SECONDS / 2) == 130
    assert "Traceback" not in "".join(server.log)


# demo, and an installation without the extra


def test_the_demo_shows_a_deliberation_and_says_that_no_model_is_involved() -> None:
    told = cli("demo")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("No model is involved")
    for model in ("pair", "trio"):
        assert f"\n{model} is asked: Why is the sky blue" in told.out
    for line in (
        "dora answered.",
        "\nBecause of the ozone layer.",
        "cleo answered.",
        "cleo voted for ben: My own answer is wrong; this one is right.",
        "The team chose dora (votes: dora 2).",
        "The team chose ben (votes: ben 3).",
    ):
        assert line in told.out
    answer = "what is left is red.\n"
    assert told.out.count(answer) >= 2
    assert told.out.index("The team chose ben") < told.out.rindex(answer)
    assert "tokens in the whole run" in told.out
    assert "\033" not in told.out, "colours are for terminals"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_reader_that_has_had_enough_gets_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "massgen_compat", "run", str(config(tmp_path, TEAM)), "Why?"]
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        command, env=environment(), stdout=writing, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writing)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "BrokenPipe" not in err


WITHOUT_EXTRA = """\
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"starlette", "uvicorn", "aiohttp", "fastapi"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from massgen_compat.cli import main
sys.exit(main(sys.argv[1:]))
"""


def without_extra(*arguments: str | Path) -> Outcome:
    return run([sys.executable, "-c", WITHOUT_EXTRA, *map(str, arguments)])


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("demo",)])
def test_without_the_server_extra_the_command_says_what_to_install(
    command: tuple[str, ...],
) -> None:
    told = without_extra(*command)
    assert told.code == 2
    assert told.err.splitlines()[-1].endswith("pip install 'massgen-compat[server]'")
    assert "Traceback" not in told.err


def test_check_run_and_policies_do_without_the_server_extra(tmp_path: Path) -> None:
    path = config(tmp_path, TEAM)
    assert without_extra("check", path).code == 0
    assert without_extra("policies").code == 0
    told = without_extra("run", path, "Why?")
    assert (told.code, told.out) == (0, "Because air scatters blue light most.\n")


WITHOUT_OPENTELEMETRY = """\
import sys

sys.modules["opentelemetry"] = None
from massgen_compat.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_the_otel_extra_its_flag_says_what_to_install(tmp_path: Path) -> None:
    path = config(tmp_path, TEAM)
    told = run([sys.executable, "-c", WITHOUT_OPENTELEMETRY, "serve", "--otel", str(path)])
    assert told.code == 2
    assert told.err.splitlines()[-1].endswith("pip install 'massgen-compat[otel]'")
    assert "Traceback" not in told.err


WITH_AN_SDK = """\
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(
    out=open(sys.argv[1], "w"), formatter=lambda span: span.name + chr(10)
)))
trace.set_tracer_provider(provider)
from massgen_compat.cli import main
sys.exit(main(sys.argv[2:]))
"""


def test_a_server_with_the_otel_flag_traces_its_runs_to_the_sdk_of_its_process(
    tmp_path: Path,
) -> None:
    path, spans = config(tmp_path, TEAM), tmp_path / "spans"
    command = [sys.executable, "-c", WITH_AN_SDK, str(spans), "serve", "--otel", "--port", "0"]
    with (
        served([*command, str(path)], url=GREETED, ready="  curl") as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused") as client,
    ):
        client.chat.completions.create(model="team", messages=HELLO)
        names = spans.read_text(encoding="utf-8").splitlines()
    assert names[-1] == "invoke_workflow team"
    assert any(name.startswith("chat ") for name in names)
