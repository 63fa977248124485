"""Who may import whom, and what an import costs: the architecture, checked."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import massgen_compat

ROOT = Path(__file__).parents[1]
PACKAGE = Path(massgen_compat.__file__).parent
MODULES = {
    ".".join(("massgen_compat", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in PACKAGE.rglob("*.py")
}

VOCABULARY = {"_run", "errors", "events"}

ROOMS: dict[str, set[str]] = {
    "_run": set(),
    "errors": set(),
    "events": {"_run"},
    "engine": {"_run", "events"},
    "testing": {"_run", "errors"},
    "_aio": {"events"},
    "_coordination": {"_run", "events"},
    "policies": {"_run", "_coordination"},
    "protocol": VOCABULARY,
    "_spending": VOCABULARY | {"_aio", "_coordination"},
    "_upstream": {"_run", "errors", "_aio", "policies"},
    "_agents": {"_run", "_coordination", "policies", "_upstream"},
    "_local": VOCABULARY | {"_aio", "_coordination", "policies", "_spending", "_agents"},
    "_massgen": VOCABULARY | {"_aio", "policies", "_spending", "_agents", "_upstream"},
    "_admission": {
        "_run", "errors", "engine", "protocol", "_spending", "_upstream", "_agents",
    },
    "config": {
        "_run", "errors", "testing", "policies", "_upstream", "_agents", "_massgen", "_admission",
    },
    "_client": VOCABULARY | {
        "_aio", "engine", "testing", "policies", "protocol", "_upstream", "_local", "_massgen",
        "_admission", "config",
    },
    "": VOCABULARY | {"engine", "policies", "testing", "_client"},
    "telemetry": VOCABULARY | {"_client"},
    "_server": VOCABULARY | {"_aio", "protocol", "_agents", "_admission", "_client"},
    "asgi": {"errors", "protocol", "_client", "_server"},
    "cli": {
        "", "_run", "errors", "policies", "protocol", "testing", "config", "telemetry", "_client",
        "_server", "asgi",
    },
    "__main__": {"cli"},
}  # fmt: skip
"""The rooms of the house, from the ground up: each may import those that are named, all of which
stand above it in this table; so there is no circle. The empty name is the door itself."""

PURE = (
    "_run",
    "errors",
    "events",
    "engine",
    "_coordination",
    "policies",
    "protocol",
    "_agents",
    "_admission",
    "_spending.meter",
    "_spending.ledger",
)
"""Rooms and modules without I/O: no event loop, no clock, no randomness, no log."""
IMPURE = {"anyio", "asyncio", "openai", "time", "random", "os", "logging", "socket", "secrets"}

ONLY_IN = {
    "starlette": {"massgen_compat.asgi", "massgen_compat._server"},
    "uvicorn": {"massgen_compat.cli.server"},
    "httpx": set[str](),
    "httpx2": set[str](),
    "asyncio": {
        "massgen_compat._aio",
        "massgen_compat.cli.server",
        "massgen_compat._massgen.orchestration",
    },
    "massgen": set[str](),
    "opentelemetry": {"massgen_compat.telemetry"},
}
"""Libraries, and the modules or rooms that may import them."""

MAX_ENTRIES = 16
MAX_ROOMS = 26
MAX_LINES = 400


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module
            case _:
                pass


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def is_in(module: str, places: Iterable[str]) -> bool:
    return any(f"{module}.".startswith(f"massgen_compat.{place}.") for place in places)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_downstairs(module: str) -> None:
    room = room_of(module)
    for name in imports(MODULES[module]):
        if name.split(".")[0] == "massgen_compat":
            assert room_of(name) in ROOMS[room] | {room}, f"{module} imports {name}"


def test_the_rooms_stand_one_above_the_other() -> None:
    rooms = list(ROOMS)
    for number, (room, below) in enumerate(ROOMS.items()):
        assert below <= set(rooms[:number]), room
    assert {room_of(module) for module in MODULES} == set(rooms)


def test_the_house_has_few_doors_and_few_rooms() -> None:
    entries = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    public = {name for name in entries if not name.startswith("_")}
    rooms = [path for path in PACKAGE.rglob("*") if (path / "__init__.py").exists()]
    assert len(public) <= MAX_ENTRIES, sorted(public)
    assert len(rooms) <= MAX_ROOMS, sorted(map(str, rooms))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_is_one_idea(module: str) -> None:
    lines = MODULES[module].read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES, f"{module} has {lines} lines: is there a second idea inside?"


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if is_in(m, PURE)])
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
        if room_of(module) not in {"cli", "__main__"}:
            roots = set(imports(path))
            assert "massgen_compat.cli" not in {".".join(name.split(".")[:2]) for name in roots}
            assert "argparse" not in roots, module


PRIVATE = re.compile(r"massgen_compat[./]_[a-z]\w*")
SHOWN = [
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("examples/**/*.*")),
    *sorted(ROOT.glob("configs/**/*.yaml")),
    ROOT / "README.md",
]


@pytest.mark.parametrize("path", SHOWN, ids=[str(path.relative_to(ROOT)) for path in SHOWN])
def test_no_page_and_no_example_shows_a_private_module(path: Path) -> None:
    assert not PRIVATE.findall(path.read_text(encoding="utf-8", errors="replace"))


EXTRAS = frozenset({"starlette", "uvicorn", "massgen", "opentelemetry"})
UNUSED = EXTRAS | {"openai", "jsonschema"}


@pytest.mark.parametrize(
    ("code", "unloaded"),
    [
        ("import massgen_compat", UNUSED | {"pydantic", "yaml", "massgen_compat._run.team"}),
        ("from massgen_compat import Agent, Team", UNUSED | {"pydantic", "yaml"}),
        ("from massgen_compat import MassGen", EXTRAS | {"yaml", "massgen_compat.testing"}),
        ("import massgen_compat.cli", UNUSED),
    ],
)
def test_what_is_not_used_is_not_loaded(code: str, unloaded: frozenset[str]) -> None:
    code += "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not unloaded & set(done.stdout.split())


DOOR = {
    "Agent",
    "Backend",
    "BackgroundRule",
    "ConfigError",
    "Engine",
    "EngineUnavailable",
    "Escalation",
    "FinalMessage",
    "InvalidRequest",
    "LimitExceeded",
    "Limits",
    "MassGen",
    "MassGenError",
    "Message",
    "ModelClient",
    "ModelNotFound",
    "Observer",
    "Overloaded",
    "Policy",
    "Price",
    "RunEvent",
    "RunRequest",
    "RunResult",
    "ScriptedModel",
    "Team",
    "TeamSettings",
    "Timeouts",
    "UpstreamError",
    "Usage",
    "text_message",
}


def test_the_public_names_are_these() -> None:
    assert set(massgen_compat.__all__) == DOOR
    assert set(massgen_compat.__all__) <= set(dir(massgen_compat))
    assert not hasattr(massgen_compat, "Catalogue")


@pytest.mark.parametrize("name", sorted(DOOR - {"RunEvent"}))
def test_every_public_name_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(massgen_compat, name))


def test_the_union_of_events_says_what_it_is() -> None:
    """A union has no docstring of its own: the text stands below it, where editors look for it."""
    source = MODULES["massgen_compat.events"].read_text(encoding="utf-8")
    statements = ast.parse(source).body
    place = next(
        number
        for number, each in enumerate(statements)
        if isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == "RunEvent"
    )
    text = statements[place + 1]
    assert isinstance(text, ast.Expr)
    assert isinstance(text.value, ast.Constant)
    assert isinstance(text.value.value, str)


def test_every_module_says_what_it_is_for() -> None:
    for path in MODULES.values():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path.name
