"""The processes that take part in a measurement, and the CPU that each of them used."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
NO_DELAY = ("0", "0", "50")
START_SECONDS = 300
"""What a server may take to start: a peer imports for 15 s, and longer on a busy machine."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that serves on ``port``."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its address, as clients of OpenAI write it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def cpu(self) -> float:
        """Seconds of CPU that it and its threads have used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1]
        return sum(map(int, fields.split()[11:13])) / TICKS

    def resident(self) -> int:
        """Resident memory in bytes."""
        return self._memory("VmRSS")

    def peak(self) -> int:
        """The most that it ever had of it."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if name in line) * 1024


@contextlib.contextmanager
def started(
    module: str, *arguments: str, env: Mapping[str, str] | None = None
) -> Generator[Process]:
    """A module of ours that prints its port, and its workers, if it has some."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        yield Process(port, process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@dataclass(frozen=True, slots=True)
class Stage:
    """An upstream, and a server of ours before it."""

    upstream: Process
    server: Process


@contextlib.contextmanager
def staged(*pace: str, http: str = "aiohttp") -> Generator[Stage]:
    """A stage; ``pace`` as ``benchmarks.upstream`` takes it."""
    with (
        started("benchmarks.upstream", *pace) as upstream,
        started("benchmarks.served", upstream.url, env={"HTTP": http}) as server,
    ):
        yield Stage(upstream, server)


@contextlib.contextmanager
def timed_cpu(process: Process) -> Generator[list[float]]:
    """Afterwards the list holds the seconds of CPU that the process used meanwhile."""
    used: list[float] = []
    before = process.cpu()
    yield used
    used.append(process.cpu() - before)


class NotStarted(Exception):
    """A server that ended, or took too long, before it listened."""


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, folder: Path, env: Mapping[str, str] | None = None
) -> Generator[Process]:
    """Somebody's server in a new folder, once it listens; what it says goes to a file beside it.

    It gets nothing of our environment but ``PATH`` and ``HOME``. Raises ``NotStarted``.
    """
    folder.mkdir()
    log = folder.with_name(f"{folder.name}.log")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    given = {**kept, "OPENAI_API_KEY": "none", "TMPDIR": str(folder), **(env or {})}
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603
            command, stdout=out, stderr=out, env=given, cwd=folder
        )
    try:
        if not _listens(port, process):
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise NotStarted(f"{Path(command[0]).name} did not start: {' '.join(last)[:150]}")
        yield Process(port, process.pid)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def free_port() -> int:
    """A port for a server that does not say which one it took."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _listens(port: int, process: "subprocess.Popen[bytes]") -> bool:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.2)
    return False
