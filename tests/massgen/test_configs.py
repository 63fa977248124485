"""MassGen's own shipped configs, run by MassGen, from the official SDK over a served team.

Only what cannot be had offline is changed: each backend is pointed at the scripted upstream, as
``chatcompletion`` where its type has another wire.
"""

import contextlib
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat._run.turn import Phase
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.config import check_text, load
from massgen_compat.testing import ScriptedServer
from tests.conftest import SHARED
from tests.massgen.stage import needs_massgen

pytestmark = [
    needs_massgen,
    pytest.mark.timeout(120),
    # MassGen leaves the stderr files of its MCP servers to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FOLDER = SHARED / "massgen-configs" / "basic" / "multi"
NAMES = [path.name for path in sorted(FOLDER.glob("*.yaml"))]
KEPT = frozenset({"openai", "chatcompletion", "vllm", "sglang", "zai", "qwen"})
"""Backend types that reach the upstream as they are."""
UNRUNNABLE: Mapping[str, str] = {
    "three_agents_dspy_enabled.yaml": "rephrases the question with DSPy, which has its own client",
    "fifty_gemini_agents.yaml": "fifty agents prove nothing that six do not, in a minute",
}
NO_TOOLS = {"enable_web_search", "enable_code_interpreter", "enable_code_execution"}
SCRIPT = {
    "draft": "Air scatters blue light.",
    "evaluate": "vote longest",
    "present": {"new_answer": "Because air scatters blue light most."},
}
PATIENCE = 60
HELLO: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]


def offline(team: Team, name: str, url: str) -> Team:
    """The team with its backends pointed at the upstream."""
    given = copy.deepcopy(dict(team.settings.massgen or {}))
    listed = [given["agent"]] if "agent" in given else given["agents"]
    agents: list[Agent] = []
    for number, (agent, entry) in enumerate(zip(team.agents, listed, strict=True), start=1):
        backend: dict[str, Any] = entry["backend"]
        kind = agent.backend.type if agent.backend.type in KEPT else "chatcompletion"
        model = agent.model if agent.model != "its own" else "claude"
        for key in [key for key in backend if key in NO_TOOLS and kind != "openai"]:
            del backend[key]
        backend |= {"type": kind, "base_url": url, "model": model}
        entry.setdefault("id", f"agent{number}")
        pointed = Backend(type=kind, base_url=url, api_key="scripted")
        agents.append(replace(agent, backend=pointed, model=model))
    settings = replace(team.settings, massgen=given)
    return Team(name, agents, settings=settings)


@dataclass(frozen=True)
class Stage:
    url: str
    upstream: ScriptedServer
    working_directory: Path


@pytest.fixture(scope="module")
def stage(
    shared: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """The teams, served from a working directory of their own, where nobody else writes files."""
    folder, directory = shared("massgen-configs/basic/multi"), tmp_path_factory.mktemp("cwd")
    upstream = ScriptedServer({}, default=SCRIPT, keep_requests=100_000)
    with contextlib.chdir(directory), serving(upstream) as provider:
        teams = [
            offline(load(folder / name, {}, engine="massgen").team, name, f"{provider}/v1")
            for name in NAMES
            if name not in UNRUNNABLE
        ]
        with serving(create_app(MassGen(*teams, env={}))) as url:
            yield Stage(url, upstream, directory)


def params() -> list[Any]:
    return [
        pytest.param(name, marks=pytest.mark.skip(reason=UNRUNNABLE[name]))
        if name in UNRUNNABLE
        else name
        for name in NAMES or [""]
    ]


def answer(name: str, stage: Stage) -> list[ChoiceDelta]:
    """What the team of that config streams."""
    with (
        openai.OpenAI(base_url=f"{stage.url}/v1", api_key="x", timeout=PATIENCE) as client,
        client.chat.completions.create(model=name, messages=HELLO, stream=True) as chunks,
    ):
        return [chunk.choices[0].delta for chunk in chunks if chunk.choices]


@pytest.mark.parametrize("name", params())
def test_a_shipped_config_answers(name: str, stage: Stage) -> None:
    before = len(stage.upstream.requests)
    parts = answer(name, stage)
    text = "".join(part.content or "" for part in parts)
    assert text == "Because air scatters blue light most."
    phases = {request.phase for request in stage.upstream.requests[before:]}
    assert phases == set(Phase)
    told = "".join(getattr(part, "reasoning_content", None) or "" for part in parts)
    assert "answered." in told
    assert "voted for" in told


def test_the_shipped_configs_left_nothing_in_the_working_directory(stage: Stage) -> None:
    # It asks once by itself: under xdist the tests above may have run in other processes.
    answer(next(name for name in NAMES if name not in UNRUNNABLE), stage)
    assert stage.upstream.requests
    assert not list(stage.working_directory.iterdir())


def test_check_says_of_every_shipped_config_which_engine_it_needs(
    shared: Callable[[str], Path],
) -> None:
    folder = shared("massgen-configs")
    found: dict[str, int] = {}
    for path in sorted(folder.rglob("*.yaml")):
        report = check_text(path.read_text(encoding="utf-8"), {}, str(path))
        found[report.verdict] = found.get(report.verdict, 0) + 1
        if report.verdict == "needs_massgen":
            assert report.engine == "massgen"
            assert "for " in report.text().split("engine: massgen, ", 1)[1]
            assert json.loads(report.to_json())["engine"] == "massgen"
    assert found["needs_massgen"] > 100
