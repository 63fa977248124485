"""What a mistyped word may have meant. Pure."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """An addition to an error about an unknown word, from the known one that is nearest; or ``""``.

    >>> did_you_mean("opnai", ["openai", "ollama"])
    '; did you mean `openai`?'
    >>> did_you_mean("claude", ["openai", "ollama"])
    ''
    """
    close = difflib.get_close_matches(str(word), tuple(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
