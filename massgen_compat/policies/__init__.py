"""Policies: what models of one family need in a run, as an ordered table, and how it is searched.

A new model is a row with its evidence; ``docs/writing-a-policy.md`` says how.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from massgen_compat._coordination import Objection
from massgen_compat.policies.base import DEFAULT, Policy, Submission
from massgen_compat.policies.gpt5 import FACTS, GATED, ModelFacts
from massgen_compat.policies.names import canonical

__all__ = [
    "DEFAULT",
    "FACTS",
    "POLICIES",
    "ModelFacts",
    "Objection",
    "Policy",
    "Submission",
    "canonical",
    "named",
    "resolve",
]

POLICIES: tuple[Policy, ...] = (*GATED, DEFAULT)
"""The library's own policies. The first one that matches a model's name applies; the last one
matches every name."""


def resolve(model: str, policies: Iterable[Policy] = ()) -> Policy:
    """Return the policy of a model. ``policies`` are searched before the library's own.

    ``model`` may be spelled as any provider does; ``canonical`` is applied to it first.

    >>> resolve("openai/gpt-5.2").name
    'gpt-5.2'
    >>> resolve("claude-sonnet-4-5").name
    'default'
    """
    name = canonical(model)
    for policy in (*policies, *POLICIES):
        if any(fnmatchcase(name, pattern) for pattern in policy.models):
            return policy
    return DEFAULT


def named(name: str, policies: Iterable[Policy] = ()) -> Policy | None:
    """Return the policy with this name, or ``None``. ``policies`` are searched first."""
    return next((policy for policy in (*policies, *POLICIES) if policy.name == name), None)
