"""A command line that answers a mistyped word with the one that was meant, and its value types."""

import argparse
import sys
from collections.abc import Iterable
from typing import Any, NoReturn, Protocol

from massgen_compat.errors import did_you_mean


class Commands(Protocol):
    """What ``add_subparsers`` returns; ``argparse`` has no public name for it."""

    def add_parser(self, name: str, *, help: str, description: str, epilog: str) -> "CommandParser":  # noqa: A002
        """A parser for a command of this name."""
        ...


class CommandParser(argparse.ArgumentParser):
    """``argparse``, with texts as they were written, whole flags only, and hints at misspellings.

    A flag that is a prefix of another would change its meaning with the next flag that is added.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            **settings, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride] - one overload of two
        self, args: Any = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Refuse what is unknown here, where the flags are known that may have been meant."""
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


# Values. Each raises argparse.ArgumentTypeError, which becomes the command's error.


def port(text: str) -> int:
    """A port, 0 to 65535; uvloop takes the number modulo 65536, so it is checked here."""
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


FAILED, MISUSED, INTERRUPTED = 1, 2, 130
"""Exit codes: a check or a run failed; the command or its configuration is wrong; Ctrl-C."""


def fail(message: str) -> int:
    """Say on stderr, in one line, why the command ends; returns ``MISUSED``."""
    sys.stderr.write(f"massgen-compat: {' '.join(message.split())}\n")
    return MISUSED
