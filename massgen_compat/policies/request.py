"""What a policy changes in a request body, on both wires. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from massgen_compat._run.team import Api
from massgen_compat.policies.base import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """A request body under a policy: ``effort`` is what it asks for, ``dropped`` what it lost."""

    body: dict[str, Any]
    effort: str | None
    dropped: tuple[str, ...] = ()


def shape(policy: Policy, api: Api, body: Mapping[str, Any]) -> Shaped:
    """Add the policy's effort where the user named none, and drop what conflicts with it.

    The user's own value always wins, ``none`` included. On Responses the effort joins a partial
    ``reasoning`` object. Effort other than ``none`` makes sampling parameters a 400 (recorded), so
    a config with a ``temperature`` would break the moment an effort is added: both in one step.
    """
    shaped = dict(body)
    if api == "responses":
        reasoning: dict[str, Any] = dict(shaped.get("reasoning") or {})
        effort: str | None = reasoning.get("effort") or policy.effort
        if effort is not None and policy.effort is not None:
            shaped["reasoning"] = {**reasoning, "effort": effort}
    else:
        effort = shaped.get("reasoning_effort") or policy.effort
        if effort is not None and policy.effort is not None:
            shaped["reasoning_effort"] = effort
    conflicts = policy.conflicts if effort not in {None, "none"} else frozenset[str]()
    dropped = tuple(sorted(conflicts & shaped.keys()))
    for name in dropped:
        del shaped[name]
    return Shaped(body=shaped, effort=effort, dropped=dropped)


def stronger(policy: Policy, effort: str | None) -> str | None:
    """The next effort above ``effort`` that the model accepts, or ``None`` at the top."""
    current = effort or policy.effort
    if current not in policy.efforts:
        return None
    above = policy.efforts[policy.efforts.index(current) + 1 :]
    return above[0] if above else None
