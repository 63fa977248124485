"""What the server answers, as models: the half of the OpenAPI document that no parser has. Pure.

Renderers write plain dicts, because a stream has thousands of them; the tests hold what they write
to these models, which are closed worlds.
"""

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


def _absent() -> Any:
    """A key that may be absent, and is never ``null``."""
    return Field(default_factory=lambda: None)


class Answer(BaseModel):
    """A JSON object of a response: it has no other keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TokenLogprob(Answer):
    """A token and how likely it was."""

    token: str
    logprob: float
    bytes: list[int] | None


class PositionLogprob(TokenLogprob):
    """A token of the message, with the likeliest ones in its place."""

    top_logprobs: list[TokenLogprob]


class Logprobs(Answer):
    """The tokens that the text is made of."""

    content: list[PositionLogprob]
    refusal: None


class CalledFunctionText(Answer):
    """A function's name, and its arguments as the model wrote them."""

    name: str
    arguments: str


class CalledToolText(Answer):
    """A custom tool's name and input."""

    name: str
    input: str


class MadeFunctionCall(Answer):
    """A call of a function."""

    id: str
    type: Literal["function"]
    function: CalledFunctionText


class MadeCustomCall(Answer):
    """A call of a custom tool."""

    id: str
    type: Literal["custom"]
    custom: CalledToolText


class FinalMessage(Answer):
    """The message that the team ends with. ``reasoning_content`` tells how it came to it."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[Any] = Field(max_length=0)
    reasoning_content: str = _absent()
    tool_calls: list[MadeFunctionCall | MadeCustomCall] = Field(
        min_length=1, default_factory=list[MadeFunctionCall | MadeCustomCall]
    )
    function_call: CalledFunctionText = _absent()


class Choice(Answer):
    """One of the messages that were asked for."""

    index: int
    message: FinalMessage
    logprobs: Logprobs | None
    finish_reason: FinishReason


class PromptDetails(Answer):
    """Parts of the prompts."""

    cached_tokens: int
    audio_tokens: int


class CompletionDetails(Answer):
    """Parts of what was generated: ``reasoning_tokens`` is all that is not in the message."""

    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class UsageAnswer(Answer):
    """Tokens of all model calls of the run."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class AgentSpent(Answer):
    """What an agent has spent; ``usage`` counts the calls that reported theirs."""

    id: str
    model: str
    calls: int
    unreported_calls: int
    usage: UsageAnswer | None
    cost_usd: float | None


class VoteTold(Answer):
    """A vote."""

    voter: str
    target: str
    reason: str


class RunTold(Answer):
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


class Completion(Answer):
    """A whole answer. ``usage`` is absent where a provider did not report its own."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    service_tier: Literal["default"]
    system_fingerprint: str
    usage: UsageAnswer = _absent()
    massgen: RunTold = _absent()


class FunctionFragment(Answer):
    """A piece of a function's name and arguments; only a call's first one has the name."""

    name: str = _absent()
    arguments: str


class ToolFragment(Answer):
    """A piece of a custom tool's name and input."""

    name: str = _absent()
    input: str


class CallFragment(Answer):
    """A piece of a call; only its first one has ``id``, ``type`` and a name."""

    index: int
    id: str = _absent()
    type: Literal["function", "custom"] = _absent()
    function: FunctionFragment = _absent()
    custom: ToolFragment = _absent()


class Delta(Answer):
    """What a chunk adds to a message. An empty one is a sign of life, or comes with the end."""

    role: Literal["assistant"] = _absent()
    content: str = _absent()
    refusal: str = _absent()
    reasoning_content: str = _absent()
    tool_calls: list[CallFragment] = Field(
        min_length=1, max_length=1, default_factory=list[CallFragment]
    )
    function_call: FunctionFragment = _absent()


class ChunkChoice(Answer):
    """The part of a chunk that belongs to one message."""

    index: int
    delta: Delta
    logprobs: Logprobs | None
    finish_reason: FinishReason | None


class Chunk(Answer):
    """The JSON of one ``data:`` line. With ``include_usage`` the last one has no choices."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice] = Field(max_length=1)
    service_tier: Literal["default"]
    system_fingerprint: str
    usage: UsageAnswer | None = None
    massgen: RunTold = _absent()


class ErrorDetail(Answer):
    """What went wrong, which parameter it was, and OpenAI's word for it."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(Answer):
    """Every error, also as an event of a stream that broke."""

    error: ErrorDetail


class AgentTold(Answer):
    """An agent of a team, the policy that it is under and the kinds of input that it takes."""

    id: str
    model: str
    backend: str
    policy: str
    inputs: list[str]


class TeamTold(Answer):
    """The agents behind a model, and what runs them."""

    engine: str
    inputs: list[str]
    agents: list[AgentTold]


class Model(Answer):
    """A team as a model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["massgen"]
    massgen: TeamTold


class ModelList(Answer):
    """The teams."""

    object: Literal["list"]
    data: list[Model]


class Status(Answer):
    """Whether the server runs, and whether it takes new requests."""

    status: Literal["ok", "draining"]
