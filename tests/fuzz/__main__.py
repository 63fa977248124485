"""``make fuzz``: every target for some seconds, led by coverage, each in a process of its own.

Atheris has no wheel for every Python. Where it is not installed this says so and runs the targets
under hypothesis instead, which knows nothing of coverage.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from hypothesis import given, settings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="which targets (default: all)")
    parser.add_argument("--seconds", type=int, default=20, help="for each (default: %(default)s)")
    parser.add_argument("--within", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.within:
        fuzz(arguments.targets[0], arguments.seconds, arguments.within)
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - atheris has to come first, see below

    names: list[str] = arguments.targets or list(TARGETS)
    if importlib.util.find_spec("atheris") is None:
        version = ".".join(map(str, sys.version_info[:2]))
        print(f"atheris is not installed (it may have no wheel for Python {version}):")
        print("the targets run under hypothesis, without coverage to lead it")
        for name in names:
            drawn(name, arguments.seconds)
        print(f"{len(names)} passed, 0 failed")
        return 0
    failed = [name for name in names if process(name, arguments.seconds)]
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed")
    return int(bool(failed))


def process(name: str, seconds: int) -> int:
    """The exit code of a process that fuzzes one target; what broke it stands in its output."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(seconds)]
        command += ["--within", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = [line for line in done.stderr.splitlines() if line.startswith("Done")]
    print(f"{name}: {'FAILED' if done.returncode else 'ok'}. {' '.join(last)}", flush=True)
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-8000:], sep="\n")
    return done.returncode


def fuzz(name: str, seconds: int, folder: Path) -> NoReturn:
    """Fuzz one target in this process, which ends with it."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["massgen_compat"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented as it is imported
    target = TARGETS[name]
    corpus, words = folder / "corpus", folder / "words"
    corpus.mkdir()
    for index, seed in enumerate(target.seeds()):
        (corpus / f"{index:04}").write_bytes(seed)
    words.write_text("".join(f'"{escaped(word)}"\n' for word in target.words))
    bounds = ["-max_len=20000", f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048"]
    places = [f"-artifact_prefix={folder}/", f"-dict={words}", str(corpus)]
    atheris.Setup([name, *bounds, *places], target.read)
    atheris.Fuzz()
    raise AssertionError("unreachable: the fuzzer ends the process")


def escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def drawn(name: str, seconds: int) -> None:
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415
    from tests.fuzz.test_targets import HEALTHY, changed  # noqa: PLC0415

    target = TARGETS[name]

    @given(data=changed(target))
    @settings(
        max_examples=50 * seconds,
        deadline=None,
        database=None,
        suppress_health_check=HEALTHY,
    )
    def check(data: bytes) -> None:
        target.read(data)

    check()
    print(f"{name}: ok", flush=True)


if __name__ == "__main__":
    sys.exit(main())
