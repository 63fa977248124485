"""The official client as the judge: ``AsyncOpenAI`` over a real socket understands every reply."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, cast

import anyio
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionUserMessageParam
from openai.types.responses import Response, ResponseFunctionToolCall
from openai.types.shared_params import Reasoning

from massgen_compat.testing import ScriptedServer

pytestmark = pytest.mark.anyio

Serving = Callable[[Any], AbstractContextManager[str]]
Steps = dict[str, dict[str, Any]]
HI: ChatCompletionUserMessageParam = {"role": "user", "content": "Hi"}
ENCRYPTED: Literal["reasoning.encrypted_content"] = "reasoning.encrypted_content"
REASONING: Reasoning = {"effort": "low", "summary": "auto"}
FINISHED = {"response.completed", "response.incomplete"}


@pytest.fixture
def anyio_backend() -> str:
    """Not trio: there the SDK leaves async generators behind, and warnings are errors here."""
    return "asyncio"


@pytest.fixture
async def client(serving: Serving, steps: Steps) -> AsyncIterator[AsyncOpenAI]:
    """A client of a server whose models are the steps."""
    scripts = {name: {"present": step} for name, step in steps.items()}
    scripts |= {
        "limited": {"present": {"fail": {"status": 429, "retry_after": 0}}},
        "cut": {"present": {"text": "one two", "fail": {"cut": True, "after_tokens": 1}}},
        "broken": {"present": {"text": "a b", "fail": {"status": 500, "after_tokens": 1}}},
    }
    with serving(ScriptedServer(scripts)) as url:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as sdk:
            with anyio.fail_after(20):
                yield sdk


def replies(steps: Steps) -> list[str]:
    return [name for name, step in steps.items() if "fail" not in step]


async def test_a_streamed_completion_folds_to_the_whole_one(
    client: AsyncOpenAI, steps: Steps
) -> None:
    for model in replies(steps):
        whole = await client.chat.completions.create(model=model, messages=[HI])
        async with client.chat.completions.stream(
            model=model, messages=[HI], stream_options={"include_usage": True}
        ) as stream:
            async for _ in stream:
                pass
            folded = stream.current_completion_snapshot
        assert essence(folded.model_dump()) == essence(whole.model_dump()), model
        assert whole.model == model


def essence(completion: dict[str, Any]) -> object:
    """A completion without its id, which follows the bytes of the request."""
    choice = completion["choices"][0]
    calls = cast("list[dict[str, Any]]", choice["message"]["tool_calls"] or [])
    return (
        choice["message"]["content"] or "",
        choice["message"]["refusal"],
        [(call["function"]["name"], call["function"]["arguments"]) for call in calls],
        choice["finish_reason"],
        completion["usage"],
        completion["system_fingerprint"],
    )


async def test_a_streamed_response_folds_to_the_whole_one(
    client: AsyncOpenAI, steps: Steps
) -> None:
    for model in replies(steps):
        whole = await client.responses.create(
            model=model, input="Hi", include=[ENCRYPTED], reasoning=REASONING
        )
        async with client.responses.stream(
            model=model, input="Hi", include=[ENCRYPTED], reasoning=REASONING
        ) as stream:
            events = [event async for event in stream]
        finished = [event for event in events if event.type in FINISHED]
        (last,) = cast("list[Any]", finished)
        assert told(last.response) == told(whole), model
        texts = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(texts) == whole.output_text == steps[model].get("text", "")
        assert whole.reasoning is not None
        assert whole.reasoning.effort == "low"


def told(response: Response) -> object:
    """A response without its ids and without what the SDK's helper parsed."""
    text = json.dumps(response.model_dump(exclude={"billing"}))
    return json.loads(
        text.replace(response.id.removeprefix("resp_"), "SEED"), object_hook=without_parsed
    )


def without_parsed(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in {"parsed", "parsed_arguments"}}


async def test_calls_reach_the_client_as_they_were_written(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="two calls", input="Hi")
    calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert [call.name for call in calls] == ["f", "g"]
    assert len({call.call_id for call in calls}) == 2
    assert response.status == "completed"


async def test_a_reply_at_the_token_limit_is_incomplete(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="length", input="Hi")
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output_text == ""


async def test_the_models_are_listed(client: AsyncOpenAI, steps: Steps) -> None:
    assert {model.id async for model in client.models.list()} >= set(steps)


async def test_scripted_statuses_are_the_clients_exceptions(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        await client.responses.create(model="limited", input="Hi", stream=True)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "0"
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="unknown", messages=[HI])


async def test_a_cut_connection_is_a_transport_error(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(model="cut", input="Hi", stream=True)
    with pytest.raises(Exception, match=r"incomplete chunked read|Connection error") as caught:
        async for _ in stream:
            pass
    assert not isinstance(caught.value, AssertionError)
    with pytest.raises(openai.APIConnectionError):
        await client.responses.create(model="cut", input="Hi")


async def test_a_stream_that_breaks_off_raises_or_says_that_it_failed(
    client: AsyncOpenAI,
) -> None:
    chunks = await client.chat.completions.create(model="broken", messages=[HI], stream=True)
    with pytest.raises(openai.APIError, match="The script says that this fails"):
        [chunk async for chunk in chunks]
    stream = await client.responses.create(model="broken", input="Hi", stream=True)
    *_, last = [event async for event in stream]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.code == "server_error"
