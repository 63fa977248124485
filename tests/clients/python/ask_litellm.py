"""LiteLLM's SDK. WAY: stream (acompletion), or whole (completion)."""

import asyncio
import json
from typing import Any

import litellm
from driver import TOOLS, Task, drive


def ask(task: Task) -> str:
    litellm.suppress_debug_info = True
    messages: list[Any] = [{"role": "user", "content": task.prompt}]
    while True:
        message = get_message(task, messages)
        if not message.tool_calls:
            return message.content
        messages.append(message)
        for call in message.tool_calls:
            said = TOOLS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": said})


def get_message(task: Task, messages: list[Any]) -> Any:
    request: dict[str, Any] = {
        "model": f"openai/{task.model}",
        "api_base": task.url,
        "api_key": task.key,
        "messages": messages,
        **task.schemas,
    }
    if task.way == "stream":
        completion: Any = asyncio.run(streamed(request))
    else:
        completion = litellm.completion(**request)
    return completion.choices[0].message


async def streamed(request: dict[str, Any]) -> Any:
    stream: Any = await litellm.acompletion(**request, stream=True)
    async with stream:
        chunks = [chunk async for chunk in stream]
    return litellm.stream_chunk_builder(chunks, messages=request["messages"])


if __name__ == "__main__":
    drive(ask)
