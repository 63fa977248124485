"""The OpenAI Agents SDK over Chat Completions. WAY: stream, or run."""

import asyncio

import agents
from driver import Task, drive
from openai import AsyncOpenAI
from openai.types.responses import ResponseCreatedEvent, ResponseTextDeltaEvent


async def ask(task: Task) -> str:
    agents.set_tracing_disabled(disabled=True)
    async with AsyncOpenAI(base_url=task.url, api_key=task.key) as client:
        agent = agents.Agent(
            name="driver",
            model=agents.OpenAIChatCompletionsModel(task.model, client),
            tools=[agents.function_tool(function) for function in task.tools],
        )
        if task.way == "run":
            return (await agents.Runner.run(agent, task.prompt)).final_output
        return await streamed(agents.Runner.run_streamed(agent, task.prompt))


async def streamed(result: agents.RunResultStreaming) -> str:
    said = ""
    try:
        async for event in result.stream_events():
            if event.type != "raw_response_event":
                continue
            match event.data:
                case ResponseCreatedEvent():
                    said = ""
                case ResponseTextDeltaEvent():
                    said += event.data.delta
                case _:
                    pass
    except asyncio.CancelledError:
        result.cancel()
        raise
    assert said == result.final_output
    return said


if __name__ == "__main__":
    drive(lambda task: asyncio.run(ask(task)))
