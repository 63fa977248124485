"""What all commands share: the argument parser, the types of values, and the exit codes.

The parser answers a mistyped word with the one that was probably meant.
"""

import argparse
import sys
from collections.abc import Iterable
from typing import Any, NoReturn, Protocol

from massgen_compat.errors import did_you_mean


class Commands(Protocol):
    """The type of what ``add_subparsers`` returns; ``argparse`` has no public name for it."""

    def add_parser(self, name: str, *, help: str, description: str, epilog: str) -> "CommandParser":  # noqa: A002
        """Add a command of this name, and return its parser."""
        ...


class CommandParser(argparse.ArgumentParser):
    """``argparse``'s parser, with hints at misspellings, and help texts as they were written.

    Flags cannot be abbreviated: an abbreviation would become ambiguous with a later flag.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            **settings, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride] - one overload of two
        self, args: Any = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Refuse unknown arguments here: this parser knows the flags that may have been meant."""
        known, rest = super().parse_known_args(args, namespace)
        if rest:
            self._refuse_rest(rest)
        return known, rest

    def _refuse_rest(self, rest: list[str]) -> NoReturn:
        flag = next((each for each in rest if each.startswith("--")), None)
        if flag is None:
            self.error(f"unknown argument: {' '.join(rest)}")
        name = flag.partition("=")[0]
        self.error(f"unknown flag {name}{did_you_mean(name, self._option_string_actions)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        problem = f"{value!r} is not one of {', '.join(map(str, action.choices))}"
        raise argparse.ArgumentError(action, problem + _hint(str(value), action.choices))


def _hint(word: str, known: Iterable[Any]) -> str:
    if word.endswith((".yaml", ".yml")) and "serve" in known:
        return f"; did you mean `massgen-compat serve {word}`?"
    return did_you_mean(word, map(str, known))


# The types of values. Each raises argparse.ArgumentTypeError, which becomes the command's error.


def port(text: str) -> int:
    """A port, 0 to 65535. It is checked here because uvloop takes the number modulo 65536."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


def seconds(text: str) -> float:
    """A number of seconds above zero."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def duration(text: str) -> float:
    """A number of seconds, or ``0``."""
    return 0.0 if text == "0" else seconds(text)


def count(text: str) -> int:
    """A whole number, 0 or more."""
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    if count(text) < 1:
        raise argparse.ArgumentTypeError("it has to be at least 1")
    return int(text)


# Exit codes

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
"""A check or a run failed; the command or its configuration is wrong; Ctrl-C."""


def fail(message: str) -> int:
    """Write one line on stderr that says why the command ends; returns ``MISUSED``."""
    sys.stderr.write(f"massgen-compat: {' '.join(message.split())}\n")
    return MISUSED
