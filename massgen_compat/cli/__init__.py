"""The command line: ``serve``, ``run``, ``check``, ``doctor``, ``policies``, ``demo``.

Each command has a module, whose ``add`` describes its arguments. Only these modules and ``MassGen``
read the environment.
"""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from massgen_compat.cli import check, demo, policies, run, serve
from massgen_compat.cli.doctor import command as doctor
from massgen_compat.cli.parser import FAILED, INTERRUPTED, CommandParser, fail
from massgen_compat.errors import MassGenError

_EXTRAS = {"aiohttp": "server", "opentelemetry": "otel", "starlette": "server", "uvicorn": "server"}

_ABOUT = """\
Put a team of LLM agents behind any OpenAI client: they draft, read each other,
vote or improve, and the winner answers. Teams are MassGen's YAML files.

New here? `massgen-compat demo` needs no key; `check` says what a config means;
`serve` serves it.
"""

_ENVIRONMENT = """\
environment:
  MASSGEN_COMPAT_API_KEYS  keys that clients of `serve` must send, comma-separated
  MASSGEN_COMPAT_API_KEY   the key that `doctor` sends
  OPENAI_API_KEY, ...      the providers' keys; `check` names those that a
                           config still needs

exit codes:
  0  done
  1  a run failed, or a check found problems
  2  the command or its configuration is wrong; the last line of stderr says
     what to change
"""


def command_line() -> CommandParser:
    """The parser of the whole command line. Its result has the command to call in ``command``."""
    parser = CommandParser(prog="massgen-compat", description=_ABOUT, epilog=_ENVIRONMENT)
    parser.add_argument(
        "--version",
        action="version",
        version=f"massgen-compat {version('massgen-compat')}",
        help="print the version",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for each in (serve, run, check, doctor, policies, demo):
        each.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, by default the process's own; returns its exit code.

    An expected error is one line on stderr, and never a traceback.
    """
    arguments = command_line().parse_args(argv)
    try:
        return arguments.command(arguments)
    except MassGenError as error:
        return fail(error.message)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None:
            raise
        return fail(f"{error.name} is not installed: pip install 'massgen-compat[{extra}]'")
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        # Python flushes stdout at its exit, which would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
