"""The glossary has the words that a reader needs, and other pages lead to each of them."""

import re

from tests.docs.blocks import PAGES, ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"
WORDS = {
    "draft",
    "engine",
    "evaluation",
    "gate",
    "label",
    "policy",
    "presenter",
    "round",
    "run",
    "team",
    "trace",
    "turn",
    "verified",
    "vote",
    "wire",
}


def entries() -> dict[str, str]:
    """The text below each heading, by its anchor."""
    parts = re.split(r"^## (.+)\n", GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(map(str.lower, parts[1::2]), parts[2::2], strict=True))


def test_every_word_has_an_entry_that_leads_on() -> None:
    found = entries()
    assert set(found) == WORDS
    for word, text in found.items():
        assert re.search(r"More:\s\[[^\]]+\]\([\w.#/-]+\)", text), word


def test_other_pages_lead_to_every_word_and_to_no_other() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PAGES if path != GLOSSARY]
    assert {
        word for text in texts for word in re.findall(r"glossary\.md#([\w-]+)\)", text)
    } == WORDS
