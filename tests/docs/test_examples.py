"""The examples do what they promise: each program is run, some with a team of the reader's."""

import re
import sys
from pathlib import Path

import openai
import pytest

from massgen_compat.config import check
from tests.processes import run, served

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "examples"
README = (PROJECT / "README.md").read_text(encoding="utf-8")

ANSWER = (
    "Air scatters short waves most (Rayleigh scattering), so blue comes from all over the sky; at "
    "sunset the way is long, and red is what is left."
)

PRINTED = {
    "chat.py": (f"{ANSWER}\nwinner: ben\n", "ben: 4 calls\n", "tokens of the whole run: "),
    "custom_engine.py": ("Air scatters blue light most.\nwinner: ben\n",),
    "custom_policy.py": (
        "hasty is turned back (no_reason), try 1\n",
        "hasty votes for hasty: It names the cause, the other does not.\n",
        "the winner is hasty\n",
    ),
    "events_on_trio.py": ("run_started\nturn_started\n", f"winner_chosen\nben: {ANSWER}\n"),
    "limits.py": (
        "the team: ended by max_calls, ",
        "{'max_calls': 7}: ended by max_calls, ",
        "{'max_cost': 0.004}: ended by max_cost, ",
    ),
    "many_teams.py": ("pair: 5 model calls\nfive: 11 model calls\n", "pair-single: 1 model calls"),
    "sdk_client.py": (
        "models: team, team-single\n",
        "  The team chose ben (votes: ben 3).\n",
        f"{ANSWER}\n",
    ),
    "structured_output.py": ("Rayleigh scattering, 90% sure\n", "ada's calls: 4 "),
    "tool_loop.py": ("model calls: 5\nweather(", "model calls: 1\nIt is 18 degrees"),
    "tracing.py": ("invoke_workflow team\n  invoke_agent ada\n    chat scripted\n",),
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


def test_the_config_of_the_readme_is_the_example_and_can_be_served() -> None:
    [block, *_] = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert (EXAMPLES / "team.yaml").read_text(encoding="utf-8").endswith(block)
