"""What a policy changes in a request body, for Chat Completions and for Responses. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from massgen_compat._run.team import Api
from massgen_compat.policies.base import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """A request body under a policy.

    ``effort``: the reasoning effort that it asks for. ``dropped``: parameters that were removed.
    """

    body: dict[str, Any]
    effort: str | None
    dropped: tuple[str, ...] = ()


def shape(policy: Policy, api: Api, body: Mapping[str, Any]) -> Shaped:
    """Add the policy's effort if the body has none, and remove parameters that conflict with it.

    An effort in the body always wins, also ``none``. On Responses the effort joins a partial
    ``reasoning`` object. Both are done in one step because recordings show a 400 for sampling
    parameters next to an effort other than ``none``: a config with a ``temperature`` that worked
    would fail as soon as an effort is added.
    """
    effort = _effort_in(api, body) or policy.effort
    shaped = dict(body) if policy.effort is None else _with_effort(api, body, effort)
    conflicts = policy.conflicts if effort not in {None, "none"} else frozenset[str]()
    dropped = tuple(sorted(conflicts & shaped.keys()))
    for name in dropped:
        del shaped[name]
    return Shaped(body=shaped, effort=effort, dropped=dropped)


def strengthened(policy: Policy, api: Api, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body with the next ``stronger`` effort; unchanged if there is none."""
    effort = stronger(policy, _effort_in(api, body))
    return dict(body) if effort is None else _with_effort(api, body, effort)


def stronger(policy: Policy, effort: str | None) -> str | None:
    """Return the next stronger effort that the model accepts; ``None`` if there is none.

    ``effort`` is the present one; ``None``: the policy's.
    """
    current = effort or policy.effort
    if current not in policy.efforts:
        return None
    above = policy.efforts[policy.efforts.index(current) + 1 :]
    return above[0] if above else None


def _effort_in(api: Api, body: Mapping[str, Any]) -> str | None:
    if api == "chat":
        return body.get("reasoning_effort")
    reasoning: Mapping[str, Any] = body.get("reasoning") or {}
    return reasoning.get("effort")


def _with_effort(api: Api, body: Mapping[str, Any], effort: str | None) -> dict[str, Any]:
    if api == "chat":
        return {**body, "reasoning_effort": effort}
    reasoning: Mapping[str, Any] = body.get("reasoning") or {}
    return {**body, "reasoning": {**reasoning, "effort": effort}}
