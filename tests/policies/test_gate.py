"""What the gate takes for an evaluation, and what an agent under it is told."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._run.turn import Phase
from massgen_compat.policies.base import Submission
from massgen_compat.policies.gate import evaluations_schema, review_evaluations


def evaluation(agent: str, strengths: str = "right", weaknesses: str = "short") -> dict[str, Any]:
    return {"agent_id": agent, "strengths": strengths, "weaknesses": weaknesses}


def submission(evaluations: object, others: tuple[str, ...] = ("agent2", "agent3")) -> Submission:
    arguments = {} if evaluations is None else {"evaluations": evaluations}
    return Submission(
        phase=Phase.EVALUATE, kind="vote", arguments=arguments, own="agent1", others=others
    )


TWO = evaluation("agent2", "names the law", "forgets sunsets")
THREE = evaluation("agent3", "short", "wrong: ozone does not do it")


@dataclass(frozen=True)
class Case:
    evaluations: object
    code: str | None
    names: tuple[str, ...] = ()
    others: tuple[str, ...] = ("agent2", "agent3")


CASES = {
    "all evaluated": Case([TWO, THREE], None),
    "in any order, and its own too": Case([THREE, evaluation("agent1"), TWO], None),
    "labels in other letters": Case([TWO, evaluation(" Agent3 ", "x", "y")], None),
    "none at all": Case(None, "missing_evaluations", ("agent2", "agent3")),
    "an empty list": Case([], "missing_evaluations", ("agent2", "agent3")),
    "one left out": Case([TWO], "missing_evaluations", ("agent3",)),
    "a blank one": Case([TWO, evaluation("agent3", " ", "\n")], "missing_evaluations", ("agent3",)),
    "one text for all": Case(
        [evaluation("agent2"), evaluation("agent3", "Right ", " SHORT")],
        "missing_evaluations",
        ("agent2", "agent3"),
    ),
    "somebody who does not exist": Case(
        [TWO, THREE, evaluation("agent9")], "unknown_evaluation", ("agent9",)
    ),
    "a row that is no object": Case([TWO, THREE, "agent3 is fine"], "unknown_evaluation"),
    "a list that is none": Case("agent2 is fine", "missing_evaluations", ("agent2", "agent3")),
    "numbers for texts": Case(
        [TWO, {"agent_id": "agent3", "strengths": 1, "weaknesses": 2}],
        "missing_evaluations",
        ("agent3",),
    ),
    "alone with its own answer": Case(None, None, others=()),
    "its own draft, that nobody else reviews": Case(
        [evaluation("agent1")], None, others=("agent1",)
    ),
    "its own draft unread": Case([], "missing_evaluations", ("agent1",), others=("agent1",)),
    "one peer": Case([TWO], None, others=("agent2",)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_submission_needs_a_real_evaluation_of_every_peer(case: Case) -> None:
    objection = review_evaluations(submission(case.evaluations, case.others))
    assert (objection.code if objection else None) == case.code
    for name in case.names:
        assert objection is not None
        assert name in objection.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=12,
)


@given(JSON)
def test_whatever_stands_in_the_argument_it_never_raises_and_never_passes_unread(
    value: object,
) -> None:
    assert review_evaluations(submission(value)) is not None


def test_the_schema_asks_for_one_entry_an_answer_and_is_closed() -> None:
    schema = evaluations_schema(["agent2", "agent3"])
    item = schema["items"]
    assert item["properties"]["agent_id"]["enum"] == ["agent2", "agent3"]
    assert item["required"] == ["agent_id", "strengths", "weaknesses"]
    assert item["additionalProperties"] is False
    assert "another agent" in schema["description"]
    assert "your draft" in evaluations_schema(["agent1"], own=True)["description"]
