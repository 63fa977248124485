"""Limits of a run: the team's, a request's lower ones, and what comes back when one is reached.

    python examples/limits.py

It works offline: two agents who never agree, and a price that is made up.
"""

from typing import Any

import anyio

from massgen_compat import Agent, Backend, Limits, MassGen, Price, Team, TeamSettings

STUBBORN = {
    "draft": "Mine.",
    "evaluate": [{"new_answer": f"Mine, version {number}."} for number in range(2, 50)],
}


async def main() -> None:
    """Let them argue under ever lower limits."""
    agents = [
        Agent(name, model="scripted", backend=Backend(type="scripted", script=STUBBORN))
        for name in ("ada", "ben")
    ]
    settings = TeamSettings(
        max_new_answers_per_agent=20,
        limits=Limits(max_calls=30, max_cost=1.0),
        prices={"scripted": Price(input_per_million=2.0, output_per_million=8.0)},
    )
    question: dict[str, Any] = {
        "model": "pair",
        "messages": [{"role": "user", "content": "Which of you is right?"}],
    }
    async with MassGen(Team("pair", agents, settings=settings)) as massgen:
        for limits in ({}, {"max_calls": 7}, {"max_cost": 0.004}):
            completion = await massgen.chat({**question, "massgen": {"limits": limits}})
            run = (completion.model_extra or {})["massgen"]
            calls = sum(agent["calls"] for agent in run["agents"])
            print(f"{limits or 'the team'}: ended by {run['limited_by']}, {calls} model calls")
            print(f"  ${run['cost_usd']:.4f}: {completion.choices[0].message.content}")


if __name__ == "__main__":
    anyio.run(main)
