"""Decisions that a model writes as text, where its server makes no tool calls of them. Pure.

The forms: a JSON object, bare, in a fence, in tags, in an array or behind a name; the same as XML
and as Python (``written_forms`` has the sources); lines like ``agent_id: agent2``; and "I vote for
agent2" in plain words.

What is read must be a decision and no talk about one: it ends the reply, stands in no quotation and
in no example, names a tool that is offered and a label that exists, and nothing contradicts it.
Where in doubt it is none: asking once more costs a call, a vote that nobody cast costs the answer.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from massgen_compat._agents.label_folding import (
    LONGEST_LABEL,
    VOTE_KEY,
    fits_tool,
    fitting_tool,
    folded_key,
    folded_label,
    known_keys,
    named_tool,
    normalised,
    related_names,
    words,
)
from massgen_compat._agents.loose_values import END_OF_TEXT, ExhaustedError, ValueReader
from massgen_compat._agents.quotations import (
    WORDS,
    covers_of,
    first,
    is_talk,
    name_before,
    quotations,
    squeezed,
    stands_alone,
    without_thinking,
)
from massgen_compat._agents.vote_sentences import (
    DECLARES,
    REVERSAL,
    SHORT_REST,
    listed_vote,
    mentioned,
    vote_alone,
    vote_sentences,
)
from massgen_compat._agents.written_forms import START, named_calls, parameters_at
from massgen_compat._run.message import Tool

MOST_DECISIONS: Final = 32
"""A text with more of them babbles."""

MOST_CANDIDATES: Final = 512
"""Objects with an argument's name that are looked at more closely."""


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A decision that was written as text: the tool, and its arguments as the model wrote them.

    ``verified``: it has the form of a call and ends the reply. Prose, and a call that a closing
    sentence follows, are not: they can be read as a decision, and mean one most likely.
    """

    name: str
    arguments: dict[str, Any]
    verified: bool = True


def written_call(
    text: str, offered: Sequence[Tool], labels: Sequence[str], quoted: Sequence[str] = ()
) -> WrittenCall | None:
    """The one decision that the reply's text is or ends with, or None.

    ``offered``: the workflow tools of this turn; ``labels``: those of the current answers;
    ``quoted``: the current answers, none of which may speak through the reply. Never raises, and
    its work grows with the text's length, which is bounded.
    """
    reply = without_thinking(text)
    if not reply or not offered:
        return None
    scan = _Scan(reply, offered, labels, [squeezed(each) for each in quoted])
    try:
        found = scan.calls()
    except ExhaustedError:
        return None
    return scan.decision(found)


@dataclass(frozen=True, slots=True)
class _Found:
    """A call in the text. ``block``: from where it stands, with its name and tags before it."""

    tool: Tool
    arguments: dict[str, Any]
    start: int
    end: int
    block: int


_FENCE_LINE: Final = re.compile(r"^[ \t]*+(?:```|~~~)", re.MULTILINE)


class _Scan:
    """One reply on its way to a decision."""

    def __init__(
        self, reply: str, offered: Sequence[Tool], labels: Sequence[str], quoted: Sequence[str]
    ) -> None:
        self._reply = reply
        self._offered = offered
        self._labels = labels
        self._quoted = quoted
        self._reader = ValueReader(reply)
        self._masks = quotations(reply)
        self._fences = [match.start() for match in _FENCE_LINE.finditer(reply)]
        self._known = {folded_key(key) for tool in offered for key in known_keys(tool)}
        self._looked = 0
        self._unknown = False  # a vote for a label that does not exist
        self._vote = next((tool for tool in offered if _has(tool, VOTE_KEY)), None)

    # What the text holds

    def calls(self) -> list[_Found]:
        """Every call in the text that stands in no quotation, in their order."""
        found: list[_Found] = []
        at = 0
        while (match := START.search(self._reply, at)) is not None:
            start = match.start()
            if (hidden := self._masked_until(start)) > start:
                at = hidden
                continue
            unknown = self._unknown
            calls, end = self._calls_at(match)
            at = max(end, start + 1)
            if (calls or self._unknown) and self._is_quoted(start, end):
                self._unknown = unknown
            else:
                found += calls
            if len(found) > MOST_DECISIONS:
                raise ExhaustedError
        return found

    def _calls_at(self, match: re.Match[str]) -> tuple[list[_Found], int]:
        name = match["xml"] or match["glm"]
        if name is None and match["tag"]:
            name = match["tag"] if named_tool(match["tag"], self._offered) else None
            if name is None:
                return [], match.end()
        start = match.start()
        if name is not None:
            named, end = parameters_at(self._reply, match.end())
            if not named and self._vote and match["tag"] == self._vote.name:
                only = _ONLY_TEXT.match(self._reply, match.end())  # <vote>agent2</vote>
                named, end = ({VOTE_KEY: only[1].strip()}, only.end()) if only else (named, end)
            if not named:
                return [], match.end()
            return self._found([(name, named)], start, end, start), end
        written = match["call"]
        if written and not any(related_names(written, tool.name) for tool in self._offered):
            return [], match.end() - 1
        value = self._reader.read(start)
        if value is None:
            return [], max(self._reader.next_start, match.end() - bool(written))
        calls = list(named_calls(value.value))
        block = start
        before = name_before(self._reply, start) if written is None and self._knows(calls) else None
        if before is not None and self._is_name(before[0]):
            calls = [(name or before[0], arguments) for name, arguments in calls]
            block = before[1]
        return self._found(calls, start, value.end, block, cut=value.cut), value.end

    def _knows(self, calls: Sequence[tuple[str, dict[str, Any]]]) -> bool:
        """Whether any argument has a name that an offered tool's could have."""
        return any(folded_key(key) in self._known for _, given in calls for key in given)

    def _is_name(self, name: str) -> bool:
        """Whether it is an offered tool's, or was before the tool gave way to a client's."""
        first = folded_key(name)
        return named_tool(name, self._offered) is not None or any(
            folded_key(tool.name.replace("massgen_", "")) == first for tool in self._offered
        )

    def _found(
        self,
        calls: Iterable[tuple[str, dict[str, Any]]],
        start: int,
        end: int,
        block: int,
        *,
        cut: bool = False,
    ) -> list[_Found]:
        found: list[_Found] = []
        for name, arguments in calls:
            if not self._knows([(name, arguments)]):
                continue
            self._looked += 1
            if self._looked > MOST_CANDIDATES:
                raise ExhaustedError
            tool = self._tool(name, arguments)
            if tool is None and self._names_nobody(name, arguments):
                self._unknown = True
            if tool is not None and not (cut and tool is not self._vote):
                found.append(_Found(tool, arguments, start, end, block))
        return found

    def _tool(self, name: str, arguments: dict[str, Any]) -> Tool | None:
        """The tool that is called; without a name the arguments must be a tool's and no more."""
        if name:
            tool = fitting_tool(name, arguments, self._offered)
            return tool if tool and fits_tool(arguments, tool, exactly=False) else None
        fits = [tool for tool in self._offered if self._fits_bare(arguments, tool)]
        return fits[0] if len(fits) == 1 else None

    def _names_nobody(self, name: str, arguments: dict[str, Any]) -> bool:
        """Whether it is a vote for an agent that is not there: ``agent9``."""
        if self._vote is None or (name and named_tool(name, self._offered) is not self._vote):
            return False
        given = normalised(arguments, self._vote)
        target: object = given.pop(VOTE_KEY, None)
        others = {key for key in given if folded_key(key) not in _ASIDE}
        return (
            isinstance(target, int | str)
            and re.search(r"\d", str(target)[:LONGEST_LABEL]) is not None
            and folded_label(target, self._labels) is None
            and (bool(name) or all(_has(self._vote, key) for key in others))
        )

    def _fits_bare(self, arguments: dict[str, Any], tool: Tool) -> bool:
        known = {key: value for key, value in arguments.items() if folded_key(key) not in _ASIDE}
        return fits_tool(known, tool, exactly=True)

    # What of it is a decision

    def decision(self, found: list[_Found]) -> WrittenCall | None:
        """The one thing that the calls and the prose of the text say, if it ends the text."""
        prose, said = self._prose(found)
        meant = {self._meaning(each.tool, each.arguments) for each in found}
        meant |= {("vote", label) for label in said}
        if len(meant) != 1 or self._unknown or self._is_broken():
            return None
        if next(iter(meant))[1] is None:
            return None
        if found:
            last = found[-1]
            verified = self._standing(found)
            if verified is not None:
                return WrittenCall(last.tool.name, last.arguments, verified)
        return prose

    def _meaning(self, tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, str | None]:
        given = normalised(arguments, tool)
        if _has(tool, VOTE_KEY):
            return "vote", folded_label(given.get(VOTE_KEY), self._labels)
        return tool.name, json.dumps(given, sort_keys=True, default=repr)

    def _is_broken(self) -> bool:
        """Whether a call is begun that cannot be read: nothing after it can be trusted."""
        return any(folded_key(key) in _TELLING for key in self._reader.seen)

    def _standing(self, found: Sequence[_Found]) -> bool | None:
        """True where the calls end the text, False where a closing sentence follows, else None."""
        block, end = found[-1].block, found[-1].end
        for earlier in found[-2::-1]:
            if self._reply[earlier.end : block].strip(" \n,;"):
                break
            block = earlier.block
        if not stands_alone(self._reply, block, in_fence=self._in_fence(block)):
            return None
        opened = self._reply.rfind("{", 0, block) > self._reply.rfind("}", 0, block)
        extra = _EXTRA.match(self._reply, end)
        if extra and not opened:  # one brace too many (yigit353/langchain-qwq#30)
            end = extra.end()
        if END_OF_TEXT.match(self._reply, end):
            return True
        line_end = _LINE_END.match(self._reply, end)
        if line_end is None:
            return None
        return False if self._is_aside(self._reply[line_end.end() :]) else None

    def _is_aside(self, rest: str) -> bool:
        """Whether a text changes nothing of what it follows.

        Small models close with "I hope this helps!" or a word on their reason. It is short, names
        no answer, and neither turns back nor goes on to vote.
        """
        rest = _COURTESY.sub("", rest)
        return (
            len(rest.strip()) <= SHORT_REST
            and not mentioned(rest, self._labels)
            and not REVERSAL.search(rest)
            and not is_talk(rest)
            and not _CODE.search(rest)
            and not any(related_names(word, "vote") for word in WORDS.findall(rest))
        )

    def _prose(self, found: list[_Found]) -> tuple[WrittenCall | None, set[str]]:
        """The vote in plain words that ends the text, and every label that such words vote for."""
        if self._vote is None:
            return None, set()
        name, reply = self._vote.name, self._reply
        hides = covers_of([(each.start, each.end) for each in found])

        def masked(at: int) -> bool:
            return self._masked_until(at) > at or hides(at)

        sentences = [
            each
            for each in vote_sentences(reply, self._labels, masked)
            if not self._is_quoted(each.start, each.end)
        ]
        said = {each.label for each in sentences}
        stated = vote_alone(reply, self._labels) or listed_vote(reply, self._labels, masked)
        if stated and not masked(stated.start) and not self._is_quoted(stated.start, stated.end):
            reason = {"reason": stated.reason} if stated.reason else {}
            call = WrittenCall(name, {VOTE_KEY: stated.label, **reason}, verified=stated.listed)
            return call, said | {stated.label}
        if not sentences or self._in_fence(sentences[-1].start):
            return None, said
        last = sentences[-1]
        rest = reply[last.end :]
        goes_on = "\n" in rest or REVERSAL.search(rest) or DECLARES.search(rest)
        if goes_on and not self._is_aside(rest):
            return None, said
        arguments = {VOTE_KEY: last.label, "reason": last.reason}
        return WrittenCall(name, arguments, verified=False), said

    def _in_fence(self, at: int) -> bool:
        return bisect_right(self._fences, at) % 2 == 1

    def _masked_until(self, at: int) -> int:
        index = bisect_right(self._masks, at, key=first) - 1
        return self._masks[index][1] if index >= 0 else 0

    def _is_quoted(self, start: int, end: int) -> bool:
        said = squeezed(self._reply[start:end])
        return bool(said) and any(said in each for each in self._quoted)


_ONLY_TEXT: Final = re.compile(r"\s*+([^<>{}\n]{1,80}+)\s*+</\w{1,60}>")
_EXTRA: Final = re.compile(r"(?:\s*\}){1,2}")
_CLOSING: Final = r"</[\w|]{1,40}>|<[|\uff5c][^<>\n]{1,60}[|\uff5c]>|\[/[A-Z_]{2,20}\]"
_LINE_END: Final = re.compile(
    rf"[ \t.;,`*)\]]*+(?:{_CLOSING}|[ \t])*+\n(?:[ \t]*+(?:```|~~~|{_CLOSING})?[ \t]*+\n)*+"
)
_ASIDE: Final = words(
    "confidence thought thoughts thinking analysis type evaluation evaluations comparison comment "
    "scores score"
)
_COURTESY: Final = re.compile(r"\b(?:let me know|feel free|please)\b[^.!?\n]*[.!]?", re.IGNORECASE)
_CODE: Final = re.compile(r"\w\(|[{}=]")
_TELLING: Final = words(
    "agentid arguments parameters content toolname newanswer vote toolcalls actioninput"
)


def _has(tool: Tool, key: str) -> bool:
    properties: object = tool.parameters.get("properties")
    return isinstance(properties, Mapping) and key in properties
