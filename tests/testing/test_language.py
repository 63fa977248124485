"""The script language is closed: what it does not have is named, with the way out."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat.errors import ConfigError
from massgen_compat.testing import Script, parse_script
from massgen_compat.testing.script import Cut, Refuse, ScriptedCall, Stall, Step

LOOP: dict[str, Any] = {}
LOOP["again"] = LOOP


@dataclass(frozen=True)
class Wrong:
    script: Any
    key: str
    says: str


WRONG = (
    Wrong({"drafts": "x"}, "script", "unknown key 'drafts'; did you mean `draft`?"),
    Wrong({1: "x"}, "script", "unknown key '1'. Allowed keys: draft, evaluate, present,"),
    Wrong(["draft"], "script", "must be a mapping, not list"),
    Wrong({"draft": {"txt": "x"}}, "script.draft", "unknown key 'txt'; did you mean `text`?"),
    Wrong({"draft": ["a", {"text": 3}]}, "script.draft[1].text", "must be text, not int"),
    Wrong({"draft": None}, "script.draft", "must be text, a mapping or a list, not nothing"),
    Wrong({"present": []}, "script.present", "at least one entry"),
    Wrong({"evaluate": "agent1"}, "script.evaluate", "must be 'vote LABEL'"),
    Wrong({"evaluate": ["vote a", 3]}, "script.evaluate[1]", "must be a mapping, not int"),
    Wrong({"evaluate": {"vote": " "}}, "script.evaluate.vote", "must not be empty"),
    Wrong({"draft": "half \ud800"}, "script.draft", "surrogate"),
    Wrong({"delay_seconds": -1}, "script.delay_seconds", "from 0 to a day"),
    Wrong({"delay_seconds": float("nan")}, "script.delay_seconds", "from 0 to a day"),
    Wrong({"token_delay_seconds": True}, "script.token_delay_seconds", "from 0 to a day"),
    Wrong({"draft": {"hosted": "web_search"}}, "script.draft.hosted", "must be a list, not str"),
    Wrong(
        {"draft": {"hosted": ["websearch"]}},
        "script.draft.hosted[0]",
        "unknown value 'websearch'; did you mean `web_search`? Allowed: web_search.",
    ),
    Wrong({"draft": {"finish_reason": "x"}}, "script.draft.finish_reason", "Allowed: stop, length"),
    Wrong({"draft": {"calls": [{}]}}, "script.draft.calls[0]", "needs a 'name'"),
    Wrong(
        {"draft": {"calls": [{"name": "f", "arguments": 1}]}},
        "script.draft.calls[0].arguments",
        "must be a mapping, not int",
    ),
    Wrong(
        {"draft": {"calls": [{"name": "f", "arguments": LOOP}]}},
        "script.draft.calls[0].arguments",
        "must hold what JSON can hold",
    ),
    Wrong({"draft": {"usage": {"total": 1}}}, "script.draft.usage", "unknown key 'total'"),
    Wrong(
        {"draft": {"usage": {"prompt_tokens": True}}},
        "script.draft.usage.prompt_tokens",
        "must be a whole number",
    ),
    Wrong({"draft": {"fail": "x"}}, "script.draft.fail", "must be a mapping, not str"),
    Wrong({"draft": {"fail": {}}}, "script.draft.fail", "exactly one of status, cut, stall"),
    Wrong(
        {"draft": {"fail": {"cut": True, "stall": True}}},
        "script.draft.fail",
        "exactly one of status, cut, stall",
    ),
    Wrong({"draft": {"fail": {"cut": False}}}, "script.draft.fail.cut", "must be true"),
    Wrong({"draft": {"fail": {"status": 200}}}, "script.draft.fail.status", "from 400 to 599"),
    Wrong(
        {"draft": [{"on_correction": "b"}, "c"]},
        "script.draft[0].on_correction",
        "only the last entry can have it",
    ),
    Wrong(
        {"evaluate": {"on_correction": {"on_correction": "vote a"}}},
        "script.evaluate.on_correction",
        "unknown key 'on_correction'",
    ),
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.key}-{wrong.says[:20]}")
def test_a_wrong_script_is_refused_with_the_path_of_the_key(wrong: Wrong) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_script(wrong.script)
    assert caught.value.key == wrong.key
    assert caught.value.message.startswith(f"{wrong.key}: ")
    assert wrong.says in caught.value.message


def test_nothing_is_the_default_script() -> None:
    assert parse_script(None) == parse_script({}) == Script()


def test_a_script_of_yaml_is_read() -> None:
    text = """
    draft:
      - text: Working on it.
        calls: [{name: search, arguments: {query: sky}}, {name: raw, arguments: "{"}]
      - text: "42"
        usage: null
        on_correction: ["Better.", {new_answer: Best., evaluations: []}]
    evaluate:
      - vote first
      - {vote: agent2, reason: It is right., on_correction: vote longest}
    present: {fail: {status: 429, retry_after: 1, when_sent: temperature, message: Slow down.}}
    delay_seconds: 0.5
    """
    assert parse_script(yaml.safe_load(text)) == Script(
        draft=(
            Step(
                text="Working on it.",
                calls=(
                    ScriptedCall(name="search", arguments={"query": "sky"}),
                    ScriptedCall(name="raw", arguments="{"),
                ),
            ),
            Step(
                text="42",
                usage=None,
                on_correction=(Step(text="Better."), Step(new_answer="Best.", evaluations=())),
            ),
        ),
        evaluate=(
            Step(vote="first"),
            Step(vote="agent2", reason="It is right.", on_correction=(Step(vote="longest"),)),
        ),
        present=(
            Step(
                fail=Refuse(
                    status=429, retry_after=1.0, when_sent="temperature", message="Slow down."
                )
            ),
        ),
        delay_seconds=0.5,
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"cut": True, "after_tokens": 3}, Cut(after_tokens=3)),
        ({"stall": True}, Stall()),
        ({"status": 500, "after_tokens": 0}, Refuse(status=500, after_tokens=0)),
    ],
)
def test_failures_are_three(written: Any, read: object) -> None:
    assert parse_script({"draft": {"fail": written}}).draft[0].fail == read


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["draft", "evaluate", "text", "vote", "fail", "cut", "calls", "x"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(JSONISH)
def test_any_value_is_a_script_or_a_config_error(value: Any) -> None:
    with suppress(ConfigError):
        assert isinstance(parse_script(value), Script)
