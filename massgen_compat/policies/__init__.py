"""Model-specific coordination policies: an ordered table, and how a model finds its row."""

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
"""First match wins; the last row matches everything."""


def resolve(model: str, policies: Iterable[Policy] = ()) -> Policy:
    """The policy of a model, by its canonical name. ``policies`` come before the table.

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
    """The policy of that name, if there is one."""
    return next((policy for policy in (*policies, *POLICIES) if policy.name == name), None)
