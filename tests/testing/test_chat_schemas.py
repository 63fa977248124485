"""The scripted Chat Completions wire against OpenAI's published schemas, read as a closed world."""

import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

import jsonschema
import pytest

from massgen_compat.testing import ScriptedServer

pytestmark = pytest.mark.anyio

Post = Callable[[ScriptedServer, str, object], Awaitable[tuple[int, dict[str, str], bytes]]]
Conforms = Callable[[str, object], None]
Steps = dict[str, dict[str, Any]]
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}


class Validator(Protocol):
    """What is used of a validator; jsonschema's own types are incomplete here."""

    def iter_errors(self, instance: object, /) -> Iterator[jsonschema.ValidationError]: ...


@pytest.fixture(scope="module")
def conforms(shared: Callable[[str], Path]) -> Conforms:
    """Raises where a value departs from the schema of that name."""
    schemas = json.loads(shared("spec/chat_schemas_strict.json").read_text())["$defs"]

    def check(name: str, value: object) -> None:
        schema = {"$ref": f"#/$defs/{name}", "$defs": schemas}
        validator = cast("Validator", jsonschema.Draft202012Validator(schema))
        assert list(validator.iter_errors(value)) == []

    return check


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    frames = stream.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]


@pytest.mark.parametrize("options", [{}, {"include_usage": True}, {"include_obfuscation": False}])
async def test_chunks_conform_and_carry_what_was_asked_for(
    post: Post, conforms: Conforms, steps: Steps, options: dict[str, bool]
) -> None:
    for name, step in steps.items():
        if "fail" in step:
            continue
        app = ScriptedServer({"m": {"present": step}})
        _, _, body = await post(app, CHAT, asked(stream=True, stream_options=options))
        chunks = chunks_of(body)
        for chunk in chunks:
            conforms("CreateChatCompletionStreamResponse", chunk)
            assert ("usage" in chunk) == ("include_usage" in options)
            assert ("obfuscation" in chunk) == ("include_obfuscation" not in options)
        reported = "include_usage" in options and step.get("usage", {}) is not None
        assert [not chunk["choices"] for chunk in chunks].count(True) == reported, name
        assert (chunks[-1].get("usage") is not None) == reported, name


async def test_the_role_stands_in_the_first_chunk_and_the_end_in_one_chunk(
    post: Post, steps: Steps
) -> None:
    for name, step in steps.items():
        if "fail" in step:
            continue
        app = ScriptedServer({"m": {"present": step}})
        _, _, body = await post(app, CHAT, asked(stream=True))
        choices = [chunk["choices"][0] for chunk in chunks_of(body)]
        assert ["role" in choice["delta"] for choice in choices].index(True) == 0, name
        assert sum("role" in choice["delta"] for choice in choices) == 1, name
        finished = [choice for choice in choices if choice["finish_reason"]]
        assert finished == choices[-1:], name
        assert finished[0]["delta"] == {}


async def test_completions_conform(post: Post, conforms: Conforms, steps: Steps) -> None:
    for step in steps.values():
        if "fail" not in step:
            _, _, body = await post(ScriptedServer({"m": {"present": step}}), CHAT, asked())
            conforms("CreateChatCompletionResponse", json.loads(body))


async def test_errors_conform(post: Post, conforms: Conforms) -> None:
    app = ScriptedServer({"m": {"present": {"fail": {"status": 429}}}})
    for path, model in ((CHAT, "m"), (CHAT, "x"), (RESPONSES, "x"), ("/v1/nothing", "m")):
        _, _, body = await post(app, path, {**asked(model=model), "input": "Hi"})
        conforms("ErrorResponse", json.loads(body))


@pytest.mark.parametrize(
    ("tool_choice", "finish_reason"),
    [
        ("required", "tool_calls"),
        ({"type": "function", "function": {"name": "f"}}, "stop"),
        (None, "tool_calls"),
    ],
)
async def test_a_forced_call_of_one_function_ends_with_stop(
    post: Post, tool_choice: object, finish_reason: str
) -> None:
    app = ScriptedServer({"m": {"present": {"calls": [{"name": "f"}]}}})
    _, _, body = await post(app, CHAT, asked(tool_choice=tool_choice))
    assert json.loads(body)["choices"][0]["finish_reason"] == finish_reason
