"""Processes to measure and what Linux tells about them."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 60.0


def raise_file_limit(needed: int) -> None:
    """Let this process and its children open so many files; exits where the system forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(
            f"this needs {needed} file descriptors in one process, and the hard limit is {hard}: "
            "raise it (ulimit -Hn), or measure with --short"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def check_ports(needed: int) -> None:
    """Exit where the system has too few ports for so many connections."""
    setting = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first, last = map(int, setting.read_text(encoding="ascii").split())
    if last - first < needed:
        sys.exit(
            f"this needs {needed} local ports, and the system has {last - first}: widen "
            "net.ipv4.ip_local_port_range, or measure with --short"
        )


@dataclass(slots=True)
class Served:
    """The server under test; ``code`` is its exit code once it was stopped."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    code: int | None = field(default=None)

    def resident(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) * 1024

    def descriptors(self) -> int:
        """Open file descriptors."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208 - count only

    def connections_to(self, port: int) -> int:
        """Its TCP connections to a local port, idle ones included."""
        own = set[str]()
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                own.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
        table = Path(f"/proc/{self.process.pid}/net/tcp").read_text(encoding="ascii")
        rows = [line.split() for line in table.splitlines()[1:]]
        return sum(row[2].endswith(f":{port:04X}") and row[9] in own for row in rows)

    def complaints(self) -> list[str]:
        """The lines of its log that no healthy server writes."""
        signs = ("ERROR", "WARNING", "Traceback", "Error:", "never retrieved", "Unclosed")
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if any(sign in line for sign in signs)]

    def stop(self) -> float:
        """SIGTERM, as an orchestrator does; seconds until the process is gone."""
        start = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.code = self.process.wait(STOP_SECONDS)
        return time.perf_counter() - start


@contextlib.contextmanager
def serve(log: Path, *teams: Path) -> Generator[Served]:
    """``massgen-compat serve`` on a free port, with places for more runs than the soak opens."""
    command = [sys.executable, "-m", "massgen_compat", "serve", "--port", "0"]
    command += ["--max-runs", "10000", *map(str, teams)]
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.DEVNULL, stderr=stderr, env=env
        )
    try:
        yield Served(process, _port(process, log), log)
    finally:
        process.kill()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the server greets with."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        first, newline, _ = log.read_text(encoding="utf-8").partition("/v1\n")
        if newline:
            return int(first.rpartition(":")[2])
        time.sleep(0.05)
    sys.exit(f"the server did not start:\n{log.read_text(encoding='utf-8')}")


@contextlib.contextmanager
def helper(module: str, *arguments: str) -> Generator[int]:
    """A helper process; yields the port that it prints."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
