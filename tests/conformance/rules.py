"""A row of the conformance tables: one rule, where it is from, and the requests it is judged by."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import pytest

from tests.conformance.exchange import Exchange
from tests.conformance.stage import MEMBERS, Stage

Source: TypeAlias = Literal["spec", "rec", "sdk", "iss", "mem", "own"]
"""OpenAI's document, its recorded traffic, its SDKs, a public issue, memory, this project."""

Mode: TypeAlias = Literal["whole", "stream"]
WHOLE: tuple[Mode, ...] = ("whole",)
STREAM: tuple[Mode, ...] = ("stream",)
BOTH: tuple[Mode, ...] = ("whole", "stream")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule and the request that it is judged by.

    ``section`` numbers the rules by topic: 1.1 is the envelope, 1.2 the response, 1.3 the stream,
    1.4 the parameters, 1.5 the errors, and 2 what is ignored or refused.
    """

    says: str
    source: Source
    section: str
    check: Callable[[Exchange], object]
    script: str = "text"
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    modes: tuple[Mode, ...] = BOTH


@dataclass(frozen=True)
class Row:
    """A rule for one cast, streamed or not."""

    rule: Rule
    cast: str
    mode: Mode

    def ask(self, stage: Stage, **changes: Any) -> Exchange:
        params = {**self.rule.params, **changes}
        if self.mode == "stream":
            params = {"stream": True, **params}
        return stage.chat(self.cast, self.rule.script, **params)

    def __str__(self) -> str:
        return f"{self.rule.section} {self.rule.source} {self.cast} {self.mode}: {self.rule.says}"


def rows(rules: Iterable[Rule]) -> list[Row]:
    """Every rule for every cast, in its modes."""
    return [Row(rule, cast, mode) for rule in rules for mode in rule.modes for cast in MEMBERS]


def table(rules: Iterable[Rule]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows(rules), ids=str)


def refusal(
    answer: Exchange,
    status: int,
    code: str | None,
    param: str | None,
    *words: str,
    kind: str = "invalid_request_error",
) -> None:
    """The answer is OpenAI's error, whether or not a stream was asked for."""
    assert answer.status == status, answer.raw[:600]
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    assert set(answer.body) == {"error"}
    error = answer.error
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"], error["type"]) == (code, param, kind), error
    assert 0 < len(error["message"]) <= 500
    assert all(word in error["message"] for word in words), error["message"]
