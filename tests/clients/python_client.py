"""The official Python SDK against a served team: python python_client.py URL KEY.

It imports nothing but the SDK, so that any version's environment can run it. What it checks is the
same as in ``node/openai-checks.cjs``.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import openai

MESSAGES: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]
ANSWER = "Because air scatters blue light most."
Check = Callable[[openai.OpenAI], None]
Error = TypeVar("Error", bound=openai.APIError)


def the_teams_are_models(client: openai.OpenAI) -> None:
    assert client.models.list().data[0].id == "trio"
    assert client.models.retrieve("trio-single").owned_by == "massgen"


def a_completion_is_openais_with_the_runs_usage(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="trio", messages=MESSAGES)
    assert completion.choices[0].message.content == ANSWER
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage
    parts = completion.usage.prompt_tokens, completion.usage.completion_tokens
    assert completion.usage.total_tokens == sum(parts)
    assert min(parts) > 0
    assert (completion.model_extra or {})["massgen"]["winner"] == "ada"


def a_stream_brings_the_deliberation_then_the_message(client: openai.OpenAI) -> None:
    told = said = ""
    usage = None
    for chunk in client.chat.completions.create(
        model="trio", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            line = getattr(choice.delta, "reasoning_content", None) or ""
            assert not (line and said), "all deliberation comes first"
            told += line
            said += choice.delta.content or ""
    assert said == ANSWER
    assert usage
    assert usage.total_tokens > 0
    for line in ("ada answered.", "cleo voted for ada", "The team chose ada (votes: ada 3)."):
        assert line in told


def the_streaming_helper_adds_up_to_the_completion(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="trio", messages=MESSAGES) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        assert stream.get_final_completion().choices[0].message.content == ANSWER
    assert "".join(pieces) == ANSWER
    assert len(pieces) > 1


def the_async_client_gets_the_same(client: openai.OpenAI) -> None:
    async def ask() -> str:
        async with openai.AsyncOpenAI(base_url=client.base_url, api_key=client.api_key) as other:
            chunks = await other.chat.completions.create(
                model="trio", messages=MESSAGES, stream=True
            )
            return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])

    assert asyncio.run(ask()) == ANSWER


def a_tool_of_the_client_is_called_and_its_result_is_used(client: openai.OpenAI) -> None:
    function: dict[str, Any] = {"name": "read", "parameters": {"type": "object", "properties": {}}}
    tools: list[Any] = [{"type": "function", "function": function}]
    with client.chat.completions.stream(model="tooled", messages=MESSAGES, tools=tools) as stream:
        (choice,) = stream.get_final_completion().choices
    assert choice.finish_reason == "tool_calls"
    calls: list[Any] = list(choice.message.tool_calls or ())
    (call,) = calls
    assert call.function.name == "read"
    assert json.loads(call.function.arguments) == {"path": "sky.txt"}
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "blue"}
    history: list[Any] = [*MESSAGES, choice.message.to_dict(), result]
    completion = client.chat.completions.create(model="tooled", messages=history, tools=tools)
    assert completion.choices[0].message.content == "The file says blue."


def an_unknown_model_is_openais_404(client: openai.OpenAI) -> None:
    error = refused(client, openai.NotFoundError, model="nobody")
    assert error.code == "model_not_found"


def a_wrong_value_is_openais_400_with_its_param(client: openai.OpenAI) -> None:
    error = refused(client, openai.BadRequestError, extra_body={"temperature": "hot"})
    assert (error.code, error.param) == ("invalid_type", "temperature")


def a_wrong_key_is_openais_401(client: openai.OpenAI) -> None:
    stranger = client.with_options(api_key="a-wrong-key-0123456789")
    assert refused(stranger, openai.AuthenticationError).code == "invalid_api_key"


def a_providers_rate_limit_is_one_with_its_wait(client: openai.OpenAI) -> None:
    error = refused(client, openai.RateLimitError, model="limited")
    assert error.response.headers["retry-after"] == "7"


def a_message_that_breaks_off_is_an_error_of_the_stream(client: openai.OpenAI) -> None:
    said: list[str] = []

    def read() -> None:
        for chunk in client.chat.completions.create(model="broken", messages=MESSAGES, stream=True):
            said.extend(choice.delta.content or "" for choice in chunk.choices)

    assert caught(openai.APIError, read).code == "coordination_failed"
    assert ANSWER.startswith("".join(said))
    assert "".join(said) != ANSWER


def refused(
    client: openai.OpenAI, kind: type[openai.APIStatusError], **params: Any
) -> openai.APIStatusError:
    request: dict[str, Any] = {"model": "trio", "messages": MESSAGES, **params}

    def ask() -> None:
        client.chat.completions.create(**request)

    return caught(kind, ask)


def caught(kind: type[Error], action: Callable[[], object]) -> Error:
    try:
        action()
    except kind as error:
        return error
    raise AssertionError("there was no error")


CHECKS: tuple[Check, ...] = (
    the_teams_are_models,
    a_completion_is_openais_with_the_runs_usage,
    a_stream_brings_the_deliberation_then_the_message,
    the_streaming_helper_adds_up_to_the_completion,
    the_async_client_gets_the_same,
    a_tool_of_the_client_is_called_and_its_result_is_used,
    an_unknown_model_is_openais_404,
    a_wrong_value_is_openais_400_with_its_param,
    a_wrong_key_is_openais_401,
    a_providers_rate_limit_is_one_with_its_wait,
    a_message_that_breaks_off_is_an_error_of_the_stream,
)


def main(url: str, key: str) -> None:
    print(f"  openai {openai.__version__}")
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=20) as client:
        for check in CHECKS:
            check(client)
            print(f"  ok: {check.__name__.replace('_', ' ')}")


if __name__ == "__main__":
    main(*sys.argv[1:])
