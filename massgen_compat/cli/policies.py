"""``massgen-compat policies``: shows which models are treated specially, and how."""

import argparse
import sys

from massgen_compat.cli.parser import Commands
from massgen_compat.policies.report import resolved, table

_ABOUT = """\
Print the models that are treated specially, with the evidence for it; or, for
the name of a model, its policy and all that the policy changes. Every other
model's requests stay as they are.
"""

_EXAMPLES = """\
examples:
  massgen-compat policies
  massgen-compat policies gpt-5.2
"""


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "policies",
        help="show which models are treated specially, and how",
        description=_ABOUT,
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="a model's name, as a config has it (default: the table of all)",
    )
    parser.set_defaults(command=_policies)


def _policies(arguments: argparse.Namespace) -> int:
    text = resolved(arguments.model) if arguments.model else table()
    sys.stdout.write(f"{text}\n")
    return 0
