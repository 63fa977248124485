"""Our own OpenAPI document: the routes that it names, and every response held to it."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Protocol, cast

import jsonschema
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from massgen_compat import MassGen, TeamSettings
from massgen_compat._server.openapi import FAILURES, document
from massgen_compat.asgi import create_app
from tests.conformance import test_choices, test_completion, test_formats, test_requests
from tests.conformance.exchange import CHAT, Exchange, exchange
from tests.conformance.rules import Row, rows
from tests.conformance.stage import HELLO, TOOLS, Stage, serving, stage

DOCUMENT = document(version="1")
LOUD = TeamSettings(trace="status")


class Validator(Protocol):
    """What is used of a validator; jsonschema's own types are incomplete here."""

    def iter_errors(self, instance: object, /) -> Iterator[jsonschema.ValidationError]: ...


@cache
def validator(name: str) -> Validator:
    schema = {**DOCUMENT, "$ref": f"#/components/schemas/{name}"}
    return cast("Validator", jsonschema.Draft202012Validator(schema))


def hold(name: str, value: object) -> None:
    faults = [f"{fault.json_path}: {fault.message}" for fault in validator(name).iter_errors(value)]
    assert faults == [], value


def hold_answer(answer: Exchange) -> None:
    assert answer.status == 200 or str(answer.status) in FAILURES
    if not answer.streamed:
        hold("Completion" if answer.status == 200 else "Error", answer.body)
        return
    for payload in answer.payloads:
        hold("Error" if "error" in payload else "Chunk", payload)


def test_every_route_is_in_the_document_and_nothing_else_is() -> None:
    app = create_app(MassGen(env={"OPENAI_API_KEY": "sk-none"}))
    served = {
        (route.path.replace("{model:path}", "{model}"), method.lower())
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert len(app.routes) == len(served)
    told = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
    assert served == told


def test_the_document_is_valid_openapi() -> None:
    """Each schema is one of JSON Schema 2020-12, each reference has its target, ids are unique."""
    schemas: dict[str, Any] = DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(DOCUMENT)
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    roots = {"ChatPayload", "Completion", "Chunk", "Error", "Model", "ModelList", "Status"}
    assert roots <= used
    assert used == set(schemas)
    operations = [each for item in DOCUMENT["paths"].values() for each in item.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all("200" in each["responses"] for each in operations)


@pytest.mark.parametrize("path", ["/openapi.json", "/v1/openapi.json"])
def test_it_is_served_behind_the_key_and_says_so(path: str) -> None:
    with stage({"text": {}}, api_keys=["a key of this server"]) as each:
        assert each.send(None, path).status == 401
        key = {"Authorization": "Bearer a key of this server"}
        answer = each.send(None, path, headers=key)
        assert answer.status == 200
        assert answer.body["security"] == [{"key": []}]
        assert answer.body["paths"] == DOCUMENT["paths"]


def test_it_names_the_path_under_which_the_app_is_mounted() -> None:
    inner = create_app(MassGen(env={"OPENAI_API_KEY": "sk-none"}))
    with serving(Starlette(routes=[Mount("/ai", inner)])) as url:
        told = exchange(url, None, "/ai/openapi.json").body
    assert told["servers"] == [{"url": "/ai"}]
    assert "security" not in told


@pytest.fixture(scope="module")
def loud() -> Iterator[Stage]:
    """Teams that tell what they do, with everything of our own in the response."""
    with stage(settings=LOUD) as each:
        yield each


ROWS = [
    row
    for rules in (
        test_completion.RULES,
        test_requests.EFFECTS,
        test_choices.RULES,
        test_formats.RULES,
    )
    for row in rows(rules)
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_response_is_as_the_document_says(row: Row, loud: Stage) -> None:
    answer = row.ask(loud, massgen=None)
    hold_answer(answer)
    assert "massgen" in (answer.chunks[-1] if answer.streamed else answer.body)


@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_run_is_as_the_document_says(cast: str, stream: object, loud: Stage) -> None:
    for script in ("limited", "keyless", "broken", "too-long", "stumbling", "severed"):
        hold_answer(loud.chat(cast, script, stream=stream, tools=TOOLS, massgen=None))


def test_models_and_states_are_as_the_document_says(loud: Stage) -> None:
    hold("ModelList", loud.send(None, "/v1/models").body)
    hold("Model", loud.send(None, "/models/three-text-single").body)
    hold("Error", loud.send(None, "/models/nobody").body)
    hold("Status", loud.send(None, "/health").body)
    hold("Status", loud.send(None, "/ready").body)


def test_what_is_accepted_fits_the_document_and_what_does_not_is_refused(served: Stage) -> None:
    """Our own rows: a request that the document rules out is never answered with 200."""
    valid = [{name: value} for name, values in test_requests.VALID.items() for value in values]
    for params in valid:
        body = {"model": "one-text", "messages": HELLO, **params}
        hold("ChatPayload", body)
    for params, _, _ in test_requests.FAULTS:
        body = {"model": "one-text", "messages": HELLO, **params}
        if list(validator("ChatPayload").iter_errors(body)):
            assert served.send(body, CHAT).status in {400, 404}
