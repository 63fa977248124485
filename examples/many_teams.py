"""Several teams in one program, by name, and what each of them costs for the same question.

    python examples/many_teams.py

It works offline: all agents follow the default script.
"""

import anyio

from massgen_compat import Agent, Backend, MassGen, Team, TeamSettings

SCRIPTED = Backend(type="scripted")


def team(name: str, size: int, settings: TeamSettings | None = None) -> Team:
    """A team of so many agents."""
    agents = [Agent(f"agent{n}", model="scripted", backend=SCRIPTED) for n in range(1, size + 1)]
    return Team(name, agents, settings=settings)


TEAMS = (
    team("pair", 2),
    team("five", 5),
    team("quick", 3, TeamSettings(final_answer_strategy="winner_reuse")),
)


async def main() -> None:
    """Ask every team that is served."""
    async with MassGen(*TEAMS) as massgen:
        for name in massgen.teams:  # `pair-single` and so on are the first agents alone
            completion = await massgen.chat(
                {"model": name, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}
            )
            agents = (completion.model_extra or {})["massgen"]["agents"]
            print(f"{name}: {sum(agent['calls'] for agent in agents)} model calls")


if __name__ == "__main__":
    anyio.run(main)
