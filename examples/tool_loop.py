"""A client's tool in a loop: the team decides what to call, the program runs it, one agent goes on.

    python examples/tool_loop.py

It works offline: the agents follow scripts. The follow-up with the result costs one model call.
"""

import json
from typing import Any

import anyio

from massgen_compat import Agent, Backend, MassGen, Team

QUESTION = "What is the weather in Paris?"
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city now.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def weather(city: str) -> str:
    """What the tool does; a real one would ask a service."""
    return f"{city}: 18 degrees, light rain"


ADA = {
    "draft": "Call weather for Paris, then say it in one sentence.",
    "present": [
        {"calls": [{"name": "weather", "arguments": {"city": "Paris"}}]},
        "It is 18 degrees in Paris, with light rain.",
    ],
}
BEN = {"draft": "I do not know.", "evaluate": {"vote": "agent1", "reason": "It asks the tool."}}


async def main() -> None:
    """Ask, run what the team calls, and ask again until there is a message."""
    agents = [
        Agent("ada", model="scripted", backend=Backend(type="scripted", script=ADA)),
        Agent("ben", model="scripted", backend=Backend(type="scripted", script=BEN)),
    ]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    async with MassGen(Team("pair", agents)) as massgen:
        while True:
            completion = await massgen.chat(
                {"model": "pair", "messages": messages, "tools": [TOOL]}
            )
            message = completion.choices[0].message
            calls = (completion.model_extra or {})["massgen"]["agents"]
            print(f"model calls: {sum(agent['calls'] for agent in calls)}")
            if not message.tool_calls:
                print(message.content)
                return
            messages.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls:
                if call.type == "function":
                    result = weather(**json.loads(call.function.arguments))
                    print(f"{call.function.name}({call.function.arguments}) -> {result}")
                    messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


if __name__ == "__main__":
    anyio.run(main)
