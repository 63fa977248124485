"""The examples and the README do what they say: each program and each block of code is run."""

import ast
import inspect
import re
import sys
import types
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
from fastapi import FastAPI

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.config import check
from tests.processes import run, served

PROJECT = Path(__file__).parents[1]
EXAMPLES = PROJECT / "examples"
README = (PROJECT / "README.md").read_text(encoding="utf-8")

ANSWER = (
    "Air scatters short waves most (Rayleigh scattering), so blue comes from all over the sky; at "
    "sunset the way is long, and red is what is left."
)

PRINTED = {
    "chat.py": (f"{ANSWER}\nwinner: ben\n", "ben: 4 calls\n", "tokens of the whole run: "),
    "custom_policy.py": (
        "hasty is turned back (no_reason), try 1\n",
        "hasty votes for hasty: It names the cause, the other does not.\n",
        "the winner is hasty\n",
    ),
    "events_on_trio.py": ("run_started\nturn_started\n", f"winner_chosen\nben: {ANSWER}\n"),
    "sdk_client.py": (
        "models: team, team-single\n",
        "  The team chose ben (votes: ben 3).\n",
        f"{ANSWER}\n",
    ),
    "streaming.py": (
        "[ada starts to draft]\n",
        "cleo votes for ben: My own answer is wrong.\n",
        "a new answer: 2 votes count no more\n",
        f"the winner is ben\n\n[ben starts to present]\n{ANSWER}\n",
    ),
}
"""What each program prints, in this order among other things."""

SERVERS = {"mount_fastapi.py"}


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*PRINTED, *SERVERS}


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_what_it_promises(name: str) -> None:
    told = run([sys.executable, str(EXAMPLES / name)])
    assert (told.code, told.err) == (0, "")
    position = 0
    for text in PRINTED[name]:
        assert text in told.out[position:]
        position = told.out.index(text, position) + len(text)


@pytest.mark.parametrize("name", ["chat.py", "streaming.py"])
def test_an_example_takes_a_team_of_the_readers_own(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("agents: [{backend: {type: scripted, script: {present: It scatters.}}}]")
    told = run([sys.executable, str(EXAMPLES / name), str(path)])
    assert (told.code, told.err) == (0, "")
    assert "It scatters." in told.out


def test_the_fastapi_example_serves_the_team_beside_its_own_pages() -> None:
    with served(
        [sys.executable, str(EXAMPLES / "mount_fastapi.py")],
        url=r"running on (http://\S+)",
        ready="running on",
        env={"PORT": "0"},
    ) as server:
        assert server.ask("/") == 200
        assert server.ask("/ai/v1/models") == 401
        assert server.ask("/ai/v1/models", key="a-key-for-your-clients") == 200
        with openai.OpenAI(
            base_url=f"{server.url}/ai/v1", api_key="a-key-for-your-clients"
        ) as client:
            done = client.chat.completions.create(
                model="team", messages=[{"role": "user", "content": "Why?"}]
            )
        assert done.choices[0].message.content == ANSWER


def test_the_configs_of_the_examples_can_be_served() -> None:
    for path in EXAMPLES.glob("*.yaml"):
        report = check(path, {})
        assert report.ok, report.text()
        assert all(finding.level == "honoured" for finding in report.findings)


# The README

SERVER = "the URL of a server that the test starts"


@dataclass(frozen=True)
class Block:
    """How a block of the README is run offline.

    ``replaced`` is text of the block and what stands there in the test; ``given`` are the names
    that the block takes for granted.
    """

    replaced: Mapping[str, str] = field(default_factory=dict[str, str])
    given: frozenset[str] = frozenset()
    leaves: frozenset[str] = frozenset()


BLOCKS = {
    "from openai import OpenAI": Block(
        {"http://127.0.0.1:4000": SERVER}, leaves=frozenset({"chunk", "delta"})
    ),
    "completion = await massgen.chat": Block(
        {
            'model="gpt-5.2"': 'model="gpt-5.2", backend=Backend(type="scripted")',
            '"messages": [...]': '"messages": [{"role": "user", "content": "Why?"}]',
        },
        leaves=frozenset({"completion", "chunk"}),
    ),
    "app.mount(": Block(given=frozenset({"app", "massgen"}), leaves=frozenset({"create_app"})),
}
"""By a text that only this block has."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_every_python_block_of_the_readme_is_run_here() -> None:
    found = [[key for key in BLOCKS if key in block] for block in blocks("python")]
    assert sorted(found) == sorted([key] for key in BLOCKS)


@pytest.mark.parametrize("key", BLOCKS)
@pytest.mark.anyio
async def test_a_python_block_of_the_readme_runs(
    key: str, anyio_backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    how = BLOCKS[key]
    source = next(block for block in blocks("python") if key in block)
    scripted = Agent("a", model="m", backend=Backend(type="scripted"))
    massgen = MassGen(Team("team", [scripted]), env={})
    given: dict[str, object] = {"app": FastAPI(), "massgen": massgen}
    names = {name: given[name] for name in how.given} | {"Backend": Backend}
    with ExitStack() as stack:
        for text, stands in how.replaced.items():
            assert text in source
            url = stack.enter_context(serving(create_app(massgen))) if stands == SERVER else stands
            source = source.replace(text, url)
        await execute(source, names)
    assert how.leaves <= names.keys()
    if "print" in source:
        assert "no model involved" in capsys.readouterr().out


async def execute(source: str, names: dict[str, Any]) -> None:
    """Run code that may await at its top level."""
    code = compile(source, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    done: object = types.FunctionType(code, names)()
    if inspect.iscoroutine(done):
        await done


def test_the_config_of_the_readme_is_the_example_and_can_be_served() -> None:
    block, *_ = blocks("yaml")
    assert (EXAMPLES / "team.yaml").read_text(encoding="utf-8").endswith(block)


def test_the_commands_of_the_readme_exist() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    shell = "\n".join([*blocks("sh"), *re.findall(r"`(massgen-compat [^`]+)`", README)])
    targets = re.findall(r"^make (\S+)", shell, re.MULTILINE)
    commands = set(re.findall(r"^massgen-compat (\S+)", shell, re.MULTILINE))
    assert targets
    assert {"serve", "check", "run"} <= commands
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for command in commands:
        assert run([sys.executable, "-m", "massgen_compat", command, "--help"]).code == 0
