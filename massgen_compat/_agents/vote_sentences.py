"""Votes in plain words: "I vote for agent2", "Vote: Agent 2", ``agent_id: agent2``. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from massgen_compat._agents.label_folding import folded_key, folded_label, named_label, words
from massgen_compat._agents.quotations import Masked

SHORT_REST: Final = 200
"""Characters that may follow a decision: room for a closing sentence, not for a second thought."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence or block of lines that votes; ``listed``: as ``agent_id: agent2`` does."""

    label: str
    start: int
    end: int
    reason: str
    listed: bool = False


def mentioned(text: str, labels: Sequence[str]) -> set[str]:
    """The labels that a text names in any spelling; a number alone names none."""
    return {label for label, _, _ in _mentions(text, labels)}


def _mentions(text: str, labels: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    pattern = label_pattern(labels)
    if pattern is None:
        return
    for match in pattern.finditer(text):
        label = named_label(match[0].strip("*_`\"' "), labels)
        if label is not None:
            yield label, match.start(), match.end()


def vote_alone(text: str, labels: Sequence[str]) -> Sentence | None:
    """The label that is the whole text, or its last line under a heading that speaks of a vote.

    "Vote for agent2." is somebody's order, but not where it is all that a reply says.
    """
    lines = [line for line in text.rsplit("\n", 4) if line.strip()]
    bare = _ORDER.sub("", lines[-1].strip(_DECORATION)) if lines else ""
    pattern = label_pattern(labels)
    label = named_label(bare, labels) if pattern and pattern.fullmatch(bare) else None
    if label is None:
        return None
    if "\n" not in text.strip():
        return Sentence(label, 0, len(text), "")
    if len(lines) < 2 or not _HEADING.fullmatch(lines[-2].strip(_DECORATION)):
        return None
    return Sentence(label, text.rfind(lines[-2]), len(text), "")


_DECORATION: Final = "*_`\"'.!# "
_ORDER: Final = re.compile(r"\Avote(?:\sfor)?:?\s", re.IGNORECASE)
_HEADING: Final = re.compile(
    r"(?:(?:my|the|final|meine)\s){0,3}(?:vote|choice|decision|stimme|wahl)(?:\sis)?\W*",
    re.IGNORECASE,
)


def label_pattern(labels: Sequence[str]) -> re.Pattern[str] | None:
    """How labels look in prose: ``agent2`` as "Agent 2", "agent_2", "AGENT-2", "agent2.1"."""
    ways: set[str] = set()
    for label in labels:
        stem = label.rstrip("0123456789")
        if stem and stem != label:
            ways.add(re.escape(stem) + r"[\s_#-]{0,3}\d{1,6}(?:\.\d{1,3}(?!\d))?")
        elif label:
            ways.add(re.escape(label))
    if not ways:
        return None
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(sorted(ways))})(?![^\W_])", re.IGNORECASE)


DECLARES: Final = re.compile(
    r"\bI(?:['\u2019]?[a-z]{1,3})?\s(?:[\w']{1,12}\s){0,5}?(?:vot(?:e|ed|ing)|choose|chose|select|pick|go(?:ing)?\swith)\b"
    r"|\b(?:my|final)\s(?:[\w']{1,12}\s){0,3}?(?:vote|choice|decision|pick)\b"
    r"|\b(?:vote|voted|voting|decision|choice|winner|verdict|best\sanswer|stimme|wahl)\W{0,4}:"
    r"|\b(?:casting|cast)\smy\svote\b"
    # German, French, Spanish, Italian, Portuguese, Chinese
    r"|\bich\s(?:\w{1,12}\s){0,3}?(?:stimme|wähle|votiere|gebe\smeine\sstimme)\b"
    r"|\bmeine\s(?:stimme|wahl)\b"
    r"|\bje\s(?:\w{1,12}\s){0,2}?(?:vote|choisis)\b|\bmon\s(?:vote|choix)\b"
    r"|\b(?:yo\s)?voto\s(?:por|a|per|em|no|pelo)\b|\bmi\s(?:voto|elección)\b|\bil\smio\svoto\b"
    r"|我(?:的)?(?:选择|投票|投)",
    re.IGNORECASE,
)
_BETWEEN: Final = re.compile(
    r"(?:[\s*_`\"'“„:=\u2013—>-]"
    r"|\b(?:vote|for|the|answer|answers|response|of|from|by|to|is|goes|submitted|best|as|für|die|den|an"
    r"|geht|ist|antwort|von|pour|la|réponse|de|va|à|por|per|em|no|pelo|a|es|y|para)\b"
    r"|给|是|了|支持)*+"
)
_NOT: Final = re.compile(
    r"\b(?:not|never|no|neither|cannot|against|refuse|abstain|nobody|none|nicht|nie|kein\w*|gegen"
    r"|ne|pas|contre|jamais|nunca|contra|non|nem)\b|n['\u2019]t\b|不",
    re.IGNORECASE,
)
_OTHERS_WORDS: Final = re.compile(
    r"\b(?:said|says|say|saying|claims?|asks?|asked|tells?|told|writes?|wrote|instruct\w*|quot\w*"
    r"|user|prompt|example|e\.g|if|sagt|schreibt|heißt|zitat|beispiel|wenn)\b|[\"“„«»]",
    re.IGNORECASE,
)
REVERSAL: Final = re.compile(
    r"\b(?:but|however|unless|if|although|instead|rather|wait|actually|hmm|example|e\.g|otherwise"
    r"|either|no(?=\s*[,.!])|not\ssure|unsure|reconsider|withdr\w+|retract\w*|would\shave|should\shave|aber|wenn|falls|sonst|jedoch"
    r"|stattdessen|doch|mais|pero|sino|però|mas)\b|[?\uff1f]|但|如果",
    re.IGNORECASE,
)
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])[*_\"'\u2019)]{0,3}\s++|(?<=[。\uff01\uff1f])")

