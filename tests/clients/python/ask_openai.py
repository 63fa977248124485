"""The official SDK. WAY: stream (the streaming helper), async (the same, async), or whole."""

import asyncio
import json
from typing import Any

import openai
from driver import TOOLS, Task, drive


def ask(task: Task) -> str:
    if task.way == "async":
        return asyncio.run(ask_async(task))
    messages: list[Any] = [{"role": "user", "content": task.prompt}]
    with openai.OpenAI(base_url=task.url, api_key=task.key) as client:
        while True:
            message = get_message(client, task, messages)
            if not message.tool_calls:
                return message.content
            messages += [message.to_dict(), *map(result, message.tool_calls)]


def get_message(client: openai.OpenAI, task: Task, messages: list[Any]) -> Any:
    if task.way == "whole":
        completion = client.chat.completions.create(
            model=task.model, messages=messages, **task.schemas
        )
        return completion.choices[0].message
    with client.chat.completions.stream(
        model=task.model, messages=messages, **task.schemas
    ) as stream:
        said = "".join(event.delta for event in stream if event.type == "content.delta")
        message = stream.get_final_completion().choices[0].message
    assert said == (message.content or "")
    return message


async def ask_async(task: Task) -> str:
    messages: list[Any] = [{"role": "user", "content": task.prompt}]
    async with openai.AsyncOpenAI(base_url=task.url, api_key=task.key) as client:
        while True:
            async with client.chat.completions.stream(
                model=task.model, messages=messages, **task.schemas
            ) as stream:
                message: Any = (await stream.get_final_completion()).choices[0].message
            if not message.tool_calls:
                return message.content
            messages += [message.to_dict(), *map(result, message.tool_calls)]


def result(call: Any) -> dict[str, str]:
    said = TOOLS[call.function.name](**json.loads(call.function.arguments))
    return {"role": "tool", "tool_call_id": call.id, "content": said}


if __name__ == "__main__":
    drive(ask)
