"""Other servers on the same upstream, each from PyPI in an environment of its own.

``make peers`` installs them. One that is not there, or does not start, is said to be so.
"""

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

from benchmarks.load import Failed, payload
from benchmarks.loops import run
from benchmarks.rows.passing import passed
from benchmarks.stage import NO_DELAY, Process, Stage, staged, wait_for_port
from benchmarks.table import Table

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
LITELLM = """\
model_list:
  - model_name: m
    litellm_params: {{model: openai/m, api_base: "{url}", api_key: none}}
general_settings: {{dangerously_permit_weak_or_unset_master_key: true}}
"""


@contextlib.contextmanager
def peer(command: Sequence[str], port: int, folder: Path) -> Generator[Process]:
    """A peer's server. Raises ``Failed`` where it is not installed or does not start."""
    if not Path(command[0]).exists():
        raise Failed(f"{Path(command[0]).name} is not installed: make peers")
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env |= {"OPENAI_API_KEY": "none", "OTEL_SDK_DISABLED": "true"}
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603
            command, stdout=out, stderr=out, env=env, cwd=folder
        )
    try:
        if not wait_for_port(port, process, START_SECONDS):
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise Failed(f"it did not start: {' '.join(last)[:150]}")
        yield Process(port, process.pid)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def litellm(table: Table) -> None:
    """Requests per second, streaming, 16 clients, one worker each."""
    with tempfile.TemporaryDirectory() as name, staged(*NO_DELAY) as stage:
        folder, port = Path(name), _free_port()
        (folder / "config.yaml").write_text(LITELLM.format(url=stage.upstream.url))
        command = [str(ROOT / ".venv/peers/litellm/bin/litellm"), "--config", "config.yaml"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        with peer(command, port, folder) as process:
            _compare(table, "LiteLLM proxy", process, stage)


def optillm(table: Table) -> None:
    """The same with ``optillm``'s approach ``none``, which asks the model once."""
    with tempfile.TemporaryDirectory() as name, staged(*NO_DELAY) as stage:
        port = _free_port()
        command = [str(ROOT / ".venv/peers/optillm/bin/optillm"), "--approach", "none"]
        command += ["--base-url", stage.upstream.url, "--port", str(port), "--host", "127.0.0.1"]
        with peer(command, port, Path(name)) as process:
            _compare(table, "optillm", process, stage)


def _compare(table: Table, name: str, process: Process, stage: Stage) -> None:
    theirs = run(passed(process, payload("m"), seconds=10))
    ours = run(passed(stage.server))
    table.least(f"team of one ÷ {name}, streaming, 16 clients", ours.rate / theirs.rate, 15)
    table.tell("… requests/s", f"{ours.rate:.0f} ÷ {theirs.rate:.1f}")
