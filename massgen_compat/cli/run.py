"""``massgen-compat run``: asks one question; deliberation on stderr, the answer on stdout."""

import argparse
import sys
from pathlib import Path
from typing import Any, TextIO, get_args

import anyio

import massgen_compat
from massgen_compat._run.team import Trace
from massgen_compat.cli.parser import FAILED, Commands, fail
from massgen_compat.errors import MassGenError

_ABOUT = """\
Ask a team one question. The deliberation goes to stderr, the answer to stdout,
so that `massgen-compat run team.yaml "..." > answer.txt` keeps the answer
alone.
"""

_EXAMPLES = """\
examples:
  massgen-compat run team.yaml "Why is the sky blue?"
  massgen-compat run team.yaml "Why is the sky blue?" --trace full
"""


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "run",
        help="ask a team one question and watch it deliberate",
        description=_ABOUT,
        epilog=_EXAMPLES,
    )
    parser.add_argument("team", type=Path, metavar="TEAM.yaml", help="a MassGen config")
    parser.add_argument("question", metavar="QUESTION", help="what to ask")
    parser.add_argument(
        "--trace",
        choices=get_args(Trace),
        help="how much of the deliberation to show: nothing; who answered, who voted for whom and "
        "who won; or all that the agents write (default: the config's `trace`, else status)",
    )
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    massgen = massgen_compat.MassGen.from_yaml(arguments.team)
    payload: dict[str, Any] = {
        "model": next(iter(massgen.teams)),
        "messages": [{"role": "user", "content": arguments.question}],
    }
    if arguments.trace:
        payload["massgen"] = {"trace": arguments.trace}

    async def ask() -> None:
        async with massgen, massgen.chat_stream(payload) as chunks:
            async for chunk in chunks:
                for choice in chunk.choices:
                    _show(sys.stderr, (choice.delta.model_extra or {}).get("reasoning_content"))
                    _show(sys.stdout, choice.delta.content or choice.delta.refusal)
        sys.stdout.write("\n")

    try:
        anyio.run(ask)
    except MassGenError as error:
        fail(error.message)
        return FAILED
    return 0


def _show(stream: TextIO, text: str | None) -> None:
    if text:
        stream.write(text)
        stream.flush()
