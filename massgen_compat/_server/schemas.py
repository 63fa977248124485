"""The schemas of what the server answers, for its OpenAPI document.

They are those of OpenAI's SDK, narrowed to what is really sent: the SDK's types hold whatever
OpenAI may send, and let most of it be ``null``. What this library adds to them stands here, too.
The renderers write plain dicts, because a stream has thousands of them; tests hold what they write
to these schemas.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from openai import BaseModel as SdkModel
from openai.types import CompletionUsage, ErrorObject, completion_usage
from openai.types import Model as SdkModelObject
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionTokenLogprob,
    chat_completion,
    chat_completion_chunk,
    chat_completion_token_logprob,
)
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

Json: TypeAlias = dict[str, Any]


def _absent() -> Any:
    """A key that may be absent, and is never ``null``."""
    return Field(default_factory=lambda: None)


# Objects of this library


class Closed(BaseModel):
    """A JSON object of a response that OpenAI does not have. It has no other keys."""

    model_config = ConfigDict(extra="forbid")


class AgentSpent(Closed):
    """What an agent has spent; ``usage`` counts the calls that reported theirs."""

    id: str
    model: str
    calls: int
    unreported_calls: int
    usage: CompletionUsage | None
    cost_usd: float | None


class VoteTold(Closed):
    """A vote."""

    voter: str
    target: str
    reason: str


class RunTold(Closed):
    """How the team decided. ``background``: the rule by which one agent answered alone."""

    run_id: str
    team: str
    winner: str
    presenter: str | None
    votes: list[VoteTold]
    limited_by: str | None
    cost_usd: float | None
    agents: list[AgentSpent]
    background: str = _absent()


class AgentTold(Closed):
    """An agent of a team, the policy that it is under and the kinds of input that it takes."""

    id: str
    model: str
    backend: str
    policy: str
    inputs: list[str]


class TeamTold(Closed):
    """The agents behind a model, and what runs them."""

    engine: str
    inputs: list[str]
    agents: list[AgentTold]


class Status(Closed):
    """Whether the server runs, and whether it takes new requests."""

    status: Literal["ok", "draining"]


# Objects of OpenAI, with the additions of this library


class Completion(ChatCompletion):
    """A whole answer. ``usage`` is absent where a provider did not report its own."""

    massgen: RunTold = _absent()


class ChunkChoice(chat_completion_chunk.Choice):
    """The part of a chunk that belongs to one message."""


class Chunk(ChatCompletionChunk):
    """The JSON of one ``data:`` line. With ``include_usage`` the last one has no choices.

    An empty ``delta`` is a sign of life, or comes with the end.
    """

    choices: Annotated[list[ChunkChoice], Field(max_length=1)]  # pyright: ignore[reportIncompatibleVariableOverride]
    massgen: RunTold = _absent()


class Error(Closed):
    """Every error, also as an event of a stream that broke."""

    error: ErrorObject


class Model(SdkModelObject):
    """A team as a model."""

    massgen: TeamTold


class ModelList(Closed):
    """The teams."""

    object: Literal["list"]
    data: list[Model]


# What is sent of the SDK's types

_FRAME: Final = "service_tier system_fingerprint massgen?"
_SENT: Final[Mapping[type[SdkModel], str]] = {
    Completion: f"{_FRAME} usage?",
    chat_completion.Choice: "logprobs|null",
    ChatCompletionMessage: "content|null refusal|null annotations reasoning_content? tool_calls? "
    "function_call?",
    Chunk: f"{_FRAME} usage?|null",
    ChunkChoice: "logprobs|null finish_reason|null",
    chat_completion_chunk.ChoiceDelta: "role? content? refusal? reasoning_content? tool_calls? "
    "function_call?",
    chat_completion_chunk.ChoiceDeltaToolCall: "id? type? function? custom?",
    chat_completion_chunk.ChoiceDeltaToolCallFunction: "name? arguments",
    chat_completion_chunk.ChoiceDeltaFunctionCall: "name? arguments",
    chat_completion.ChoiceLogprobs: "content refusal",
    chat_completion_chunk.ChoiceLogprobs: "content refusal",
    ChatCompletionTokenLogprob: "bytes|null",
    chat_completion_token_logprob.TopLogprob: "bytes|null",
    CompletionUsage: "prompt_tokens_details completion_tokens_details",
    completion_usage.PromptTokensDetails: "cached_tokens audio_tokens",
    completion_usage.CompletionTokensDetails: "reasoning_tokens audio_tokens "
    "accepted_prediction_tokens rejected_prediction_tokens",
    ErrorObject: "param|null code|null",
    Model: "massgen",
}
"""Beside the fields that a type requires: ``field?`` may be absent, ``field|null`` may be ``null``;
any other one is always there, with a value. Fields that are not named are never sent."""

_EXACT: Final[Mapping[str, Json]] = {
    "service_tier": {"type": "string", "const": "default"},
    "owned_by": {"type": "string", "const": "massgen"},
    "annotations": {"items": {}, "maxItems": 0},
    "reasoning_content": {
        "type": "string",
        "description": "How the team came to the message, as lines of text.",
    },
    "ChatCompletionMessage.tool_calls": {"minItems": 1},
    "ChoiceDelta.role": {"type": "string", "const": "assistant"},
    "ChoiceDelta.tool_calls": {"minItems": 1, "maxItems": 1},
    "ChoiceDeltaToolCall.type": {"type": "string", "enum": ["function", "custom"]},
    "ChoiceDeltaToolCall.custom": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"name": {"type": "string"}, "input": {"type": "string"}},
        "required": ["input"],
    },
    "ChoiceLogprobs.refusal": {"type": "null"},
    "CompletionTokensDetails.reasoning_tokens": {
        "description": "Everything that was generated and is not in the message."
    },
}
"""What is narrower here than in the SDK, or not in it. A row with a ``type`` is all of a field's
schema."""


class SentSchemas(GenerateJsonSchema):
    """Makes the schemas of the SDK's types those of what is sent."""

    def model_schema(self, schema: core_schema.ModelSchema) -> Json:
        """The schema of a model; of one that is not the SDK's, pydantic's own."""
        made: Json = super().model_schema(schema)
        cls = schema["cls"]
        if not issubclass(cls, SdkModel):
            return made
        properties: Json = {}
        required: list[str] = []
        for field in dict.fromkeys((*made.get("required", ()), *_SENT.get(cls, "").split())):
            name = field.removesuffix("|null").removesuffix("?")
            given: Json = made["properties"].get(name, {})
            if not field.endswith("|null"):
                given = _without_null(given)
            exact = _EXACT.get(f"{cls.__name__}.{name}") or _EXACT.get(name, {})
            properties[name] = exact if "type" in exact else given | exact
            if "?" not in field:
                required.append(name)
        made |= {"properties": properties, "additionalProperties": False}
        if cls.__module__ != __name__:  # the SDK's text tells of fields that are not sent, too
            made.pop("description", None)
        return made | {"required": required} if required else made


def _without_null(schema: Json) -> Json:
    """The schema of a value that is there."""
    variants = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return variants[0] if len(variants) == 1 else schema
