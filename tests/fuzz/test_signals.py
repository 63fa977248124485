"""The rules of the coordination under signals in any order, sensible or not.

The walk over all states (``test_coordination_walk``) covers small teams whole; this one draws teams
of any shape, and signals that no agent could send.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_compat._coordination import (
    Abort,
    Began,
    Complete,
    Decision,
    Elapsed,
    Failed,
    GraceTimer,
    LimitReached,
    Malformed,
    NewAnswer,
    Objection,
    Presented,
    Replied,
    RoundTimer,
    Rules,
    RunTimer,
    Signal,
    Stage,
    State,
    Transition,
    Unusable,
    VoteFor,
    begin,
    step,
    stop_before,
)

NAMES = ("a", "b", "c", "d", "e")
AGENTS = st.sampled_from((*NAMES, "nobody"))
ROUNDS = st.integers(-1, 6)
OBJECTIONS = st.none() | st.just(Objection("missing_evaluations", "Evaluate first."))
TEXTS = st.sampled_from(("", " ", "short", "a much longer answer to the question", "x" * 500))
DECISIONS: st.SearchStrategy[Decision] = st.one_of(
    st.builds(NewAnswer, TEXTS, OBJECTIONS),
    st.builds(VoteFor, AGENTS, TEXTS, OBJECTIONS),
    st.builds(Unusable, TEXTS),
)
SIGNALS: st.SearchStrategy[Signal] = st.one_of(
    st.builds(
        Replied, AGENTS, ROUNDS, st.lists(DECISIONS, max_size=3).map(tuple), TEXTS, st.booleans()
    ),
    st.builds(Failed, AGENTS, ROUNDS, TEXTS),
    st.builds(Began, AGENTS, ROUNDS),
    st.builds(Presented, AGENTS, ROUNDS),
    st.builds(Malformed, AGENTS, ROUNDS, st.integers(1, 3)),
    st.builds(Elapsed, st.just(RunTimer())),
    st.builds(Elapsed, st.builds(GraceTimer, st.integers(-1, 6))),
    st.builds(Elapsed, st.builds(RoundTimer, AGENTS, ROUNDS)),
    st.builds(LimitReached, st.sampled_from(("max_tokens", "max_cost"))),
)


@st.composite
def teams(draw: st.DrawFn) -> Rules:
    agents = NAMES[: draw(st.integers(1, len(NAMES)))]
    some = st.sets(st.sampled_from(agents))
    first = draw(st.lists(st.sampled_from(agents), unique=True, max_size=len(agents) - 1))
    options: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {
                "max_answers": st.integers(1, 4),
                "max_answers_global": st.none() | st.integers(1, 8),
                "novelty": st.none() | st.floats(0, 1),
                "lead_cap": st.none() | st.integers(1, 3),
                "defer_voting": st.booleans(),
                "skip_voting": st.booleans(),
                "solo": st.booleans(),
                "strategy": st.sampled_from(("winner_present", "winner_reuse", "synthesize")),
                "max_calls": st.none() | st.integers(0, 30),
                "message_drafts": some.map(frozenset),
                "waive_objections": st.booleans(),
                "presentations": st.integers(1, 3),
                "repairs": st.booleans(),
            }
        )
    )
    if not options["solo"]:
        options["first"] = tuple(first)
    return Rules(agents=agents, **options)


def told(state: State, transition: Transition) -> State:
    """Every transition leaves the run sound, and the end of one is told exactly once."""
    after = transition.state
    ends = [each for each in transition.effects if isinstance(each, Complete | Abort)]
    ended = after.stage is Stage.DONE and state.stage is not Stage.DONE
    assert len(ends) == int(ended)
    assert after.calls <= after.rules.call_limit
    if state.stage is Stage.DONE:
        assert transition == Transition(state)
    lost = {member.agent for member in state.answered} - {member.agent for member in after.answered}
    assert not lost, "an answer is never lost"
    return after


@given(teams(), st.lists(SIGNALS, max_size=40), st.integers(0, 40))
@settings(max_examples=400, deadline=None)
def test_any_signals_in_any_order_leave_a_sound_run(
    rules: Rules, signals: list[Signal], refused: int
) -> None:
    first = begin(rules)
    state = first.state
    ended = state.stage is Stage.DONE
    assert ended == any(isinstance(each, Complete | Abort) for each in first.effects)
    for index, signal in enumerate(signals):
        calls = state.calls
        transition = step(state, signal)
        assert step(state, signal) == transition, "the same comes of the same"
        if index == refused:
            transition = stop_before(transition, "max_cost", calls=calls)
        state = told(state, transition)


@given(teams(), st.lists(SIGNALS, max_size=40))
@settings(max_examples=100, deadline=None)
def test_a_deadline_ends_any_run(rules: Rules, signals: list[Signal]) -> None:
    state = begin(rules).state
    for signal in signals:
        state = step(state, signal).state
    assert step(state, Elapsed(RunTimer())).state.stage is Stage.DONE
