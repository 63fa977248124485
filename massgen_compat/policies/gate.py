"""The gate: a decision counts only with an evaluation of every peer's answer. Pure.

It looks at what stands in the arguments and never at reasoning tokens or at the order of items:
recordings show both missing where a model did reason, and present where it did not
(``docs/gpt-5.2.md``).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from massgen_compat._coordination import Objection
from massgen_compat.policies.base import Submission


def evaluations_schema(labels: Iterable[str], *, own: bool = False) -> dict[str, Any]:
    """The JSON schema of the ``evaluations`` argument, which stands first in both tools.

    A model without hidden reasoning writes arguments in order, so this is where it thinks before
    it decides. ``own``: there is nothing to evaluate but the agent's own draft.
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
    """Object to a submission without a real evaluation of every peer's answer.

    Blank ones do not count, nor does one text used for several answers. Evaluations of the
    agent's own answer are welcome and not needed, unless there is no other.
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
    """Whom a row evaluates, and its text with case and spaces evened out."""
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
