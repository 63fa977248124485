"""How a command ends: its exit codes, and the one line that says why."""

import sys

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
"""Exit codes: a check or a run failed; the command or its configuration is wrong; Ctrl-C."""


def fail(message: str) -> int:
    """Say on stderr, in one line, why the command ends; returns ``MISUSED``."""
    sys.stderr.write(f"massgen-compat: {' '.join(message.split())}\n")
    return MISUSED
