"""The tools for llm (``--functions``): everything here whose name does not start with ``_``."""

from pathlib import Path as _Path


def read_file(path: str) -> str:
    """Return the text of a file."""
    return _Path(path).read_text(encoding="utf-8")


def write_file(path: str, content: str) -> str:
    """Write a text to a file."""
    _Path(path).write_text(content, encoding="utf-8")
    return "written"
