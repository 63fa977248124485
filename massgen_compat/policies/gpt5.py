"""The GPT-5 family: what is known of each model, and the policy of those that skip reasoning.

``evidence`` is the source of a row: a ``recording`` of an exchange with the real API, a public
``issue``, or ``inferred`` from other rows. This project has measured nothing on the live API.
``docs/gpt-5.2.md`` explains the defect that the policy is for. A model whose default effort is
``none`` gets the policy by its row in ``FACTS`` alone.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from massgen_compat.policies.base import Policy
from massgen_compat.policies.gate import review_evaluations

Evidence: TypeAlias = Literal["recording", "issue", "inferred"]

LADDER = ("none", "minimal", "low", "medium", "high", "xhigh")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model's reasoning efforts.

    ``default``: its default effort; ``None`` if it has no such parameter, or if that is unknown.
    ``accepted``: the efforts that it accepts, weakest first. ``temperature``: whether it accepts
    that parameter while no effort is set; ``None``: unknown.
    """

    model: str
    default: str | None
    accepted: tuple[str, ...]
    temperature: bool | None
    evidence: Evidence = "recording"


def _efforts(first: str, last: str) -> tuple[str, ...]:
    # No model on record accepts both "none" and "minimal": "minimal" is there only as the weakest.
    steps = LADDER[LADDER.index(first) : LADDER.index(last) + 1]
    return tuple(step for step in steps if step != "minimal" or first == "minimal")


FACTS = (
    ModelFacts("gpt-4o", None, (), temperature=True),
    ModelFacts("gpt-4.1", None, (), temperature=True),
    ModelFacts("gpt-5", "medium", _efforts("minimal", "high"), temperature=False),
    ModelFacts("gpt-5-mini", "medium", _efforts("minimal", "high"), temperature=False),
    ModelFacts("gpt-5-nano", "medium", _efforts("minimal", "high"), temperature=False),
    ModelFacts("gpt-5-pro", "high", ("high",), temperature=False),
    ModelFacts(
        "gpt-5-codex", "medium", _efforts("low", "high"), temperature=False, evidence="issue"
    ),
    ModelFacts("gpt-5.1", "none", _efforts("none", "high"), temperature=True),
    ModelFacts(
        "gpt-5.1-codex", "medium", _efforts("low", "high"), temperature=False, evidence="issue"
    ),
    ModelFacts(
        "gpt-5.1-codex-max", "medium", _efforts("low", "xhigh"), temperature=False, evidence="issue"
    ),
    ModelFacts("gpt-5.1-chat-latest", "medium", ("medium",), temperature=False),
    ModelFacts("gpt-5.2", "none", _efforts("none", "xhigh"), temperature=True),
    ModelFacts("gpt-5.2-chat-latest", "medium", ("medium",), temperature=False),
    ModelFacts("gpt-5.2-pro", None, _efforts("medium", "xhigh"), temperature=False),
    ModelFacts(
        "gpt-5.2-codex", None, _efforts("low", "xhigh"), temperature=None, evidence="inferred"
    ),
    ModelFacts("gpt-5.3-chat-latest", "medium", ("medium",), temperature=False),
    ModelFacts("gpt-5.3-codex", "none", _efforts("none", "high"), temperature=True),
    ModelFacts("gpt-5.4", "none", _efforts("none", "xhigh"), temperature=True),
    ModelFacts("gpt-5.4-mini", "none", _efforts("none", "xhigh"), temperature=True),
    ModelFacts("gpt-5.4-nano", "none", _efforts("none", "xhigh"), temperature=True),
    ModelFacts("gpt-5.4-pro", "medium", _efforts("medium", "xhigh"), temperature=False),
    ModelFacts("gpt-5.5", "medium", _efforts("none", "xhigh"), temperature=False),
    ModelFacts("gpt-5.5-pro", "high", _efforts("medium", "xhigh"), temperature=False),
    ModelFacts("gpt-5.6", "medium", _efforts("none", "xhigh"), temperature=False),
    ModelFacts("gpt-5.6-sol", "medium", _efforts("none", "xhigh"), temperature=False),
    ModelFacts("gpt-5.6-terra", "medium", _efforts("none", "xhigh"), temperature=False),
    ModelFacts("gpt-5.6-luna", "medium", _efforts("none", "xhigh"), temperature=False),
)
"""What is on record, by canonical name. For gpt-5.3-codex, gpt-5.5 and gpt-5.6 the records say
"none and up", so the strongest effort here is the lowest one that agrees with them."""

_SECTION = """\
In this team every round has one purpose, in this order:
1. draft: work out your own answer to the request first, then write it. Check it before you end \
the turn.
2. evaluate: judge each answer of the others on its own before you decide anything: what is right \
in it, what is wrong, what is missing. Decide only then. A decision without these judgements does \
not count.
3. Stop when the round's one decision is made."""


def _policy(facts: ModelFacts) -> Policy:
    return Policy(
        name=facts.model,
        models=(facts.model,),
        summary=(
            "drafts are messages, decisions need evaluations, effort medium unless set "
            f"(the model's default is {facts.default})"
        ),
        draft_as_message=True,
        evaluations=True,
        section=_SECTION,
        effort="medium",
        efforts=facts.accepted,
        conflicts=frozenset({"temperature", "top_p", "logprobs", "top_logprobs"}),
        serial_decisions=True,
        review=review_evaluations,
    )


GATED = tuple(_policy(facts) for facts in FACTS if facts.default == "none")
"""The policies of the models that do not reason on default settings: their default is ``none``."""
