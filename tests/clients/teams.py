"""The teams that the further checks of the official SDKs ask (``Client.checks``)."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from tests.clients.stage import KEY

ANSWER = "Because air scatters blue light most."

AGREEABLE = {
    "draft": "Air scatters blue light.",
    "evaluate": {"vote": "agent1", "reason": "It names the cause."},
    "present": ANSWER,
}
TOOLED = {
    **AGREEABLE,
    "present": [
        {"calls": [{"name": "read", "arguments": {"path": "sky.txt"}}]},
        {"text": "The file says blue."},
    ],
}
LIMITED = {"draft": {"fail": {"status": 429, "retry_after": 7}}}
BROKEN = {**AGREEABLE, "present": {"text": ANSWER, "fail": {"cut": True, "after_tokens": 2}}}


def team(name: str, script: dict[str, Any], *members: str) -> Team:
    backend = Backend(type="scripted", script=script)
    return Team(name, [Agent(member, model="scripted", backend=backend) for member in members])


@contextmanager
def serving_teams() -> Generator[str]:
    """Serve them for the time of a ``with``; yields the URL, which ends in ``/v1``."""
    massgen = MassGen(
        team("trio", AGREEABLE, "ada", "ben", "cleo"),
        team("tooled", TOOLED, "ada", "ben"),
        team("limited", LIMITED, "ada", "ben"),
        team("broken", BROKEN, "ada", "ben"),
        env={},
    )
    with serving(create_app(massgen, api_keys=[KEY])) as url:
        yield f"{url}/v1"
