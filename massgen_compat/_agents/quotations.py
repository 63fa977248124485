"""What of a text its author says: no thought, no quotation of others, no example. Pure."""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, cast

from massgen_compat._agents.loose_values import without_halves

LONGEST_TEXT: Final = 64 * 1024
"""Characters of a reply's end that are read."""

Masked = Callable[[int], bool]
"""Whether a place of a text is to be passed over."""

_QUOTED_LINE: Final = re.compile(r"^[ \t]*+>.*$", re.MULTILINE)
EQUAL_SIGNS: Final = re.compile(r"^[ \t]*+(={4,}+)[ \t]*+([^=\s][^\n]*+)", re.MULTILINE)


def squeezed(text: str) -> str:
    """Letters and digits only: a quotation stays one, however it is escaped or broken."""
    return "".join(WORDS.findall(_ESCAPES.sub(_meant, text.casefold())))


def _meant(escape: re.Match[str]) -> str:
    code: str | None = escape[1]
    return chr(int(code, 16)).casefold() if code else " "


_ESCAPES: Final = re.compile(r"\\(?:u([0-9a-f]{4})|[nrt])")


WORDS: Final = re.compile(r"\w+")


def first(span: tuple[int, int]) -> int:
    return span[0]


def covers_of(spans: Sequence[tuple[int, int]]) -> Masked:
    """Whether a place lies in one of the spans, which stand in their order."""

    def covers(at: int) -> bool:
        index = bisect_right(spans, at, key=first) - 1
        return index >= 0 and at < spans[index][1]

    return covers


def quotations(text: str) -> list[tuple[int, int]]:
    """Where the text quotes: lines that begin with ``>``, and what equal signs enclose.

    A fence ends with the same number of signs; one that does not end reaches to the text's end,
    and what stands before the end of one that does not begin is a quotation, too.
    """
    lines = list(EQUAL_SIGNS.finditer(text))
    spans = [match.span() for match in _QUOTED_LINE.finditer(text)]
    opened: re.Match[str] | None = None
    for line in lines:
        ends = line[2].casefold().startswith("end")
        if opened is None and ends:
            spans = [(0, line.end())]
        elif opened is None:
            opened = line
        elif ends and line[1] == opened[1]:
            spans.append((opened.start(), line.end()))
            opened = None
    if opened is not None:
        spans.append((opened.start(), len(text) + 1))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


# Before a decision

# What may stand between a tool's name and its arguments. Possessive wherever it is repeated.
_MARKS: Final = (
    r"\s|```[\w+-]*|~~~\w*|[:`*\"'=(-]|</?[\w|\uff5c▁ :/=.-]{1,60}>"
    r"|<[|\uff5c][^<>\n]{1,60}[|\uff5c]>"
    r"|\[CALL_ID\]\w{1,40}|\[/?[A-Z_]{2,20}\]|\baction[ _]input\b|\b(?:with )?arguments\b|\bjson\b"
)
_NAME_BEFORE: Final = re.compile(
    rf"(?<![\w.-])([^\W\d][\w.-]*+(?::\d+)?)(?:{_MARKS})*+\Z", re.IGNORECASE
)
_BLOCK_BEFORE: Final = re.compile(
    rf"(?:{_MARKS}|[#>•,]|(?:\A|(?<=\n))[ \t]*\d{{1,2}}[.)]|\b(?:to|functions?|call|commentary"
    r"|functools|print|action|tool(?:_name)?)\b)*+\Z",
    re.IGNORECASE,
)
_WINDOW: Final = 320

