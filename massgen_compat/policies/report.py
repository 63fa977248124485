"""Policies as text, for the commands ``massgen-compat policies`` and ``check``. Pure."""

from massgen_compat.policies import FACTS, Policy, canonical, resolve


def changes(policy: Policy) -> tuple[str, ...]:
    """Return a line for each thing that a policy changes; none for the default."""
    lines: list[str] = []
    if policy.draft_as_message:
        lines.append("drafts: an ordinary message; no workflow tool is offered in that round")
    if policy.evaluations or policy.review is not None:
        lines.append("decisions: reviewed; turned back at most twice a round, then `unverified`")
    if policy.evaluations:
        lines.append("vote, new_answer: begin with an evaluation of every answer of the others")
    if policy.effort is not None:
        lines.append(f"reasoning effort: {policy.effort}, unless the config or the request has one")
    if policy.conflicts:
        names = ", ".join(sorted(policy.conflicts))
        lines.append(f"dropped next to an effort other than none: {names}")
    if policy.serial_decisions:
        lines.append("parallel_tool_calls: false while deciding")
    if policy.section:
        lines.append("system message: a section on the order of work")
    if policy.prepare is not None:
        lines.append("turns: prepared by the policy's own hook")
    return tuple(lines)


def describe(model: str, policy: Policy) -> str:
    """Return the name of a model's policy and what it changes, as lines of text."""
    lines = [f"{model}: policy {policy.name} ({policy.summary})"]
    lines += [f"  {line}" for line in changes(policy)]
    return "\n".join(lines)


def table() -> str:
    """Return all models on record as a table: policy, efforts, and how that is known."""
    head = ("model", "policy", "default effort", "accepted efforts", "temperature", "evidence")
    rows: list[tuple[str, ...]] = [head]
    for facts in FACTS:
        temperature = {True: "yes", False: "400", None: "?"}[facts.temperature]
        rows.append(
            (
                facts.model,
                resolve(facts.model).name,
                facts.default or "-",
                " ".join(facts.accepted) or "(no such parameter)",
                temperature,
                facts.evidence,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines.append("")
    lines.append("Every other model: policy default, which adds nothing. `temperature`: whether it")
    lines.append("is accepted while no effort is set. Nothing here was measured on the live API.")
    return "\n".join(lines)


def resolved(model: str) -> str:
    """Describe the policy of a model, whose name may be spelled as any provider does."""
    name = canonical(model)
    known = "" if name == model else f" (as {name})"
    return describe(f"{model}{known}", resolve(model))
