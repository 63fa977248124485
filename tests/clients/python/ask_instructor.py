"""Instructor, which forces a call (``tool_choice``) and validates its arguments.

Each step asks for one model of Pydantic, whose name the scripted call has; ``parallel`` asks for
any number of them in one message. What has no model is an ordinary completion.
"""

from collections.abc import Iterable
from typing import Any

import instructor
import openai
from driver import TOOLS, Task, drive, read_file, write_file
from pydantic import BaseModel, create_model

READ = create_model("read_file", __doc__=read_file.__doc__, path=(str, ...))
WRITE = create_model("write_file", __doc__=write_file.__doc__, path=(str, ...), content=(str, ...))

STEPS: dict[str, list[Any]] = {
    "tools": [READ, WRITE],
    "parallel": [Iterable[READ | WRITE]],
    "error": [READ],
    "wrong key": [READ],
    "cancel": [READ],
}


def ask(task: Task) -> str:
    parallel = task.scenario == "parallel"
    mode = instructor.Mode.PARALLEL_TOOLS if parallel else instructor.Mode.TOOLS
    completions: list[Any] = []
    messages: list[Any] = [{"role": "user", "content": task.prompt}]
    with openai.OpenAI(base_url=task.url, api_key=task.key) as sdk:
        client = instructor.from_openai(sdk, mode=mode)
        client.on("completion:response", completions.append)
        for wanted in STEPS.get(task.scenario, []):
            found: Any = client.chat.completions.create(
                model=task.model, messages=messages, response_model=wanted
            )
            messages += exchange(completions[-1], [*found] if parallel else [found])
        last: Any = client.chat.completions.create(
            model=task.model, messages=messages, response_model=None
        )
    return last.choices[0].message.content


def exchange(completion: Any, found: list[BaseModel]) -> list[Any]:
    """The message with the calls, and the results of what instructor made of them."""
    message = completion.choices[0].message
    results = [
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": TOOLS[call.function.name](**arguments.model_dump()),
        }
        for call, arguments in zip(message.tool_calls, found, strict=True)
    ]
    return [message.to_dict(), *results]


if __name__ == "__main__":
    drive(ask)
