"""The OpenAPI document of the server: its paths, and the schemas of requests and responses.

Requests are described by the models that parse them (``ChatPayload``) and by the table of
parameters, responses by ``schemas``. ``/openapi.json`` serves it. Tests compare its paths with the
routes of the app, and what it says of responses with responses.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, cast

from pydantic.json_schema import models_json_schema

from massgen_compat._server.schemas import (
    Chunk,
    Completion,
    Error,
    Json,
    Model,
    ModelList,
    SentSchemas,
    Status,
)
from massgen_compat.protocol.chat.request import ChatPayload
from massgen_compat.protocol.parameters import PARAMETERS, Parameter

PREFIXES: Final = ("/v1", "")
"""Where the API is served: as OpenAI does, and without the version."""

FAILURES: Final[Mapping[str, str]] = {
    "400": "The request is wrong, or asks for what is not supported; `param` says where.",
    "401": "No key, or a wrong one.",
    "404": "There is no model of that name.",
    "413": "The body is too large.",
    "429": "Every agent's provider refused for now; `Retry-After` says for how long.",
    "500": "A fault of this server.",
    "502": "A provider's fault, or a message that lacks the format which was asked for.",
    "503": "The server is overloaded or shutting down; nothing was started.",
    "504": "A provider did not answer in time.",
}
_LEVELS: Final[Mapping[str, str]] = {
    "server": "Honoured here",
    "every_agent": "For every agent",
    "presenter": "For the final message",
    "ignored": "Ignored, and named in `x-massgen-ignored-params`",
    "refused": "Refused",
}
_SCHEMAS: Final = "#/components/schemas/"


def document(*, version: str, server: str = "", secured: bool = False) -> Json:
    """The OpenAPI 3.1 document.

    ``version`` is that of the package, ``server`` the path under which the app is mounted, and
    ``secured`` whether requests need a key.
    """
    paths = {
        f"{prefix}{path}": item for prefix in PREFIXES for path, item in _paths(prefix).items()
    }
    paths |= {"/health": {"get": _health()}, "/ready": {"get": _ready()}}
    described: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "massgen-compat",
            "version": version,
            "summary": "Teams of agents behind OpenAI's Chat Completions",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server or "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return described | ({"security": [{"key": []}]} if secured else {})


# Paths


def _paths(prefix: str) -> Json:
    suffix = "" if prefix else "_without_version"
    return {
        "/chat/completions": {"post": {**_chat(), "operationId": f"chat{suffix}"}},
        "/models": {
            "get": {
                "operationId": f"list_models{suffix}",
                "summary": "The teams",
                "responses": _answers(ModelList, "The teams.", "401", "500"),
            }
        },
        "/models/{model}": {
            "get": {
                "operationId": f"show_model{suffix}",
                "summary": "One team",
                "parameters": [
                    {
                        "name": "model",
                        "in": "path",
                        "required": True,
                        "description": "A team's name; it may hold slashes.",
                        "schema": {"type": "string", "minLength": 1},
                    }
                ],
                "responses": _answers(Model, "The team.", "401", "404", "500"),
            }
        },
        "/openapi.json": {
            "get": {
                "operationId": f"openapi{suffix}",
                "summary": "This document",
                "responses": {
                    "200": _answer("This document.", {"type": "object"}),
                    **_failures("401", "500"),
                },
            }
        },
    }


def _chat() -> Json:
    whole = _answer("A completion, or with `stream` its chunks.", _reference(Completion))
    whole["content"]["text/event-stream"] = {"schema": _reference(Chunk)}
    whole["headers"] |= {
        "openai-processing-ms": _header("Milliseconds until this response began."),
        "x-massgen-ignored-params": _header("Parameters that were not honoured."),
        "x-massgen-background": _header("The rule by which one agent answered alone."),
    }
    return {
        "summary": "Ask a team",
        "description": "As a stream: `data:` lines with a `Chunk` each, at last `data: [DONE]`; "
        "where the run breaks off, an `Error` before it. Any other parameter is ignored and named "
        "in `x-massgen-ignored-params`, or refused, as the server is configured.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _reference(ChatPayload)}},
        },
        "responses": {"200": whole, **_failures(*FAILURES)},
    }


def _health() -> Json:
    return {
        "operationId": "health",
        "summary": "Whether the server runs",
        "security": [],
        "responses": _answers(Status, "It runs.", "500"),
    }


def _ready() -> Json:
    draining = _answer("It finishes what it has begun.", _reference(Status))
    return {
        "operationId": "ready",
        "summary": "Whether the server takes new requests",
        "security": [],
        "responses": {**_answers(Status, "It does.", "500"), "503": draining},
    }


def _answers(model: type, told: str, *failures: str) -> Json:
    return {"200": _answer(told, _reference(model)), **_failures(*failures)}


def _failures(*statuses: str) -> Json:
    return {status: _answer(FAILURES[status], _reference(Error)) for status in statuses}


def _answer(told: str, schema: Json) -> Json:
    return {
        "description": told,
        "headers": {"x-request-id": _header("The id of this request.")},
        "content": {"application/json": {"schema": schema}},
    }


def _header(told: str) -> Json:
    return {"description": told, "schema": {"type": "string"}}


def _reference(model: type) -> Json:
    return {"$ref": f"{_SCHEMAS}{model.__name__}"}


# Schemas


@cache
def _schemas() -> Json:
    """Every model by its name."""
    models = (ChatPayload, Completion, Chunk, Error, Model, ModelList, Status)
    _, given = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=f"{_SCHEMAS}{{model}}",
        schema_generator=SentSchemas,
    )
    schemas = _used(cast("Json", _plain(given["$defs"])), models)
    properties = cast("Json", schemas[ChatPayload.__name__]["properties"])
    for row in PARAMETERS:
        properties.setdefault(row.name, _unparsed(row))
        properties[row.name]["description"] = f"{_LEVELS[row.level]}: {row.note}"
    properties["massgen"]["description"] = "This library's own options; `off`: no object of its own"
    return schemas


def _used(schemas: Json, models: Iterable[type]) -> Json:
    """The schemas of the models, and those that they refer to.

    Pydantic also gives those of fields that ``SentSchemas`` has left out.
    """
    used: set[str] = set()
    waiting = [model.__name__ for model in models]
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting += re.findall(rf'"{_SCHEMAS}(\w+)"', json.dumps(schemas[name]))
    return {name: schema for name, schema in schemas.items() if name in used}


def _unparsed(row: Parameter) -> Json:
    """A parameter that no model looks at: any value is ignored, or any but ``null`` refused."""
    return {"type": "null"} if row.level == "refused" else {}


def _plain(value: object) -> object:
    """The schema without made-up titles and without ``null`` as a default, which says nothing."""
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    return {
        key: _plain(each)
        for key, each in cast("Json", value).items()
        if not (key == "title" and isinstance(each, str)) and not (key == "default" and not each)
    }
