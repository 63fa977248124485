"""Takes one client through one scenario: its process, its time, and what came of it."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal, Self

from massgen_compat._run.message import Json
from tests.clients.harness import CHECKS, Case, Client, Command, environment
from tests.clients.scenarios import Output, Scenario
from tests.clients.stage import KEY, MODEL, SMALL_MODEL, Stage, staged
from tests.clients.teams import serving_teams

PATIENCE = 240
"""Seconds for anything that has to happen besides the silence of a scenario."""

SHOWN = 6000
"""Characters of a failed program's output that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a run. ``told`` is for the table, ``problem`` for whoever has to mend it."""

    client: str
    version: str
    scenario: str
    status: Literal["passed", "failed", "cannot"]
    told: str = ""
    posts: int = 0
    model_calls: int = 0
    background_posts: int = 0
    background_calls: int = 0
    seconds: float = 0.0
    problem: str = ""

    def as_json(self) -> Json:
        """As data."""
        return asdict(self)


RUNNING: "set[Program]" = set()
"""Every program that has not been ended; they do not hear of a Ctrl-C for the runner."""


class Program:
    """A client's process, in a process group of its own as in a terminal.

    Leaving it as a context ends it and everything that it left behind in the group. Raises
    ``OSError`` if it cannot be started.
    """

    def __init__(self, command: Command, case: Case, folder: Path) -> None:
        self._files = [folder / "out", folder / "err"]
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            self._process = subprocess.Popen(
                command.argv,
                cwd=case.work,
                env={**environment(case), **command.env},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        RUNNING.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def end_input(self) -> None:
        """Close its stdin."""
        _close(self._process.stdin)

    def interrupt(self) -> None:
        """What Ctrl-C does: a SIGINT for everything in the group."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)

    def runs_on(self) -> bool:
        """Whether it still runs a moment later."""
        try:
            self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            return True
        return False

    def wait(self, seconds: float) -> Output:
        """Wait for its end; raises ``AssertionError`` if it does not come."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end within {seconds:.0f} s") from None
        return Output(code, *self.printed())

    def printed(self) -> tuple[str, str]:
        """What it printed so far on stdout and on stderr."""
        out, err = (path.read_text(encoding="utf-8", errors="replace") for path in self._files)
        return out, err

    def kill(self) -> None:
        """End everything in the group."""
        self.end_input()
        with suppress(ProcessLookupError, PermissionError):  # macOS: only dead ones are left
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        RUNNING.discard(self)


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        stream.close()


def run(client: Client, kind: type[Scenario], starting: threading.Semaphore) -> Result:
    """Run a scenario. ``starting`` is held while the program is busy, not while it waits."""
    with _folders() as (folder, home, work), ExitStack() as busy:
        scenario = kind(client, work)
        busy.enter_context(starting)
        with (
            staged(
                scenario.scripts(),
                trace=scenario.trace,
                hold=scenario.hold,
                background=client.background,
            ) as stage,
        ):
            case = Case(
                scenario=scenario.name,
                url=stage.url,
                key=scenario.key,
                model=MODEL,
                small_model=SMALL_MODEL,
                prompt=scenario.prompt,
                home=home,
                work=work,
            )
            started = time.monotonic()
            try:
                program = Program(client.command(case), case, folder)
            except OSError as error:
                status, told, problem = "failed", "", f"it does not start: {error}"
            else:
                with program:
                    status, told, problem = _judged(client, scenario, stage, program, busy)
        return Result(
            client=client.name,
            version=client.version,
            scenario=scenario.name,
            status=status,
            told=told,
            posts=len(stage.posts),
            model_calls=len(stage.calls),
            background_posts=stage.background_posts,
            background_calls=len(stage.provider.requests) - len(stage.calls),
            seconds=time.monotonic() - started,
            problem=problem,
        )


def _judged(
    client: Client,
    scenario: Scenario,
    stage: Stage,
    program: Program,
    busy: ExitStack,
) -> tuple[Literal["passed", "failed", "cannot"], str, str]:
    reason = client.cannot.get(scenario.name)
    try:
        output = _performed(client, scenario, stage, program, busy)
        told = scenario.judge(stage, output)
    except AssertionError as error:
        if reason is not None and stage.posts:
            return "cannot", reason, ""
        return "failed", "", _report(str(error), stage, program)
    if reason is not None:
        return "failed", "", f"it works, although it is said not to: {reason}"
    return "passed", told, ""


def _performed(
    client: Client,
    scenario: Scenario,
    stage: Stage,
    program: Program,
    busy: ExitStack,
) -> Output:
    if scenario.hold is None or not client.library:
        program.end_input()
    if scenario.hold is not None:
        assert _happens(stage.hold.reached, program), "the models were not asked"
        program.interrupt()
        assert stage.hold.gone.wait(PATIENCE), "model calls outlive the client"
        program.end_input()
    if scenario.silent_seconds:
        _happens(stage.recorder.asked, program)
        busy.close()
        _sit_out(scenario, stage, program)
    return program.wait(PATIENCE)


def _sit_out(scenario: Scenario, stage: Stage, program: Program) -> None:
    """Wait until the program ends or asks again, which it must not."""
    until = time.monotonic() + scenario.silent_seconds + PATIENCE
    while program.runs_on() and time.monotonic() < until:
        assert len(stage.posts) < 2, "it gave up and asked again"


def _happens(event: threading.Event, program: Program) -> bool:
    """Wait for the event, as long as the program runs."""
    until = time.monotonic() + PATIENCE
    while not event.is_set() and program.runs_on() and time.monotonic() < until:
        pass
    return event.is_set()


def check(client: Client, starting: threading.Semaphore) -> Result:
    """Run the further checks of a client that has some."""
    assert client.checks is not None
    with starting, _folders() as (folder, home, work), serving_teams() as url:
        case = Case(
            scenario=CHECKS,
            url=url,
            key=KEY,
            model=MODEL,
            small_model=SMALL_MODEL,
            prompt="",
            home=home,
            work=work,
        )
        started = time.monotonic()
        problem = told = ""
        with Program(client.checks(case), case, folder) as program:
            try:
                program.end_input()
                output = program.wait(PATIENCE)
                assert output.code == 0, f"exit code {output.code}"
                told = f"{output.out.count('ok: ')} checks"
            except AssertionError as error:
                problem = _report(str(error), None, program)
        return Result(
            client=client.name,
            version=client.version,
            scenario=CHECKS,
            status="failed" if problem else "passed",
            told=told,
            seconds=time.monotonic() - started,
            problem=problem,
        )


@contextmanager
def _folders() -> Generator[tuple[Path, Path, Path]]:
    """A fresh folder with a home and a working directory in it."""
    with tempfile.TemporaryDirectory(prefix="client-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        home, work = folder / "home", folder / "work"
        home.mkdir()
        work.mkdir()
        yield folder, home, work


def _report(problem: str, stage: Stage | None, program: Program) -> str:
    lines = [problem]
    if stage is not None:
        lines += [
            f"POST {post.path} ({post.model}): {post.status or 'no answer'}"
            for post in stage.recorder.posts
        ]
    for name, text in zip(("stdout", "stderr"), program.printed(), strict=True):
        lines += [f"--- {name}", text[-SHOWN:].strip()]
    return "\n".join(lines)
