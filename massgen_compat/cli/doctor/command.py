"""``massgen-compat doctor``: examines an endpoint as its clients would."""

import argparse
import os
import sys

import anyio

from massgen_compat.cli.doctor.findings import Finding, line, summary
from massgen_compat.cli.parser import FAILED, MISUSED, Commands, seconds

_ABOUT = """\
Examine any OpenAI-compatible endpoint, also behind a proxy or a tunnel: its
URL, keys, models and errors, and with a few chat requests its replies, streams
and tool calls. Every problem comes with what to do about it. Chat requests
cost money; how many they are stands in the first line.

Exit code 0: no problems; 1: problems; 2: no API there, or a wrong command.
"""

_EXAMPLES = """\
examples:
  massgen-compat doctor http://127.0.0.1:4000/v1
  MASSGEN_COMPAT_API_KEY=... massgen-compat doctor https://ai.example.org/v1 --no-chat
"""


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="examine a running endpoint as a client would, and say what to fix",
        description=_ABOUT,
        epilog=_EXAMPLES,
    )
    parser.add_argument("url", metavar="URL", help="the base URL, as clients are given it")
    parser.add_argument(
        "--key",
        help="the key to send (default: $MASSGEN_COMPAT_API_KEY, which other users of the machine "
        "cannot see in the list of processes); it is never printed",
    )
    parser.add_argument(
        "--model", metavar="NAME", help="the model to chat with (default: the first that is listed)"
    )
    parser.add_argument(
        "--no-chat",
        action="store_true",
        help="make no chat requests: free, and blind to replies and streams (default: make them)",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=300.0,
        metavar="SECONDS",
        help="how long a chat request may take (default: %(default)g)",
    )
    parser.set_defaults(command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from massgen_compat.cli.doctor import checkup  # noqa: PLC0415 - aiohttp: [server]
    from massgen_compat.cli.doctor.address import read_url  # noqa: PLC0415

    target = checkup.Target(
        address=read_url(arguments.url),
        key=checkup.read_key(arguments.key or os.environ.get("MASSGEN_COMPAT_API_KEY")),
        model=arguments.model,
        chat=not arguments.no_chat,
        chat_seconds=arguments.timeout,
    )
    told: list[Finding] = []

    def tell(finding: Finding) -> None:
        told.append(finding)
        _show(line(finding, secret=target.key))

    _show(_greeting(target.address.base, checkup.CHATS if target.chat else 0))
    verdict = anyio.run(checkup.examine, target, tell)
    _show(summary(told))
    return {"well": 0, "unwell": FAILED, "unreachable": MISUSED}[verdict]


def _greeting(base: str, chats: int) -> str:
    """What is about to be examined, and what that costs; ``chats`` is the number of chats."""
    if not chats:
        return f"Examining {base} without chat requests.\n"
    return (
        f"Examining {base} with up to {chats} chat requests. They cost what the "
        "model costs: a team's all that its agents cost.\n(--no-chat leaves them out; --model "
        "NAME-single asks one agent of a team.)\n"
    )


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
