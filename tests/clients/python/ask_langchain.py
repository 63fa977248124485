"""LangChain's ChatOpenAI with bound tools. WAY: stream (astream), or invoke (ainvoke)."""

import asyncio
from typing import Any

from driver import Task, drive
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr


async def ask(task: Task) -> str:
    tools = {function.__name__: tool(function) for function in task.tools}
    key = SecretStr(task.key)
    model: Any = ChatOpenAI(model=task.model, base_url=task.url, api_key=key)
    model = model.bind_tools([*tools.values()]) if tools else model
    messages: list[Any] = [("user", task.prompt)]
    while True:
        stream = task.way == "stream"
        message = await streamed(model, messages) if stream else await model.ainvoke(messages)
        if not message.tool_calls:
            return message.text
        messages += [message, *(tools[call["name"]].invoke(call) for call in message.tool_calls)]


async def streamed(model: Any, messages: list[Any]) -> Any:
    chunks = [chunk async for chunk in model.astream(messages)]
    return sum(chunks[1:], start=chunks[0])


if __name__ == "__main__":
    drive(lambda task: asyncio.run(ask(task)))
