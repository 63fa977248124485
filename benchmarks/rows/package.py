"""The package: its size, what installing it takes, and what importing it costs."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import Table

ROOT = Path(__file__).parents[2]


def wheel(table: Table) -> None:
    """Builds a wheel and installs it with ``[server]`` into an empty environment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", name, str(ROOT))
        (made,) = folder.glob("*.whl")
        table.most("wheel, KB", made.stat().st_size / 1e3, 200, ".0f")
        _run("-m", "venv", str(folder / "venv"))
        python = folder / "venv" / "bin" / "python"
        before = _size(folder / "venv")
        start = time.perf_counter()
        _run("-m", "pip", "install", "--quiet", f"{made}[server]", python=str(python))
        seconds = time.perf_counter() - start
        size = (_size(folder / "venv") - before) / 1e6
        table.tell("pip install 'massgen-compat[server]'", f"{seconds:.0f} s, {size:.0f} MB")


def imports(table: Table) -> None:
    """``import massgen_compat``, alone and with what runs a team, ÷ ``import openai``, in turns.

    With byte code. The package loads a name when it is asked for, so the first import is next to
    nothing; the second is what a server loads.
    """
    openai, package, client = (
        "import openai",
        "import massgen_compat",
        "from massgen_compat import MassGen",
    )
    times: dict[str, list[float]] = {openai: [], package: [], client: []}
    for _ in range(11):
        for code, taken in times.items():
            start = time.perf_counter()
            _run("-c", code)
            taken.append(time.perf_counter() - start)
    seconds = {code: statistics.median(taken[1:]) for code, taken in times.items()}
    table.most(f"{package} ÷ {openai}", seconds[package] / seconds[openai], 1.2)
    table.tell(f"… {client} ÷ {openai}", f"{seconds[client] / seconds[openai]:.2f}")
    told = " ÷ ".join(f"{seconds[code]:.2f}" for code in (package, client, openai))
    table.tell("… seconds, interpreter included", told)


def _run(*arguments: str, python: str = sys.executable) -> None:
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    subprocess.run([python, *arguments], check=True, env=env, cwd=ROOT)  # noqa: S603


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
