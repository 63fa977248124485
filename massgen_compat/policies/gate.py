"""The gate: a decision counts only with an evaluation of every peer's answer. Pure.

The gate looks at the arguments of the call. It never looks at reasoning tokens or at the order of
items: recordings have models that reasoned without either, and models that did not reason with them
(``docs/gpt-5.2.md``).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from massgen_compat._coordination import TRIES_PER_ROUND, Objection
from massgen_compat._run.turn import Phase
from massgen_compat.policies.base import Policy, Submission

MOST_OBJECTIONS: Final = TRIES_PER_ROUND - 1
"""How often the replies of one round are turned back; after that, a decision counts unverified."""

_NOT_OFFERED: Final = (
    "Nothing was submitted: there is no tool `{tool}` in a draft. Work on the request, check "
    "your answer, and then write it, whole, as an ordinary message."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a policy demands of one agent in one round. Both engines hold their agents to it.

    ``own`` is the agent's label, ``shown`` are the labels of all answers that it sees.
    """

    policy: Policy
    phase: Phase
    own: str
    shown: tuple[str, ...]

    @property
    def judged(self) -> tuple[str, ...]:
        """The labels of the answers to evaluate: those of the peers, or the agent's own alone."""
        return tuple(label for label in self.shown if label != self.own) or self.shown

    @property
    def alone(self) -> bool:
        """Whether there is nothing to evaluate but the agent's own draft."""
        return self.judged == (self.own,)

    def parameters(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return a workflow tool's schema with the evaluations that the policy demands.

        They are the first argument, see ``evaluations_schema``.
        """
        if self.phase is Phase.DRAFT or not self.policy.evaluations:
            return dict(schema)
        first = evaluations_schema(self.judged, own=self.alone)
        properties: Mapping[str, Any] = schema.get("properties") or {}
        required: Iterable[str] = schema.get("required") or ()
        return {
            **schema,
            "properties": {"evaluations": first, **properties},
            "required": ["evaluations", *required],
        }

    def objection(
        self, kind: Literal["new_answer", "vote"], arguments: Mapping[str, Any], *, tool: str
    ) -> Objection | None:
        """Return why a call of a workflow tool does not count, or ``None`` if it does.

        ``tool`` is its name, which is told to an agent that calls it in a draft.
        """
        if self.phase is Phase.DRAFT and self.policy.draft_as_message:
            return Objection("tool_not_offered", _NOT_OFFERED.format(tool=tool))
        if self.phase is Phase.DRAFT or self.policy.review is None:
            return None
        submission = Submission(
            phase=self.phase, kind=kind, arguments=arguments, own=self.own, others=self.judged
        )
        return self.policy.review(submission)


def evaluations_schema(labels: Iterable[str], *, own: bool = False) -> dict[str, Any]:
    """Return the JSON schema of the argument ``evaluations``, which is the first of both tools.

    It comes first because a model writes arguments in their order: one without hidden reasoning
    thinks here, before it decides. ``own``: the agent's own draft is all that there is to evaluate.
    """
    text = {"type": "string"}
    properties = {
        "agent_id": {"type": "string", "enum": list(labels)},
        "strengths": {**text, "description": "What is right and useful in it, in particular."},
        "weaknesses": {**text, "description": "What is wrong or missing in it, in particular."},
    }
    return {
        "type": "array",
        "description": "An evaluation of your draft, as if another agent had written it."
        if own
        else "One evaluation of each answer of another agent.",
        "items": {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    }


def review_evaluations(submission: Submission) -> Objection | None:
    """Object to a decision without an evaluation of every peer's answer.

    A blank evaluation does not count, and neither does the same text for several answers. The agent
    may evaluate its own answer, too, and has to if there is no other.
    """
    given = submission.arguments.get("evaluations")
    rows = cast("list[object]", given) if isinstance(given, list) else []
    texts: dict[str, str] = {}
    unknown: list[str] = []
    for row in rows:
        name, text = _read(row)
        if name in submission.others:
            texts[name] = text
        elif name != submission.own:
            unknown.append(name[:64] or "(none)")
    if unknown:
        return Objection("unknown_evaluation", _unknown(unknown, submission.others))
    used = Counter(texts.values())
    real = {name for name, text in texts.items() if text and used[text] == 1}
    missing = [name for name in submission.others if name not in real]
    return Objection("missing_evaluations", _missing(missing)) if missing else None


def _read(row: object) -> tuple[str, str]:
    """Return the label that a row evaluates, and its text in lower case with single spaces."""
    if not isinstance(row, Mapping):
        return "", ""
    fields = cast("Mapping[str, object]", row)
    name, *parts = (
        value if isinstance(value := fields.get(key), str) else ""
        for key in ("agent_id", "strengths", "weaknesses")
    )
    return name.strip().lower(), " ".join(" ".join(parts).lower().split())


def _missing(names: list[str]) -> str:
    listed = ", ".join(names)
    return (
        f"Not counted: there is no evaluation of {listed}. Compare each of these answers with the "
        "request, write its particular strengths and weaknesses into `evaluations`, and then "
        "decide again: the comparison may change your mind."
    )


def _unknown(names: list[str], others: tuple[str, ...]) -> str:
    return (
        f"Not counted: `evaluations` names {', '.join(dict.fromkeys(names))}, and there is no such "
        f"answer. The answers to evaluate are those of {', '.join(others)}."
    )
