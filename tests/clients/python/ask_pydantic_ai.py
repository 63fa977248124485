"""Pydantic AI's agent. WAY: run, or run_stream."""

import asyncio

from driver import Task, drive
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def ask(task: Task) -> str:
    provider = OpenAIProvider(base_url=task.url, api_key=task.key)
    agent = Agent(OpenAIChatModel(task.model, provider=provider), tools=task.tools)
    if task.way == "run":
        return (await agent.run(task.prompt)).output
    async with agent.run_stream(task.prompt) as result:
        return "".join([piece async for piece in result.stream_text(delta=True)])


if __name__ == "__main__":
    drive(lambda task: asyncio.run(ask(task)))
