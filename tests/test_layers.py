"""Who may import whom, and what an import costs: the architecture, checked."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import massgen_compat

PACKAGE = Path(massgen_compat.__file__).parent
MODULES = {
    ".".join(("massgen_compat", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in PACKAGE.rglob("*.py")
}

ALLOWED = {
    "aside": set[str](),
    "channel": set[str](),
    "background": set[str](),
    "message": set[str](),
    "result": {"message"},
    "run": {"background", "message", "result"},
    "errors": {"spelling"},
    "spelling": set[str](),
    "turn": {"run"},
    "tools": {"run"},
    "events": {"run", "turn"},
    "observing": {"run", "events", "channel"},
    "telemetry": {"run", "events", "errors", "observing"},
    "caching": {"run"},
    "coordination": {"run", "turn", "events"},
    "policies": {"run", "turn", "coordination", "errors"},
    "workflow": {"run", "turn", "coordination", "policies"},
    "capabilities": {"run", "policies", "upstream"},
    "prompts": {"run", "turn", "coordination", "workflow", "policies", "capabilities"},
    "formats": {"run"},
    "meter": {"run", "turn", "errors"},
    "prices": {"run", "errors", "meter", "upstream"},
    "admission": {"run", "errors", "upstream", "capabilities", "meter"},
    "presentation": {"run", "turn", "events", "tools", "formats"},
    "ledger": {"run", "turn", "coordination", "errors", "policies", "presentation", "meter"},
    "massgen_engine": {
        "run", "turn", "events", "errors", "coordination", "policies", "workflow", "prompts",
        "capabilities", "upstream", "engine", "ledger", "meter", "tools", "channel",
    },
    "served": {"run", "background", "errors", "upstream"},
    "engines": {"run", "errors", "policies", "engine", "massgen_engine"},
    "engine": {
        "run", "turn", "events", "coordination", "prompts", "workflow", "ledger", "errors",
        "policies", "tools", "presentation", "formats", "aside", "channel", "meter", "caching",
    },
    "protocol": {
        "run", "turn", "events", "errors", "background", "formats", "spelling", "channel",
    },
    "upstream": {"run", "turn", "errors", "policies", "aside"},
    "scripted": {"run", "turn", "errors", "spelling"},
    "serving": {"events", "errors", "protocol", "client", "channel", "catalogue"},
    "http": {
        "run", "errors", "capabilities", "protocol", "client", "intake", "serving", "catalogue",
    },
    "catalogue": {
        "run", "errors", "background", "admission", "served", "engine", "engines", "prices",
        "protocol",
    },
    "doctor": {"errors"},
    "config": {
        "run", "turn", "errors", "upstream", "scripted", "policies", "background",
        "capabilities", "prices", "spelling", "massgen_engine",
    },
    "__main__": {"cli"},
}  # fmt: skip
"""For each part of the package, the parts that it may import; who may import ``run`` may import the
rest of the vocabulary, too. Parts without a row may import anything."""

PURE = (
    "background",
    "message",
    "result",
    "run",
    "errors",
    "spelling",
    "turn",
    "tools",
    "events",
    "caching",
    "coordination",
    "policies",
    "capabilities",
    "workflow",
    "prompts",
    "meter",
)
IMPURE = {"anyio", "asyncio", "openai", "time", "random", "os", "logging", "socket", "secrets"}

ONLY_IN = {
    "starlette": {"massgen_compat.asgi", "massgen_compat.http"},
    "uvicorn": {"massgen_compat.cli.server", "massgen_compat.cli.heads"},
    "httpx": set[str](),
    "httpx2": set[str](),
    "asyncio": {
        "massgen_compat.channel",
        "massgen_compat.cli.heads",
        "massgen_compat.massgen_engine.orchestration",
    },
    "massgen": set[str](),
    "opentelemetry": {"massgen_compat.telemetry"},
}
"""Libraries, and the modules or packages that may import them."""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module
            case _:
                pass


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_follow_the_way_of_a_request(module: str) -> None:
    allowed = ALLOWED.get(part_of(module))
    if allowed is not None and "run" in allowed:
        allowed = allowed | {"message", "result"}
    if allowed is None:
        return
    for name in imports(MODULES[module]):
        if name.startswith("massgen_compat"):
            assert part_of(name) in allowed | {part_of(module)}, f"{module} imports {name}"


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if part_of(m) in PURE])
def test_the_pure_core_has_no_io(module: str) -> None:
    roots = {name.split(".")[0] for name in imports(MODULES[module])}
    assert not roots & IMPURE


@pytest.mark.parametrize("module", sorted(MODULES))
def test_libraries_of_the_edges_stay_at_the_edges(module: str) -> None:
    for name in imports(MODULES[module]):
        owners = ONLY_IN.get(name.split(".")[0])
        inside = owners is None or any(f"{module}.".startswith(f"{each}.") for each in owners)
        assert inside, f"{module} imports {name}"


def test_the_command_line_is_nobodys_library() -> None:
    for module, path in MODULES.items():
        if part_of(module) not in {"cli", "__main__"}:
            roots = set(imports(path))
            assert "massgen_compat.cli" not in {".".join(name.split(".")[:2]) for name in roots}
            assert "argparse" not in roots, module


def test_the_table_of_parts_is_complete() -> None:
    known = {*ALLOWED, "", "asgi", "cli", "client", "intake"}
    assert {part_of(module) for module in MODULES} == known


EXTRAS = frozenset({"starlette", "uvicorn", "massgen", "opentelemetry"})
UNUSED = EXTRAS | {"openai", "jsonschema"}


@pytest.mark.parametrize(
    ("code", "unloaded"),
    [
        ("import massgen_compat", UNUSED | {"pydantic", "yaml", "massgen_compat.run"}),
        ("from massgen_compat import Agent, Team", UNUSED | {"pydantic", "yaml"}),
        ("from massgen_compat import MassGen", EXTRAS | {"yaml", "massgen_compat.scripted"}),
        ("import massgen_compat.cli", UNUSED),
    ],
)
def test_what_is_not_used_is_not_loaded(code: str, unloaded: frozenset[str]) -> None:
    code += "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not unloaded & set(done.stdout.split())


def test_the_public_names_are_these() -> None:
    assert set(massgen_compat.__all__) == {
        "Agent",
        "Backend",
        "Escalation",
        "Limits",
        "MassGen",
        "MassGenError",
        "Message",
        "Price",
        "RunRequest",
        "ScriptedModel",
        "Team",
        "TeamSettings",
    }
    assert all(hasattr(massgen_compat, name) for name in massgen_compat.__all__)
    assert set(massgen_compat.__all__) <= set(dir(massgen_compat))
    assert not hasattr(massgen_compat, "Renderer")


def test_every_module_says_what_it_is_for() -> None:
    for path in MODULES.values():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path.name