_LISTED: Final = re.compile(
    r"^[ \t]*+(?:[-*•+]|\d{1,2}[.)])?+[ \t]*+[*_`\"']{0,3}+"
    r"([^\W\d][\w \t-]{0,30}?)[*_`\"']{0,3}[ \t]*+"
    r"[:=][*_`]{0,3}+[ \t]*+(.*)$",
    re.MULTILINE,
)
_TARGETS: Final = words(
    "agentid agent vote votefor votedfor myvote finalvote choice mychoice finalchoice decision "
    "finaldecision selected winner bestagent bestanswer target actioninput stimme meinestimme wahl"
)
_BESIDE: Final = words(
    "reason reasons reasoning explanation why rationale justification because confidence "
    "grund begründung"
)
_TOOL_LINES: Final = words("action tool toolname name function call decision")


def vote_sentences(text: str, labels: Sequence[str], masked: Masked) -> list[Sentence]:
    """Every sentence of the text that votes for exactly one label, outside of what is masked."""
    found: list[Sentence] = []
    at = 0
    for line in text.split("\n"):
        if not masked(at) and DECLARES.search(line):
            found += _of_line(line, at, labels)
        at += len(line) + 1
    return found


def _of_line(line: str, at: int, labels: Sequence[str]) -> Iterator[Sentence]:
    start = 0
    ends = [match.start() for match in _SENTENCE_END.finditer(line)]
    for end in (*ends, len(line)):
        sentence = line[start:end]
        label = _declared(sentence, labels)
        if label is not None:
            yield Sentence(label, at + start, at + end, sentence.strip())
        start = end


def _declared(sentence: str, labels: Sequence[str]) -> str | None:
    declares = DECLARES.search(sentence)
    if declares is None or len(mentioned(sentence, labels)) != 1:
        return None
    named = (each for each in _mentions(sentence, labels) if each[1] >= declares.end())
    label, start, end = next(named, ("", 0, 0))
    between = _BETWEEN.match(sentence, declares.end())
    if between is None or between.end() != start or sentence[end:].lstrip("*_`.! ")[:1] == "?":
        return None
    before = sentence[:start]
    if _NOT.search(before) or _OTHERS_WORDS.search(before) or REVERSAL.search(sentence):
        return None
    return label


def listed_vote(text: str, labels: Sequence[str], masked: Masked) -> Sentence | None:
    """The vote of lines like ``agent_id: agent2`` and ``reason: ...`` that end the text.

    Nothing else may be listed behind them but a reason. Two such votes are none.
    """
    lines = [match for match in _LISTED.finditer(text) if not masked(match.start())]
    votes = [
        (match, label)
        for match in lines
        if folded_key(match[1]) in _TARGETS and (label := _value_label(match, labels)) is not None
        if folded_key(match[1]) != "actioninput" or _tool_line_before(lines, match)
    ]
    if not votes or len({label for _, label in votes}) > 1:
        return None
    first, label = votes[0]
    after = [match for match in lines if match.start() > first.start()]
    if any(folded_key(match[1]) not in _TARGETS | _BESIDE for match in after):
        return None
    reasons = [match for match in lines if folded_key(match[1]) in _BESIDE]
    rest = text[first.end() :] if not after else text[first.end() : after[0].start()]
    if len(rest.strip()) > SHORT_REST or mentioned(rest, labels) or REVERSAL.search(rest):
        return None
    start, end, reason = first.start(), first.end(), ""
    if reasons:
        last = reasons[-1]
        reason = text[last.start(2) :] if last.start() > first.start() else last[2]
        start, end = min(start, last.start()), max(end, last.end())
    listed = folded_key(first[1]) == "agentid" or _tool_line_before(lines, first)
    return Sentence(label, start, end, reason.strip(), listed=listed)


def _value_label(match: re.Match[str], labels: Sequence[str]) -> str | None:
    value = match[2].strip().strip("*_`\"'.,! ")
    exact = folded_key(match[1]) == "agentid"
    return folded_label(value, labels) if exact else named_label(value, labels)


def _tool_line_before(lines: list[re.Match[str]], first: re.Match[str]) -> bool:
    """Whether ``action: vote`` or ``vote:`` stands above."""
    return any(
        (folded_key(match[1]) in _TOOL_LINES and folded_key(match[2]).endswith("vote"))
        or (folded_key(match[1]) == "vote" and not match[2].strip())
        for match in lines
        if match.start() < first.start()
    )
