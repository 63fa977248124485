"""Serves scripted teams over real HTTP and runs other clients against them (make test-clients).

    python -m tests.clients COMMAND [ARGUMENT ...] [-- COMMAND ...]

Each command is a client; it gets the server's URL and a key as its last arguments and says by its
exit code whether it was content. Exit code 0: all of them were.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat.__main__ import serving
from massgen_compat.asgi import create_app

KEY = "the-key-of-the-clients"
ANSWER = "Because air scatters blue light most."
PATIENCE = 120

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


def commands(arguments: Sequence[str]) -> Iterator[list[str]]:
    for separator, group in groupby(arguments, key=lambda argument: argument == "--"):
        if not separator:
            yield list(group)


def main(arguments: Sequence[str]) -> int:
    massgen = MassGen(
        team("trio", AGREEABLE, "ada", "ben", "cleo"),
        team("tooled", TOOLED, "ada", "ben"),
        team("limited", LIMITED, "ada", "ben"),
        team("broken", BROKEN, "ada", "ben"),
        env={},
    )
    failed = 0
    with serving(create_app(massgen, api_keys=[KEY])) as url:
        for command in commands(arguments):
            print(" ".join(command), flush=True)
            done = subprocess.run([*command, f"{url}/v1", KEY], check=False, timeout=PATIENCE)
            failed += done.returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
