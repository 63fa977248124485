"""``make bench-thrift``: what the settings that spend less do to calls, tokens and seconds.

The models are *scripted*; no model is involved. Their delays have the proportions of real ones at a
tenth of the length: half a second of thought, a word every 10 ms. Each setting runs beside the
default in the same situation, several times in turn, and the table has both and the ratio. Calls
are the same every time; tokens are those that the calls report, so one that was aborted has none.
"""

import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from massgen_compat import Agent, Backend, Escalation, MassGen, Team, TeamSettings

REPEATS = 5

WORDS = (
    "Short waves scatter more than long ones, and so the sky is blue by day and red at dusk. " * 3
)
THOUGHT, PACE = 0.5, 0.01

Script = Mapping[str, Any]


def _agent(name: str, **steps: Any) -> Script:
    """A script: it drafts, votes for agent1 and presents, unless ``steps`` say something else."""
    slow = {"token_delay_seconds": PACE}
    return {
        "delay_seconds": THOUGHT,
        "draft": {"new_answer": f"{name}: {WORDS}", **slow},
        "evaluate": [{"vote": "agent1", "reason": "It names the cause.", **slow}],
        "present": {"text": WORDS, **slow},
        **steps,
    }


def _team(**others: Script) -> dict[str, Script]:
    """Three agents; the first to draft is the one that the others vote for."""
    names = ("ada", "ben", "cleo")
    return {name: others.get(name, _agent(name)) for name in names}


def _votes(delay: float, *, first: Sequence[Script] = ()) -> dict[str, Any]:
    """The evaluations of an agent that votes late; ``first`` are those of earlier rounds."""
    return {"evaluate": [*first, {"vote": "agent1", "delay_seconds": delay}]}


_BETTER = {"new_answer": f"Better: {WORDS}", "delay_seconds": THOUGHT}

AGREE = _team()
DISAGREE = _team(ada=_agent("ada", evaluate=[_BETTER, {"vote": "agent1"}]))
LATE = _team(cleo=_agent("cleo", **_votes(1.5)))
_CONVINCED = {"evaluate": [{"vote": "agent1"}, {"vote": "agent3"}]}
CHANGED = _team(
    ada=_agent("ada", **_CONVINCED),
    ben=_agent("ben", **_CONVINCED),
    cleo=_agent("cleo", evaluate=[{**_BETTER, "delay_seconds": 1.5}, {"vote": "agent3"}]),
)
LOST = _team(cleo=_agent("cleo", **_votes(4.0)))
SLOW_DRAFT = _team(
    cleo=_agent("cleo", draft={"new_answer": f"cleo: {WORDS}", "delay_seconds": 2.0})
)
CHAT = "Why is the sky blue?"
TITLE = """\
### Task:
Generate a concise title summarizing the chat history.
### Output:
JSON format: { "title": "your concise title here" }
<chat_history>
USER: Why is the sky blue?
</chat_history>"""
"""As Open WebUI asks for one."""


@dataclass(frozen=True)
class Row:
    """A setting in a situation, beside the ``default`` settings in the same one."""

    setting: str
    situation: str
    scripts: Mapping[str, Script]
    settings: TeamSettings
    default: TeamSettings = field(default_factory=TeamSettings)
    asked: str = CHAT


_PLAIN = TeamSettings()
_FIRST = replace(_PLAIN, escalation=Escalation(first=("ada",)))
_TWO = replace(_PLAIN, escalation=Escalation(first=("ada", "ben")))
_AHEAD = replace(_PLAIN, speculate=True)
_REUSE = replace(_PLAIN, final_answer_strategy="winner_reuse")

