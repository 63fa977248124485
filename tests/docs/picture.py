"""The picture of the README: a terminal in which a real run of a scripted team was watched.

``make picture`` writes ``docs/picture.svg``. Agents work at the same time, so that the order of
lines can differ from run to run; ``tests/docs/test_picture.py`` compares the lines.
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

from tests.processes import run

ROOT: Final = Path(__file__).parents[2]
PICTURE: Final = ROOT / "docs" / "picture.svg"
COMMAND: Final = ("run", "examples/team_scripted.yaml", "Why is the sky blue?", "--trace", "full")

COLUMNS: Final = 96
LINE: Final = 19
MARGIN: Final = 18
WIDTH: Final = 850

STYLE: Final = """\
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre }
.shell { fill: #7ee787 } .told { fill: #8b949e } .said { fill: #f0f6fc }"""


def watched() -> tuple[str, str]:
    """What the command prints: the deliberation, and the message."""
    told = run([sys.executable, "-m", "massgen_compat", *COMMAND], cwd=ROOT)
    if told.code:
        raise RuntimeError(told.err)
    return told.err, told.out


def lines() -> Iterator[tuple[str, str]]:
    """The lines of the terminal, each with its style."""
    words = (f'"{word}"' if " " in word else word for word in COMMAND)
    yield "shell", f"$ massgen-compat {' '.join(words)}"
    deliberation, message = watched()
    for style, text in (("told", deliberation), ("said", message)):
        for line in text.splitlines():
            yield from ((style, part) for part in textwrap.wrap(line, COLUMNS))


def draw() -> str:
    """The picture as SVG; it refers to nothing outside itself."""
    rows = [
        f'<text class="{style}" x="{MARGIN}" y="{MARGIN + LINE * number}">{escape(text)}</text>'
        for number, (style, text) in enumerate(lines(), start=1)
    ]
    height = 2 * MARGIN + LINE * (len(rows) + 1) - LINE // 2
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            "<title>Three scripted agents answer a question in a terminal</title>",
            f"<style>\n{STYLE}\n</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="10" fill="#0d1117"/>',
            *rows,
            "</svg>\n",
        )
    )


def shown(svg: str) -> list[str]:
    """The lines of a picture, as they stand in it."""
    return re.findall(r"<text [^>]*>(.*?)</text>", svg)


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
