"""The teams to start from: each can be served as it stands, and answers over HTTP."""

import re
from pathlib import Path
from typing import Any, cast

import openai
import pytest
import yaml

from massgen_compat import MassGen
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.config import check
from massgen_compat.testing import ScriptedServer

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))

DOUBTFUL: Any = {"evaluate": [{"new_answer": "Ask the others."}, "vote agent1"]}
"""Who is asked first has a doubt, so that the others are called."""

configs = pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)


@configs
def test_a_config_is_honoured_to_the_last_key(config: Path) -> None:
    report = check(config, {})
    assert report.ok, report.text()
    assert report.counts["honoured"] == len(report.findings), report.text()


@configs
def test_a_config_says_which_keys_it_needs(config: Path) -> None:
    head = config.read_text(encoding="utf-8").partition("\nagents:")[0]
    wanted = {
        name for told in check(config, {}).missing for name in re.findall(r"[A-Z_]+_API_KEY", told)
    }
    assert set(re.findall(r"[A-Z_]+_API_KEY", head)) == wanted
    assert f"massgen-compat serve configs/{config.name}" in head


@configs
def test_a_config_answers_with_scripts_in_the_place_of_its_providers(
    config: Path, tmp_path: Path
) -> None:
    """The file as it is, but for the address and the key of each backend."""
    upstream = ScriptedServer({"gpt-5-mini": DOUBTFUL}, default={})
    with serving(upstream) as url:
        team: dict[str, Any] = yaml.safe_load(config.read_text(encoding="utf-8"))
        for agent in cast("list[Any]", team["agents"]):
            agent["backend"] |= {"base_url": f"{url}/v1", "api_key": "scripted"}
        path = tmp_path / config.name
        path.write_text(yaml.safe_dump(team), encoding="utf-8")
        massgen = MassGen.from_yaml(path, env={})
        with (
            serving(create_app(massgen)) as served,
            openai.OpenAI(base_url=f"{served}/v1", api_key="unused") as client,
        ):
            completion = client.chat.completions.create(
                model=config.stem, messages=[{"role": "user", "content": "Why is the sky blue?"}]
            )
    assert completion.choices[0].message.content
    asked = {request.model for request in upstream.requests}
    assert asked == {agent.model for agent in massgen.team(config.stem).agents}


def test_every_config_is_on_its_page() -> None:
    page = (ROOT / "docs" / "configs.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\(\.\./configs/([^)]+)\)", page) == [path.name for path in CONFIGS]
