"""Which model gets which policy: every known name, every spelling, pinned."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from massgen_compat._run.team import Api
from massgen_compat.policies import DEFAULT, FACTS, POLICIES, canonical, named, resolve
from massgen_compat.policies.gpt5 import LADDER
from massgen_compat.policies.request import shape, stronger

MATRIX = {
    "gpt-5.1": "gpt-5.1",
    "gpt-5.1-2025-11-13": "gpt-5.1",
    "gpt-5.2": "gpt-5.2",
    "GPT-5.2": "gpt-5.2",
    "gpt-5.2-2025-12-11": "gpt-5.2",
    "openai/gpt-5.2": "gpt-5.2",
    "openai/gpt-5.2:online": "gpt-5.2",
    "openrouter/openai/gpt-5.2": "gpt-5.2",
    "databricks-gpt-5-2": "gpt-5.2",
    "gpt-5-2": "gpt-5.2",
    "gpt-52": "gpt-5.2",
    "gpt5.2": "gpt-5.2",
    "gpt_5.2": "default",
    "gpt-5.3-codex": "gpt-5.3-codex",
    "gpt-5.4": "gpt-5.4",
    "gpt-5.4-2026-03-05": "gpt-5.4",
    "gpt-5.4-mini": "gpt-5.4-mini",
    "openai/gpt-5.4-nano": "gpt-5.4-nano",
    # None of these is touched.
    "gpt-5": "default",
    "gpt-5-2025-08-07": "default",
    "gpt-5-mini": "default",
    "gpt-5-mini-2025-08-07": "default",
    "gpt-5-nano": "default",
    "gpt-5-pro": "default",
    "gpt-5-codex": "default",
    "gpt-5.1-codex": "default",
    "gpt-5.1-codex-max": "default",
    "gpt-5.1-chat-latest": "default",
    "gpt-5.2-chat-latest": "default",
    "gpt-5.2-pro": "default",
    "gpt-5.2-pro-2025-12-11": "default",
    "gpt-5.2-codex": "default",
    "gpt-5.3-chat-latest": "default",
    "gpt-5.4-pro": "default",
    "gpt-5.5": "default",
    "gpt-5.5-pro": "default",
    "gpt-5.6": "default",
    "gpt-5.6-sol": "default",
    "gpt-4o": "default",
    "gpt-4.1": "default",
    "gpt-4o-2024-08-06": "default",
    "o3": "default",
    "o4-mini": "default",
    "claude-sonnet-4-5": "default",
    "anthropic/claude-opus-4.5": "default",
    "gemini-3-flash-preview": "default",
    "grok-4-1-fast-reasoning": "default",
    "gpt-oss-120b": "default",
    "my-deployment": "default",
    "": "default",
    "not-gpt-5.2": "default",
    "gpt-5.25": "default",
    "gpt-52b": "default",
}


@pytest.mark.parametrize(("model", "policy"), MATRIX.items(), ids=MATRIX.keys())
def test_every_known_name_gets_its_policy(model: str, policy: str) -> None:
    assert resolve(model).name == policy


def test_every_model_on_record_is_in_the_matrix() -> None:
    assert {facts.model for facts in FACTS} <= {canonical(model) for model in MATRIX} | {
        "gpt-5.6-terra",
        "gpt-5.6-luna",
    }


def test_exactly_the_models_that_default_to_no_effort_are_gated() -> None:
    gated = {facts.model for facts in FACTS if resolve(facts.model) is not DEFAULT}
    assert gated == {
        "gpt-5.1",
        "gpt-5.2",
        "gpt-5.3-codex",
        "gpt-5.4",
        "gpt-5.4-mini",
        "gpt-5.4-nano",
    }


@pytest.mark.parametrize("facts", FACTS, ids=[facts.model for facts in FACTS])
def test_facts_are_consistent(facts: Any) -> None:
    assert set(facts.accepted) <= set(LADDER)
    assert facts.default is None or facts.default in facts.accepted
    assert canonical(facts.model) == facts.model


def test_the_users_policies_come_first_and_policies_have_names() -> None:
    mine = replace(DEFAULT, name="mine", models=("gpt-5.2*",))
    assert resolve("openai/gpt-5.2", [mine]) is mine
    assert resolve("gpt-5", [mine]) is DEFAULT
    assert named("gpt-5.2") is resolve("gpt-5.2")
    assert named("mine", [mine]) is mine
    assert named("nobody") is None
    assert len({policy.name for policy in POLICIES}) == len(POLICIES)


@dataclass(frozen=True)
class Body:
    api: Api
    given: dict[str, Any]
    sent: dict[str, Any]
    dropped: tuple[str, ...] = ()


BODIES = {
    "responses, nothing set": Body("responses", {}, {"reasoning": {"effort": "medium"}}),
    "chat, nothing set": Body("chat", {}, {"reasoning_effort": "medium"}),
    "a partial reasoning block is kept": Body(
        "responses",
        {"reasoning": {"summary": "auto"}},
        {"reasoning": {"summary": "auto", "effort": "medium"}},
    ),
    "the user's effort wins": Body(
        "responses", {"reasoning": {"effort": "high"}}, {"reasoning": {"effort": "high"}}
    ),
    "the user's effort wins on chat": Body(
        "chat", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}
    ),
    "an explicit none keeps the temperature": Body(
        "responses",
        {"reasoning": {"effort": "none"}, "temperature": 0.7},
        {"reasoning": {"effort": "none"}, "temperature": 0.7},
    ),
    "an explicit none on chat": Body(
        "chat",
        {"reasoning_effort": "none", "temperature": 0.7},
        {"reasoning_effort": "none", "temperature": 0.7},
    ),
    "what would be a 400 is dropped": Body(
        "responses",
        {"temperature": 0.7, "top_p": 1, "max_output_tokens": 5},
        {"reasoning": {"effort": "medium"}, "max_output_tokens": 5},
        ("temperature", "top_p"),
    ),
    "also next to the user's own effort": Body(
        "chat",
        {"reasoning_effort": "high", "temperature": 0.7, "logprobs": True},
        {"reasoning_effort": "high"},
        ("logprobs", "temperature"),
    ),
}


@pytest.mark.parametrize("case", BODIES.values(), ids=BODIES.keys())
def test_the_effort_is_added_and_what_conflicts_is_dropped_in_one_step(case: Body) -> None:
    shaped = shape(resolve("gpt-5.2"), case.api, case.given)
    assert (shaped.body, shaped.dropped) == (case.sent, case.dropped)


@pytest.mark.parametrize("case", BODIES.values(), ids=BODIES.keys())
def test_the_default_policy_changes_nothing(case: Body) -> None:
    assert shape(DEFAULT, case.api, case.given).body == case.given


@pytest.mark.parametrize(
    ("effort", "above"),
    [(None, "high"), ("none", "low"), ("medium", "high"), ("xhigh", None), ("odd", None)],
)
def test_the_next_effort_is_one_that_the_model_accepts(
    effort: str | None, above: str | None
) -> None:
    assert stronger(resolve("gpt-5.2"), effort) == above
    assert stronger(DEFAULT, effort) is None
