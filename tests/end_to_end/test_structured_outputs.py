"""``response_format`` through a real server, with the official SDK and scripted models."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import openai
import pydantic
import pytest

from massgen_compat import Agent, Backend, MassGen, Team, TeamSettings
from massgen_compat._run.turn import Phase
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer

GOOD = '{"name": "Ada", "age": 36}'
BAD = '{"name": "Ada"}'
QUESTION: Any = {"role": "user", "content": "Who? Answer in JSON."}


class Person(pydantic.BaseModel):
    name: str
    age: int


SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": Person.model_json_schema() | {"additionalProperties": False},
    },
}
KINDS = ("openai", "chatcompletion")


@contextmanager
def served(
    script: dict[str, Any],
    *,
    kind: str = "openai",
    agents: str = "abc",
    settings: TeamSettings | None = None,
) -> Generator[tuple[openai.OpenAI, ScriptedServer]]:
    upstream = ScriptedServer({}, default=script)
    with serving(upstream) as provider:
        backend = Backend(type=kind, base_url=f"{provider}/v1", api_key="scripted")
        members = [Agent(name, model="m", backend=backend) for name in agents]
        team = Team("team", members, settings=settings)
        with (
            serving(create_app(MassGen(team, env={}))) as url,
            openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client,
        ):
            yield client, upstream


def ask(client: openai.OpenAI, *, stream: bool, **params: Any) -> str:
    given: Any = {"model": "team", "messages": [QUESTION], "response_format": SCHEMA, **params}
    answer: Any = client.chat.completions.create(**given, stream=stream)
    if not stream:
        return answer.choices[0].message.content or ""
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)


def listen(client: openai.OpenAI, said: list[str]) -> None:
    for chunk in client.chat.completions.create(
        model="team", messages=[QUESTION], response_format=SCHEMA, stream=True
    ):
        said.extend(choice.delta.content or "" for choice in chunk.choices)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("agents", ["a", "abc"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_message_that_fits_costs_no_more_and_is_asked_of_the_presenter_alone(
    kind: str,
    agents: str,
    stream: Any,
) -> None:
    with served({"present": GOOD}, kind=kind, agents=agents) as (client, upstream):
        assert ask(client, stream=stream) == GOOD
        assert len(upstream.requests) == (1 if agents == "a" else 7)
        for request in upstream.requests:
            presents = request.phase is Phase.PRESENT
            if request.api == "chat":
                assert request.body.get("response_format") == (SCHEMA if presents else None)
            else:
                asked = {"type": "json_schema", **SCHEMA["json_schema"]} if presents else None
                text: dict[str, Any] = request.body.get("text") or {}
                assert text.get("format") == asked


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("bad", [BAD, "It is Ada."], ids=["unfit", "prose"])
def test_a_message_that_does_not_fit_is_repaired_once_and_never_seen(
    kind: str,
    stream: Any,
    bad: str,
) -> None:
    with served({"present": [bad, GOOD]}, kind=kind) as (client, upstream):
        assert ask(client, stream=stream) == GOOD
        assert len(upstream.requests) == 8
        told = json.dumps(upstream.requests[-1].body, ensure_ascii=False)
        assert json.dumps(bad)[1:-1] in told.replace("\\\\", "\\")
        assert "The application cannot use your message" in told


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_after_the_repair_a_draft_that_fits_is_the_message(stream: Any) -> None:
    with served({"draft": GOOD, "present": BAD}) as (client, upstream):
        assert ask(client, stream=stream) == GOOD
        assert len(upstream.requests) == 8


@pytest.mark.parametrize("agents", ["a", "abc"])
def test_what_never_fits_is_an_error_and_no_text(agents: str) -> None:
    with served({"draft": BAD, "present": BAD}, agents=agents) as (client, upstream):
        with pytest.raises(openai.APIStatusError) as caught:
            ask(client, stream=False)
        assert caught.value.status_code == 502
        assert "'age' is a required property" in caught.value.message
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert len(upstream.requests) == (2 if agents == "a" else 8)

        said: list[str] = []
        with pytest.raises(openai.APIError) as broke:
            listen(client, said)
        assert (broke.value.code, "".join(said)) == ("coordination_failed", "")


def test_the_limit_of_calls_holds_for_repairs_too() -> None:
    from massgen_compat import Limits  # noqa: PLC0415

    settings = TeamSettings(limits=Limits(max_calls=7))
    with served({"draft": BAD, "present": [BAD, GOOD]}, settings=settings) as (client, upstream):
        with pytest.raises(openai.APIStatusError):
            ask(client, stream=False)
        assert len(upstream.requests) == 7


def test_a_fence_around_the_json_needs_no_repair() -> None:
    with served({"present": f"```json\n{GOOD}\n```"}) as (client, upstream):
        assert ask(client, stream=True) == GOOD
        assert len(upstream.requests) == 7


def test_the_sdk_parses_into_its_models() -> None:
    with served({"present": GOOD}) as (client, _):
        completion = client.chat.completions.parse(
            model="team", messages=[QUESTION], response_format=Person
        )
        assert completion.choices[0].message.parsed == Person(name="Ada", age=36)
        with client.chat.completions.stream(
            model="team", messages=[QUESTION], response_format=Person
        ) as events:
            final = events.get_final_completion()
        assert final.choices[0].message.parsed == Person(name="Ada", age=36)


def test_drafts_are_told_the_shape() -> None:
    with served({"present": GOOD}) as (client, upstream):
        ask(client, stream=False)
        told = json.dumps(upstream.requests[0].body)
        assert "# Format of the message" in told
        assert "person" in told


def test_a_cut_message_says_so_and_is_not_repaired() -> None:
    with served({"present": f"{GOOD} and more"}) as (client, upstream):
        completion = client.chat.completions.create(
            model="team", messages=[QUESTION], response_format=SCHEMA, max_tokens=2
        )
        assert completion.choices[0].finish_reason == "length"
        assert len(upstream.requests) == 7


def test_a_refusal_and_calls_have_no_format() -> None:
    with served({"present": {"refusal": "I cannot."}}) as (client, _):
        message = (
            client.chat.completions.create(
                model="team", messages=[QUESTION], response_format=SCHEMA
            )
            .choices[0]
            .message
        )
        assert (message.refusal, message.content) == ("I cannot.", None)
    call: dict[str, Any] = {"name": "look", "arguments": {}}
    with served({"present": {"calls": [call]}}) as (client, _):
        choice = client.chat.completions.create(
            model="team",
            messages=[QUESTION],
            response_format=SCHEMA,
            tools=[{"type": "function", "function": {"name": "look"}}],
        ).choices[0]
        assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_provider_without_structured_outputs_is_asked_without(kind: str) -> None:
    refusal = {
        "status": 400,
        "param": "response_format" if kind == "chatcompletion" else "text.format",
        "when_sent": "response_format" if kind == "chatcompletion" else "text",
    }
    script = {"present": {"text": GOOD, "fail": refusal}}
    with served(script, kind=kind) as (client, upstream):
        completion = client.chat.completions.create(
            model="team", messages=[QUESTION], response_format=SCHEMA
        )
        assert completion.choices[0].message.content == GOOD
        assert len(upstream.requests) == 8, "the refused request costs nothing"
        told = completion.choices[0].message.to_dict()["reasoning_content"]
        assert "works without response_format" in str(told)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"type": "json_schema"}, "response_format.json_schema"),
        (
            {"type": "json_schema", "json_schema": {"name": "a b"}},
            "response_format.json_schema.name",
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "objekt"}}},
            "response_format",
        ),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}},
            },
            "response_format",
        ),
        ({"type": "xml"}, "response_format.type"),
    ],
)
def test_a_format_that_cannot_be_had_is_a_400(given: Any, param: str) -> None:
    with served({}) as (client, upstream):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="team", messages=[QUESTION], response_format=given)
        assert caught.value.param == param
        assert upstream.requests == ()


def test_json_object_needs_the_word_json() -> None:
    with served({"present": GOOD}) as (client, _):
        message: Any = {"role": "user", "content": "Who?"}
        with pytest.raises(openai.BadRequestError, match="must contain the word 'json'"):
            ask(client, stream=False, messages=[message], response_format={"type": "json_object"})
        assert ask(client, stream=False, response_format={"type": "json_object"}) == GOOD
