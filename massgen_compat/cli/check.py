"""``massgen-compat check``: says what every key of a config means here."""

import argparse
import os
import sys
from pathlib import Path

from massgen_compat.cli.parser import FAILED, Commands
from massgen_compat.config import check

_ABOUT = """\
Say for every key of a MassGen config whether it is honoured, ignored, or needs
MassGen itself; which policy each agent is under, what its model takes and
costs, and which keys of providers are still to be set. Nothing is asked of any
provider.

Exit code 0: the config can be served; 1: it cannot, and the report says why.
"""

_EXAMPLES = """\
examples:
  massgen-compat check team.yaml
  massgen-compat check --json team.yaml
"""


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "check", help="say what a config's keys mean here", description=_ABOUT, epilog=_EXAMPLES
    )
    parser.add_argument("team", type=Path, metavar="TEAM.yaml", help="a MassGen config")
    parser.add_argument(
        "--json", action="store_true", help="print the report as JSON (default: as text)"
    )
    parser.set_defaults(command=_check)


def _check(arguments: argparse.Namespace) -> int:
    report = check(arguments.team, os.environ)
    sys.stdout.write((report.to_json() if arguments.json else report.text()) + "\n")
    return 0 if report.ok else FAILED