ROWS = (
    Row("`final_answer_strategy: winner_reuse`", "all agree", AGREE, _REUSE),
    Row("`escalation: {first: ada}`", "ada stands by its draft", AGREE, _FIRST),
    Row("`escalation: {first: ada}`", "ada finds a fault in it", DISAGREE, _FIRST),
    Row("`escalation: {first: [ada, ben]}`", "both agree", AGREE, _TWO),
    Row(
        "`escalation: {first: ada}` and `winner_reuse`",
        "ada stands by its draft",
        AGREE,
        replace(_FIRST, final_answer_strategy="winner_reuse"),
    ),
    Row("`speculate: true`", "the last vote takes 1.5 s", LATE, _AHEAD),
    Row("`speculate: true`", "after 1.5 s the last one answers anew", CHANGED, _AHEAD),
    Row(
        "background request to one agent (the default)",
        "a client asks for a title",
        AGREE,
        _PLAIN,
        default=replace(_PLAIN, background_agent="off"),
        asked=TITLE,
    ),
    Row(
        "`straggler_grace_seconds: 0.5`",
        "the last vote takes 4 s",
        LOST,
        replace(_PLAIN, straggler_grace_seconds=0.5),
    ),
    Row("`skip_voting: true`", "all agree", AGREE, replace(_PLAIN, skip_voting=True)),
    Row(
        "`skip_coordination_rounds: true`",
        "any",
        AGREE,
        replace(_PLAIN, skip_coordination_rounds=True),
    ),
    Row(
        "`defer_voting_until_all_answered: false`",
        "one draft takes 2 s",
        SLOW_DRAFT,
        replace(_PLAIN, defer_voting_until_all_answered=False),
    ),
)


@dataclass(frozen=True)
class Cost:
    """What a run took."""

    calls: int
    tokens: int
    seconds: float


async def run(row: Row, settings: TeamSettings) -> Cost:
    """One request of the row's situation under these settings."""
    agents = [
        Agent(name, model=name, backend=Backend(type="scripted", script=script))
        for name, script in row.scripts.items()
    ]
    massgen = MassGen(Team("team", agents, settings=settings), env={})
    payload = {"model": "team", "messages": [{"role": "user", "content": row.asked}]}
    started = time.perf_counter()
    completion = await massgen.chat(payload)
    seconds = time.perf_counter() - started
    told: Any = (completion.model_extra or {})["massgen"]
    assert completion.usage is not None
    calls = sum(agent["calls"] for agent in told["agents"])
    return Cost(calls, completion.usage.total_tokens, seconds)


async def measure(row: Row, repeats: int) -> tuple[Cost, Cost]:
    """The row and its default, in turn; medians."""
    pairs = [(await run(row, row.settings), await run(row, row.default)) for _ in range(repeats)]
    ours, theirs = zip(*pairs, strict=True)
    return _median(ours), _median(theirs)


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        round(statistics.median(cost.calls for cost in costs)),
        round(statistics.median(cost.tokens for cost in costs)),
        statistics.median(cost.seconds for cost in costs),
    )


HEAD = (
    "| setting | situation | calls | ÷ default | tokens | ÷ default | seconds | ÷ default |",
    "|---|---|---|---|---|---|---|---|",
)


def line(row: Row, ours: Cost, theirs: Cost) -> str:
    """A line of the table."""
    cells = (
        row.setting,
        row.situation,
        f"{ours.calls} : {theirs.calls}",
        f"{ours.calls / theirs.calls:.2f}",
        f"{ours.tokens} : {theirs.tokens}",
        f"{ours.tokens / theirs.tokens:.2f}",
        f"{ours.seconds:.1f} : {theirs.seconds:.1f}",
        f"{ours.seconds / theirs.seconds:.2f}",
    )
    return f"| {' | '.join(cells)} |"


async def _print() -> None:
    for row in ROWS:
        print(line(row, *await measure(row, REPEATS)), flush=True)


def calls() -> Iterator[tuple[str, str, str]]:
    """Setting, situation and calls of each row, all measured at once: pace does not change them."""
    found: dict[str, str] = {}

    async def note(row: Row) -> None:
        ours, theirs = await run(row, row.settings), await run(row, row.default)
        found[row.setting + row.situation] = f"{ours.calls} : {theirs.calls}"

    async def measure_all() -> None:
        async with anyio.create_task_group() as tasks:
            for row in ROWS:
                tasks.start_soon(note, row)

    anyio.run(measure_all)
    for row in ROWS:
        yield row.setting, row.situation, found[row.setting + row.situation]


def main() -> None:
    """Print the table."""
    print(f"Scripted models, no model involved; medians of {REPEATS} runs.\n")
    print("\n".join(HEAD))
    anyio.run(_print)


if __name__ == "__main__":
    sys.exit(main())
