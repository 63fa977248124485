"""Custom (freeform) tools, through real servers: native where the backend takes them."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import openai
import pytest

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer

PATCH = '*** Begin Patch\n+ print("hi")\n*** End Patch'
GRAMMAR = {"syntax": "lark", "definition": "start: line+"}
NESTED: Any = {
    "type": "custom",
    "custom": {
        "name": "apply_patch",
        "description": "Edit files.",
        "format": {"type": "grammar", "grammar": GRAMMAR},
    },
}
FLAT: Any = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edit files.",
    "format": {"type": "grammar", **GRAMMAR},
}
QUESTION: Any = {"role": "user", "content": "Print hi."}


@contextmanager
def served(
    kind: str, api: Literal["chat", "responses"] | None, arguments: object
) -> Generator[tuple[openai.OpenAI, ScriptedServer]]:
    calling = {"calls": [{"name": "apply_patch", "arguments": arguments}]}
    upstream = ScriptedServer({}, default={"present": [calling, "Done."]})
    with serving(upstream) as provider:
        backend = Backend(type=kind, api=api, base_url=f"{provider}/v1", api_key="scripted")
        team = Team("team", [Agent(name, model="m", backend=backend) for name in "ab"])
        with (
            serving(create_app(MassGen(team, env={}))) as url,
            openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client,
        ):
            yield client, upstream


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_custom_tool_is_called_natively_and_goes_on_with_its_result(
    api: Literal["chat", "responses"],
) -> None:
    with served("openai", api, PATCH) as (client, upstream):
        completion = client.chat.completions.create(
            model="team", messages=[QUESTION], tools=[NESTED]
        )
        (choice,) = completion.choices
        [call] = choice.message.tool_calls or []
        assert call.type == "custom"
        assert (call.custom.name, call.custom.input) == ("apply_patch", PATCH)
        assert (choice.finish_reason, len(upstream.requests)) == ("tool_calls", 5)

        offered = upstream.requests[-1].body["tools"][-1]
        shape = {"type": "grammar", "grammar": GRAMMAR}
        expected: dict[str, Any] = NESTED["custom"] | {"format": shape}
        assert offered == (FLAT if api == "responses" else {"type": "custom", "custom": expected})

        result: Any = {"role": "tool", "tool_call_id": call.id, "content": "Applied."}
        again = client.chat.completions.create(
            model="team",
            messages=[QUESTION, choice.message.to_dict(), result],  # pyright: ignore[reportArgumentType]
            tools=[NESTED],
        )
        assert (again.choices[0].message.content, len(upstream.requests)) == ("Done.", 6)
        sent = upstream.requests[-1].body
        if api == "responses":
            kinds = [item.get("type") for item in sent["input"]]
            assert kinds[-3:-1] == ["custom_tool_call", "custom_tool_call_output"]
        else:
            (replayed,) = sent["messages"][-3]["tool_calls"]
            assert replayed["custom"] == {"name": "apply_patch", "input": PATCH}


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_its_input_is_streamed_in_custom_fragments(api: Literal["chat", "responses"]) -> None:
    with served("openai", api, PATCH) as (client, _):
        fragments = [
            fragment.to_dict()
            for chunk in client.chat.completions.create(
                model="team", messages=[QUESTION], tools=[NESTED], stream=True
            )
            for choice in chunk.choices
            for fragment in choice.delta.tool_calls or ()
        ]
    first: Any = fragments[0]
    assert first["type"] == "custom"
    assert first["custom"]["name"] == "apply_patch"
    inputs: list[Any] = [fragment["custom"] for fragment in fragments]
    assert "".join(part["input"] for part in inputs) == PATCH
    assert len(fragments) > 3
    assert all(fragment.keys() == {"index", "custom"} for fragment in fragments[1:])


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("openai", PATCH), ("chatcompletion", {"input": PATCH}), ("chatcompletion", PATCH)],
)
@pytest.mark.parametrize("stream", ["stream", "whole"])
def test_a_tool_that_is_spelled_flat_is_called_as_a_function_with_any_backend(
    kind: str, arguments: object, stream: str
) -> None:
    with served(kind, None, arguments) as (client, upstream):
        if stream == "whole":
            completion = client.chat.completions.create(
                model="team", messages=[QUESTION], tools=[FLAT]
            )
        else:
            with client.chat.completions.stream(
                model="team",
                messages=[QUESTION],
                extra_body={"tools": [FLAT]},
            ) as events:
                completion = events.get_final_completion()
        [call] = completion.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert call.function.arguments == PATCH
        offered = upstream.requests[-1].body["tools"][-1]
        assert offered["type"] == ("custom" if kind == "openai" else "function")


def test_a_backend_that_takes_no_custom_tools_is_a_400_before_anything_is_asked() -> None:
    with served("chatcompletion", None, PATCH) as (client, upstream):
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError) as caught:
                client.chat.completions.create(
                    model="team", messages=[QUESTION], tools=[NESTED], stream=stream
                )
            assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "tools")
            assert "function tool" in caught.value.message
        assert upstream.requests == ()


def test_agents_know_the_grammar() -> None:
    with served("openai", None, PATCH) as (client, upstream):
        client.chat.completions.create(model="team", messages=[QUESTION], tools=[NESTED])
        told = str(upstream.requests[0].body["input"][0])
    assert "apply_patch: Edit files." in told
    assert "start: line+" in told
