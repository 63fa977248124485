"""``response_format``: its models, and the format that it asks for in the final message."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, Tag

from massgen_compat._run.message import Message, OutputFormat
from massgen_compat._run.output_format import schema_fault
from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.wire import WireModel, by_key

_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]


class TextResponse(WireModel):
    """Text, as without a format."""

    type: Literal["text"]


class JsonObjectResponse(WireModel):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonSchema(WireModel):
    """A schema under a name."""

    model_config = ConfigDict(protected_namespaces=())

    name: _Name
    description: Annotated[str, Field(max_length=100_000)] | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class JsonSchemaResponse(WireModel):
    """JSON that fits a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat: TypeAlias = Annotated[
    Annotated[TextResponse, Tag("~text")]
    | Annotated[JsonObjectResponse, Tag("~json_object")]
    | Annotated[JsonSchemaResponse, Tag("~json_schema")],
    by_key("type", "text", "json_object", "json_schema"),
]


def output_format(given: ResponseFormat | None, messages: Sequence[Message]) -> OutputFormat | None:
    """The format that the final message has to have; ``None`` for text.

    Raises ``InvalidRequest`` for a schema that cannot be used, and for ``json_object`` if no
    message contains the word "json". That is the real API's rule: a model that is not asked for
    JSON may write blanks without end.
    """
    match given:
        case JsonObjectResponse():
            if not any("json" in message.text.lower() for message in messages):
                raise InvalidRequest(
                    "'messages' must contain the word 'json' in some form, to use "
                    "'response_format' of type 'json_object'.",
                    param="messages",
                )
            return OutputFormat()
        case JsonSchemaResponse(json_schema=asked):
            problem = schema_fault(asked.schema_ or {}, strict=bool(asked.strict))
            if problem and asked.schema_ is not None:
                raise InvalidRequest(
                    f"Invalid schema for response_format '{asked.name}': {problem}",
                    param="response_format",
                )
            return OutputFormat(
                name=asked.name,
                description=asked.description,
                schema=asked.schema_ or {},
                strict=bool(asked.strict),
            )
        case _:
            return None