# "For example: {...}", "You can vote like this: ...", "To vote, call vote(...)": no decision.
_EXAMPLE: Final = re.compile(
    r"\b(?:example|e\.g|for instance|such as|template|schema|syntax|beispiel|z\. ?b)\b",
    re.IGNORECASE,
)
_TALK: Final = re.compile(
    r"\b(?:(?:you|one|agents?|they|we|user|he|she)"
    r" (?:can|could|would|should|may|might|must|need|will)"
    r"|would (?:be|look|have)|could (?:be|call|write|vote)|if (?:i|you|one|we)"
    r"|(?:would|will|do|should|must|can) not|don['\u2019]t|won['\u2019]t|cannot|never|instead of"
    r"|says?|said|wrote|writes?|quot\w+|würde|könnte|nicht|statt"
    r"|(?:its|the|this|that) (?:draft|answer) (?:contains|ends|tries|asks|tells))\b",
    re.IGNORECASE,
)
_TO_VOTE: Final = re.compile(r"\bto (?:vote|cast|submit|choose)\b|\babzustimmen\b", re.IGNORECASE)
_FIRST_PERSON: Final = re.compile(r"\b(?:I|my|final|decision|ich|mein|meine)\b", re.IGNORECASE)
_LEADS: Final = re.compile(r"[:>\u2013—-]\W*\Z|\A\W*calling\b", re.IGNORECASE)


def is_talk(text: str) -> bool:
    """Whether a text speaks of decisions that somebody could make."""
    if _EXAMPLE.search(text) or _TALK.search(text):
        return True
    return _TO_VOTE.search(text) is not None and _FIRST_PERSON.search(text) is None


def name_before(text: str, start: int) -> tuple[str, int] | None:
    """The word that stands before a value, with nothing but marks between, and where it stands."""
    begin = max(0, start - _WINDOW)
    match = _NAME_BEFORE.search(text[begin:start])
    return (match[1], begin + match.start(1)) if match else None


def stands_alone(text: str, block: int, *, in_fence: bool) -> bool:
    """Whether nothing before a block, in its line or as its introduction, makes it talk.

    In a line of its own it may follow any prose but an example's introduction; in a line with
    other words they have to be the speaker's own, or to lead over.
    """
    before = text[max(0, block - _WINDOW) : block]
    marks = _BLOCK_BEFORE.search(before)
    cut = marks.start() if marks else len(before)
    removed, lead = before[cut:], before[:cut]
    if in_fence and "```" not in removed and "~~~" not in removed:
        return False  # other code stands before it
    line = re.split(r"\n|[.!?]\s", lead)[-1]
    first = removed.partition("\n")[0]
    if not lead or "\n" in removed:
        return not (_EXAMPLE.search(line) or (":" in first and is_talk(line)))
    return not is_talk(line) and (
        _FIRST_PERSON.search(line) is not None or _LEADS.search(line + removed) is not None
    )


# Before and behind a reply

_THINKING: Final = re.compile(r"\s*(?:<\|?(think|thinking|thought|reasoning)\|?>|\[(THINK)\])")


_QUOTES_OR_THINKS: Final = re.compile(r"<think>|^[ \t]*+(?:={4}|>)", re.MULTILINE)
_HARMONY: Final = re.compile(r"\s*(?:<\|start\|>\w*)?<\|channel\|>")


def without_thinking(text: str) -> str:
    """What follows the thinking, in Unix lines; a thought that does not end is no reply."""
    if opening := _THINKING.match(text):
        name = cast("str", opening[1] or opening[2])
        closing = re.compile(rf"(?:</|<\|/|\[/){name}(?:\|?>|\])").search(text, opening.end())
        if closing is None:
            return ""
        text = text[closing.end() :]
    elif (end := text.find("</think>")) >= 0 and not _QUOTES_OR_THINKS.search(text[:end]):
        text = text[end + len("</think>") :]  # the template itself began it (DeepSeek R1)
    if _HARMONY.match(text):
        text = text[text.rfind("<|channel|>") :]  # gpt-oss: the last of its messages
    text = text[: _end_before_tokens(text)]
    if len(text) > LONGEST_TEXT:
        text = text[-LONGEST_TEXT:].partition("\n")[2]
    return without_halves(text.replace("\r\n", "\n").replace("\r", "\n").strip())


def _end_before_tokens(text: str) -> int:
    """Where the text ends without ``<|im_end|>``, ``</s>`` and the like."""
    end = len(text)
    while token := _LAST_TOKEN.search(text[max(0, end - 60) : end]):
        end -= len(token[0])
    return end


_LAST_TOKEN: Final = re.compile(
    r"(?:\s{1,40}|<[|\uff5c][^<>\n|\uff5c]{1,40}[|\uff5c]>|</s>|<end_of_turn>)\Z"
)
