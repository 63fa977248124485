"""A run that completes is freed at once: nothing of it waits for the garbage collector.

One that fails, or is cancelled, may wait: its errors hold frames, and those hold the run.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from massgen_compat import Agent, MassGen, Team
from massgen_compat._run.team import Limits, TeamSettings
from tests.fakes import Model

REQUEST = {"model": "team", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}
Ask = Callable[[MassGen, dict[str, Any]], Awaitable[None]]


async def whole(massgen: MassGen, request: dict[str, Any]) -> None:
    await massgen.chat(request)


async def streamed(massgen: MassGen, request: dict[str, Any]) -> None:
    async with massgen.chat_stream(request) as chunks:
        async for _ in chunks:
            pass


async def garbage_of(massgen: MassGen, ask: Ask) -> Counter[str]:
    """The kinds of objects of this library that only the collector frees after a run."""
    await ask(massgen, REQUEST)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await ask(massgen, REQUEST)
        await asyncio.sleep(0)  # what was cancelled or closed ends
        gc.collect()
        return Counter(
            type(each).__qualname__
            for each in gc.garbage
            if type(each).__module__.startswith("massgen_compat")
        )
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("agents", ["a", "abc"])
@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize("limits", [Limits(), Limits(deadline_seconds=60, max_tokens=10_000)])
def test_a_run_that_completes_leaves_nothing_to_the_collector(
    agents: str, ask: Ask, limits: Limits
) -> None:
    model = Model()
    team = Team(
        "team",
        [Agent(name, model="m") for name in agents],
        settings=TeamSettings(limits=limits),
    )
    massgen = MassGen(team, env={"OPENAI_API_KEY": "k"}, connect=lambda _: model)
    assert asyncio.run(garbage_of(massgen, ask)) == Counter()
