"""Programs in processes of their own, for the tests of the command line and of the examples."""

import os
import re
import subprocess
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

PATIENCE = 30


@dataclass(frozen=True)
class Outcome:
    """How a process ended, and what it printed."""

    code: int
    out: str
    err: str


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a process needs to run, and nothing of this one's keys; warnings are errors."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    return {**kept, "PYTHONUTF8": "1", "PYTHONWARNINGS": "error", **(given or {})}


def run(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Outcome:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@dataclass
class Served:
    """A server in a process; ``log`` collects its stderr."""

    process: subprocess.Popen[str]
    url: str
    log: list[str]

    def ask(self, path: str, *, key: str | None = None) -> int:
        """The status that a GET gets."""
        parts = urlsplit(self.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        status = connection.getresponse().status
        connection.close()
        return status

    def stop(self, sig: int) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(sig)
        return self.process.wait(PATIENCE)


@contextmanager
def served(
    command: Sequence[str], *, url: str, ready: str, env: Mapping[str, str] | None = None
) -> Generator[Served]:
    """Run a server until the block is left. Its stderr tells its URL and that it is ready.

    ``url`` is the pattern of a line, with the URL as its group, and ``ready`` that of the line
    after which the server can be asked.
    """
    with subprocess.Popen(
        command, env=environment(env), stderr=subprocess.PIPE, text=True
    ) as process:
        log: list[str] = []
        told = threading.Event()

        def follow(stderr: IO[str]) -> None:
            for line in stderr:
                log.append(line)
                if re.search(ready, line):
                    told.set()
            told.set()

        assert process.stderr is not None
        reader = threading.Thread(target=follow, args=(process.stderr,))
        reader.start()
        try:
            assert told.wait(PATIENCE), "the server did not say that it is ready"
            found = re.search(url, "".join(log))
            assert found, f"the server did not start: {log}"
            yield Served(process, found[1], log)
        finally:
            process.kill()
            process.wait(PATIENCE)
            reader.join(PATIENCE)
