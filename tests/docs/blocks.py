"""The code blocks of the documents: where they stand, and how each language is run offline.

A comment right above a block says what is special about it:

- ``<!-- not run: REASON -->``: the tests list it, with its reason, instead of running it;
- ``<!-- file: NAME -->``: what follows on the page finds the block as this file;
- ``<!-- output -->``: what the block above printed, ``...`` for anything; ``<!-- output in any
  order -->``: its lines, where agents work at the same time.

Of ``make TARGET`` only the target is looked for: CI runs them.
"""

import ast
import contextlib
import inspect
import io
import json
import re
import subprocess
import types
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio.to_thread
import yaml

from massgen_compat import MassGen
from massgen_compat.config.report import check_text
from tests.processes import PATIENCE, Served, environment, served

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
HERE = "http://127.0.0.1:4000"
"""Where the documents have their server; in the tests it is where one listens."""

FENCE = re.compile(
    r"(?:^ *<!-- (?P<mark>[^\n]*?) -->\n\n?)?^(?P<indent> *)```(?P<language>\w*)\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def reason(self) -> str | None:
        """Why it is not run."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else None

    @property
    def file(self) -> str | None:
        """The name under which it is a file."""
        return self.mark.removeprefix("file: ") if self.mark.startswith("file: ") else None


def blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        code = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(named(path), line, found["language"], code, found["mark"] or "")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def alike(promised: str, printed: str) -> bool:
    """Whether a text is what was promised; ``...`` stands for anything."""
    pattern = re.escape(promised.strip()).replace(r"\.\.\.", ".*?")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


AGENTS = """\
agents:
  - {id: ada, backend: {type: openai, model: gpt-5.2}}
  - {id: ben, backend: {type: openai, model: gpt-5.2}}
"""


class Reader:
    """Who reads a page from top to bottom and does what it says, in a folder of their own."""

    def __init__(self, folder: Path, env: Mapping[str, str], stack: ExitStack) -> None:
        self._folder = folder
        self._env = environment(env)
        self._stack = stack
        self._names: dict[str, Any] = {}
        self._exports: list[str] = []
        self._server: Served | None = None
        self._printed = ""

    async def follow(self, block: Block) -> None:
        """Do what a block says; raises if it does not work."""
        if block.file:
            (self._folder / block.file).write_text(block.text, encoding="utf-8")
        if block.mark.startswith("output"):
            self._compare(block)
            return
        match block.language:
            case "python" if block.file is None:
                await self._python(block)
            case "python":
                compile(block.text, str(block), "exec")
            case "sh" | "bash" | "console":
                await anyio.to_thread.run_sync(self._shell, block)
            case "yaml":
                self._yaml(block)
            case "json":
                self._json(block)
            case "text":
                pass  # a picture, or what somebody types into a field
            case language:
                raise AssertionError(f"say why no {language or 'unnamed'} block is run")

    def _here(self, text: str) -> str:
        if HERE in text and self._server is None:
            self._serve("massgen-compat serve team.yaml")  # as the quickstart has it
        return text.replace(HERE, self._server.url) if self._server else text

    async def _python(self, block: Block) -> None:
        code = compile(
            self._here(block.text), str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            done: object = types.FunctionType(code, self._names)()
            if inspect.iscoroutine(done):
                await done
        self._printed = printed.getvalue()

    def _shell(self, block: Block) -> None:
        self._printed = ""
        for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
            if line.startswith("export "):
                self._exports.append(line)
            elif re.search(r"massgen-compat serve\b", line):
                self._serve(line)
            elif target := re.match(r"make (\S+)", line):
                assert re.search(rf"^{target[1]}:", MAKEFILE, re.MULTILINE), line
            elif line.strip() and not line.startswith("#"):
                self._run(self._here(line))

    def _run(self, line: str) -> None:
        script = "\n".join([*self._exports, line])
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            cwd=self._folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        well = done.returncode == 0 or (
            "massgen-compat doctor" in line  # scripts call no tools, and nothing else may be wrong
            and re.findall(r"^problem  (\w+)", done.stdout, re.MULTILINE) == ["tools"]
        )
        assert well, f"{line}\n{done.stdout}"
        self._printed += done.stdout

    def _serve(self, line: str) -> None:
        line = re.sub(r" --port \d+|\s*&$|\s+#.*", "", line)
        script = "\n".join([*self._exports, f"exec {line} --port 0"])
        script = re.sub(r"exec ((?:\w+=\S+ )+)", r"exec env \1", script)
        greeted = served(
            ["sh", "-c", f"cd {self._folder}\n{script}"],
            url=r"serves at (http://\S+)/v1\n",
            ready="  curl",
            env=self._env,
        )
        self._server = self._stack.enter_context(greeted)
        self._printed = "".join(self._server.log)

    def _compare(self, block: Block) -> None:
        printed = self._printed.replace(self._server.url, HERE) if self._server else self._printed
        if block.mark == "output in any order":
            lines = [line for line in block.text.splitlines() if line.strip(" .")]
            unseen = [
                line
                for line in lines
                if not any(alike(line, each) for each in printed.splitlines())
            ]
            assert not unseen, printed
            complete = "..." not in block.text.splitlines()
            assert not complete or len(printed.splitlines()) == len(block.text.splitlines()), (
                printed
            )
        else:
            assert alike(block.text, printed), printed

    def _yaml(self, block: Block) -> None:
        value = yaml.safe_load(block.text)
        assert value
        if isinstance(value, dict) and {"agents", "massgen_compat"} & value.keys():
            whole = block.text if "agents" in value else AGENTS + block.text
            report = check_text(whole, self._env, block.file or "team.yaml")
            assert report.ok, report.text()
            assert not report.counts["ignored"], report.text()

    def _json(self, block: Block) -> None:
        value = json.loads(block.text)
        if isinstance(value, dict) and "massgen" in value:
            hello = {"model": "team", "messages": [{"role": "user", "content": "Why?"}]}
            payload = {**hello, **cast("dict[str, Any]", value)}
            MassGen.from_yaml(self._folder / "team.yaml", env={}).parse(payload)
