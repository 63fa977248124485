"""``escalation`` of a config: who is asked first. Pure."""

from collections.abc import Sequence
from typing import get_args

from massgen_compat.config.fields import Fields
from massgen_compat.run import Agreement, Escalation


def escalation(own: Fields, agents: Sequence[str]) -> Escalation | None:
    """The escalation that a config states; ``first`` is an agent's id or a list of them.

    Raises ``ConfigError`` for an id that no agent has, one that stands there twice, and where
    nobody is left to call.
    """
    if own.node_of("escalation") is None:
        return None
    fields = own.inner("escalation")
    node = fields.node_of("first")
    if node is None:
        fields.refuse("first", "is missing: which agent is asked first?")
    if isinstance(node.value, tuple):
        first = fields.choices("first", agents) or ()
    else:
        first = tuple(filter(None, [fields.choice("first", agents)]))
    if len(first) == len(agents):
        fields.refuse("first", "leaves nobody to call: it names all agents of the team")
    until = fields.choice("until", get_args(Agreement)) or "unanimous"
    try:
        return Escalation(first=first, until="majority" if until == "majority" else "unanimous")
    except ValueError as error:
        fields.refuse("first", f"cannot be: {error}")
