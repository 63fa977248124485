"""An engine of your own: another way to come to an answer, behind the same door.

    python examples/custom_engine.py

This one asks every agent once and takes the longest answer: no evaluation, no votes. It works
offline: the agents follow scripts.
"""

from collections.abc import Sequence

import anyio

from massgen_compat import Agent, Backend, MassGen, RunRequest, ScriptedModel, Team
from massgen_compat.engine import (
    AgentUsage,
    Answer,
    FinalMessage,
    Phase,
    Reply,
    RunResult,
    Sink,
    TurnPiece,
    TurnRequest,
)
from massgen_compat.errors import UpstreamError
from massgen_compat.events import (
    AgentText,
    Detail,
    MessageText,
    RunCompleted,
    RunEvent,
    RunStarted,
    WinnerChosen,
)


class Longest:
    """Asks all agents at the same time; the longest answer is the message."""

    async def run(
        self,
        team: Team,
        request: RunRequest,
        events: Sink[RunEvent],
        *,
        run_id: str,
        detail: Detail,
    ) -> None:
        """Execute a run to its end (see ``massgen_compat.engine.Engine``)."""
        agents = tuple(agent.id for agent in team.agents)
        await events.send(RunStarted(run_id=run_id, team=team.name, agents=agents))
        replies = await ask_all(team, request)
        if detail == "full":  # a client's `trace: full`, or an observer that wants it
            for agent, reply in replies.items():
                await events.send(AgentText(agent=agent, round=1, text=reply.text))
        winner = max(replies, key=lambda agent: len(replies[agent].text))
        await events.send(WinnerChosen(winner=winner, votes=(), limited_by=None))
        await events.send(MessageText(text=replies[winner].text))
        spent = tuple(
            AgentUsage(agent=a.id, model=a.model, calls=1, unreported_calls=0, usage=reply.usage)
            for a in team.agents
            if (reply := replies[a.id])
        )
        usages = [each.usage for each in spent if each.usage]
        result = RunResult(
            run_id=run_id,
            team=team.name,
            messages=(FinalMessage(content=replies[winner].text),),
            winner=winner,
            presenter=None,
            answers=tuple(
                Answer(agent=agent, label=f"agent{n}", content=reply.text, number=1)
                for n, (agent, reply) in enumerate(replies.items(), start=1)
            ),
            votes=(),
            agents=spent,
            usage=sum(usages[1:], usages[0]) if usages else None,
            visible_usage=replies[winner].usage,
            limited_by=None,
        )
        await events.send(RunCompleted(result=result))


async def unheard(_: Sequence[TurnPiece]) -> None:
    """What the models say on the way to their replies is told nobody."""


async def ask_all(team: Team, request: RunRequest) -> dict[str, Reply]:
    """The replies of all agents, in the team's order. Raises the error of the first that fails."""
    replies: dict[str, Reply] = {}

    async def ask(agent: Agent) -> None:
        turn = TurnRequest(agent=agent.id, round=1, phase=Phase.DRAFT, messages=request.messages)
        replies[agent.id] = await ScriptedModel(agent.backend.script).ask(turn, unheard)

    try:
        async with anyio.create_task_group() as tasks:
            for agent in team.agents:
                tasks.start_soon(ask, agent)
    except* UpstreamError as group:
        raise group.exceptions[0] from None
    return {agent.id: replies[agent.id] for agent in team.agents}


async def main() -> None:
    """Ask a team through the engine: chat, streams, the server and observers work as ever."""
    agents = [
        Agent(name, model="scripted", backend=Backend(type="scripted", script={"draft": draft}))
        for name, draft in (("ada", "It scatters."), ("ben", "Air scatters blue light most."))
    ]
    async with MassGen(Team("pair", agents), engine=Longest()) as massgen:
        completion = await massgen.chat(
            {"model": "pair", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}
        )
    print(completion.choices[0].message.content)
    print("winner:", (completion.model_extra or {})["massgen"]["winner"])


if __name__ == "__main__":
    anyio.run(main)
