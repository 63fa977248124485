"""Stopping at a limit that is counted outside: what would start does not start. Pure."""

from dataclasses import replace
from typing import Final, TypeAlias

from massgen_compat.coordination.presenting import unfit
from massgen_compat.coordination.rules import step
from massgen_compat.coordination.state import (
    CorrectTurn,
    Effect,
    LimitReached,
    RepairMessages,
    Stage,
    StartTimer,
    StartTurn,
    Transition,
)
from massgen_compat.events import PresentationStarted, SpeculationStarted, TeamCalled, TurnStarted

CallEffect: TypeAlias = StartTurn | CorrectTurn | RepairMessages
"""An effect that makes model calls."""


def calls_of(transition: Transition) -> tuple[CallEffect, ...]:
    """The effects of a transition that make model calls."""
    return tuple(effect for effect in transition.effects if isinstance(effect, CallEffect))


_STARTS: Final = TurnStarted | PresentationStarted | SpeculationStarted | TeamCalled
"""Events that tell of calls, which then are not made."""


def stop_before(transition: Transition, limit: str, *, calls: int) -> Transition:
    """The transition without the calls that it would start, and the run ended at the limit.

    What the signal brought counts: an answer is taken, a vote too. ``calls`` are those that were
    made before. A run that ends in this transition by itself is left as it is.
    """
    if transition.state.stage is Stage.DONE:
        return transition
    repairing = any(isinstance(effect, RepairMessages) for effect in transition.effects)
    kept = Transition(
        replace(transition.state, calls=calls),
        tuple(effect for effect in transition.effects if not _starts(effect)),
        tuple(event for event in transition.events if not isinstance(event, _STARTS)),
    )
    if repairing:
        return kept.then(lambda state: unfit(replace(state, limited_by=limit)))
    return kept.then(lambda state: step(state, LimitReached(limit)))


def _starts(effect: Effect) -> bool:
    return isinstance(effect, CallEffect | StartTimer)
