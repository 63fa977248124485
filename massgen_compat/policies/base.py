"""What a model family needs to coordinate well: a frozen value, and the default that adds nothing.

A policy is data plus at most a few pure hooks. A run under the default policy sends the same bytes
as one without any policy layer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from massgen_compat._coordination import Objection
from massgen_compat._run.turn import Phase, TurnRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A decision that an agent wants to make, before it counts.

    ``arguments`` are those of the tool call. ``own`` is the agent's label, ``others`` are the
    labels of the answers by its peers that it was shown; an agent that reviews its own draft alone
    finds its own label there.
    """

    phase: Phase
    kind: Literal["new_answer", "vote"]
    arguments: Mapping[str, Any]
    own: str
    others: tuple[str, ...]


Prepare: TypeAlias = Callable[[TurnRequest], TurnRequest]
Review: TypeAlias = Callable[[Submission], Objection | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a model family takes part in a run.

    ``models``: patterns (``fnmatch``) of canonical model names, see ``names.canonical``.
    ``summary``: one line for ``check``. ``draft_as_message``: in a draft no workflow tool is
    offered, and the message that ends the turn is the draft. ``evaluations``: ``vote`` and
    ``new_answer`` carry an evaluation of every answer. ``section``: goes into the system message.
    ``effort``: the reasoning effort asked for where the user names none; ``efforts``: those that
    the model accepts, weakest first; ``conflicts``: parameters that are a 400 next to an effort
    other than ``none``. ``serial_decisions``: no parallel tool calls while deciding.

    ``prepare`` may change a turn before it is sent; ``review`` may object to a submission, which
    turns it back, at most twice a round. Both have to be pure.
    """

    name: str
    summary: str
    models: tuple[str, ...] = ()
    draft_as_message: bool = False
    evaluations: bool = False
    section: str = ""
    effort: str | None = None
    efforts: tuple[str, ...] = ()
    conflicts: frozenset[str] = frozenset()
    serial_decisions: bool = False
    prepare: Prepare | None = None
    review: Review | None = None


DEFAULT = Policy(name="default", summary="adds nothing", models=("*",))
"""For every model without a row of its own."""
