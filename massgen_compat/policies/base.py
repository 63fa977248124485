"""``Policy``, a frozen value with what a family of models needs, and the default that adds nothing.

A policy is data and at most two pure functions. Under the default policy a request has the same
bytes as without any policy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from massgen_compat._coordination import Objection
from massgen_compat._run.turn import Phase, TurnRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A decision that an agent wants to make, before it counts.

    ``arguments``: those of the tool call, as the model wrote them. ``own``: the agent's label.
    ``others``: the labels of the peers' answers that it was shown. Where there is no answer but its
    own (``escalation``), they are its own label.
    """

    phase: Phase
    kind: Literal["new_answer", "vote"]
    arguments: Mapping[str, Any]
    own: str
    others: tuple[str, ...]


Prepare: TypeAlias = Callable[[TurnRequest], TurnRequest]
"""A pure function that changes a turn before it is sent."""

Review: TypeAlias = Callable[[Submission], Objection | None]
"""A pure function that lets a decision count (``None``) or objects to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How models of one family take part in a run.

    ``models``: patterns (``fnmatch``) of canonical model names, see ``policies.canonical``.
    ``summary``: one line for ``massgen-compat check``.
    ``draft_as_message``: in a draft no workflow tool is offered, and the message that ends the turn
    is the draft.
    ``evaluations``: ``vote`` and ``new_answer`` have an evaluation of every answer as an argument.
    ``section``: a text for the system message.
    ``effort``: the reasoning effort to ask for if neither config nor request names one.
    ``efforts``: the efforts that the model accepts, weakest first.
    ``conflicts``: parameters that the API refuses (400) next to an effort other than ``none``.
    ``serial_decisions``: forbid parallel tool calls in drafts and evaluations.
    ``prepare``: may change a turn before it is sent.
    ``review``: may object to a decision. The agent is then asked again, at most twice a round.
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
"""The policy of every model without a row of its own."""
