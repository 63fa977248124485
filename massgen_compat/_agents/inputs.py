"""Which kinds of input besides text an agent takes; a note replaces the others. Pure.

Two tables answer it: what a family of models understands, and what requests to a backend can carry.
An agent takes a kind that is in both. ``Agent.inputs`` wins over the tables.

The tables are not complete: they have what is on record, with its source. A model or a backend
without a row takes every kind that the other table allows. An error of the provider is better than
an image that no agent saw without anybody noticing. So the rows that exclude a kind are those that
matter, and they match few names. This project has measured nothing of it on a live API.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, Literal, TypeAlias, get_args

from massgen_compat._run.message import Audio, File, Image, InputKind, Message, Part, Refusal, Text
from massgen_compat._run.team import Agent, Api
from massgen_compat._upstream.backends import BACKENDS
from massgen_compat.policies import canonical

Evidence: TypeAlias = Literal["docs", "schema", "catalogue", "issue", "unverified"]
"""The kind of source of a row: the provider's documentation, a published schema, the models.dev
catalogue, a public issue, or none."""

KINDS: Final[tuple[InputKind, ...]] = get_args(InputKind)


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models and the kinds of input that it takes besides text.

    ``models``: patterns (``fnmatch``) of canonical names, see ``policies.names.canonical``.
    ``source``: where that is on record.
    """

    models: tuple[str, ...]
    inputs: tuple[InputKind, ...]
    evidence: Evidence
    source: str


def _family(models: str, inputs: tuple[InputKind, ...], evidence: Evidence, source: str) -> Family:
    return Family(tuple(models.split()), inputs, evidence, source)


FAMILIES: Final = (
    # OpenAI
    _family(
        "gpt-audio* gpt-4o*-audio-preview*", ("audio",), "docs", "the models' pages: no images"
    ),
    _family(
        "gpt-4-turbo* gpt-4-vision* gpt-4-*-vision-preview", ("image",), "catalogue", "models.dev"
    ),
    _family("gpt-3.5* gpt-4 gpt-4-[0-9]*", (), "catalogue", "models.dev: gpt-3.5-turbo, gpt-4"),
    _family("gpt-oss*", (), "catalogue", "models.dev: gpt-oss-120b"),
    _family("o1-mini* o1-preview* o3-mini*", (), "catalogue", "models.dev: o1-mini, o3-mini"),
    _family(
        "gpt-4o* chatgpt-4o* gpt-4.1* gpt-5* o1* o3* o4-mini*",
        ("image", "file"),
        "docs",
        "guide on file inputs: PDF for vision, gpt-4o and later; a recorded 400 for audio",
    ),
    # Anthropic
    _family("*claude-2* *claude-instant*", (), "unverified", "before vision came with Claude 3"),
    _family("*claude-*", ("image", "file"), "docs", "vision and PDF support of the Messages API"),
    # Google
    _family("gemini-*", ("image", "audio", "file"), "catalogue", "models.dev: gemini-2.5-pro"),
    _family("gemma-3n*", ("image", "audio"), "unverified", "models that were made for both"),
    _family(
        "gemma3 gemma-3-[24]* gemma-3-12b*", ("image",), "catalogue", "models.dev: gemma-3-27b-it"
    ),
    # xAI. Sources contradict each other on grok-4 itself, so it has no row.
    _family("grok-2-vision* grok-vision*", ("image",), "catalogue", "models.dev"),
    _family("grok-4-fast* grok-4-1-fast*", ("image",), "catalogue", "models.dev: grok-4-fast"),
    _family("grok-4.*", ("image", "file"), "catalogue", "models.dev: grok-4.7"),
    _family("grok-2* grok-3* grok-beta grok-code-*", (), "catalogue", "models.dev"),
    # Meta
    _family("*llama-3.2*vision* llama3.2-vision*", ("image",), "unverified", "the names say so"),
    _family("*llama-4-*", ("image",), "docs", "console.groq.com/docs/vision"),
    _family(
        "llama3 llama3.[1-3] llama3.[13]-* llama3-[78]* "
        "*llama-3-[78]* *llama-3.[13]-[0-9]* *llama-3.2-[13]b*",
        (),
        "catalogue",
        "models.dev: llama-3.3-70b-instruct",
    ),
    # Alibaba
    _family("qwen*-omni*", ("image", "audio"), "catalogue", "models.dev: qwen3-omni-flash"),
    _family("qwen*-vl* qvq-*", ("image",), "catalogue", "models.dev: qwen3-vl-235b-a22b-instruct"),
    _family("qwen3.[56]-*", ("image",), "docs", "model cards: image-text-to-text"),
    _family(
        "qwen3-[0-9]* qwen3-coder* qwen2.5-[0-9]* qwen2.5-coder* qwq-*",
        (),
        "catalogue",
        "models.dev: qwen3-32b, qwen3-coder-plus, qwen2.5-72b-instruct",
    ),
    # Mistral. What a name that ends in "-latest" means changes, so it has no row.
    _family("voxtral*", ("audio",), "catalogue", "models.dev: voxtral-small-2507"),
    _family(
        "pixtral* mistral-small-250[36] mistral-small-3.[12]* mistral-medium-250[58]",
        ("image",),
        "docs",
        "docs.mistral.ai/capabilities/vision",
    ),
    _family(
        "codestral* mistral-large-24* open-mistral-* open-mixtral-* devstral-*-250[57]",
        (),
        "catalogue",
        "models.dev: codestral-latest, mistral-large-2411",
    ),
    # DeepSeek. On its own API deepseek-v4-flash has become a model with vision, elsewhere it has
    # not, so that name has no row.
    _family(
        "deepseek-flash deepseek-v4.1-flash* deepseek-*-vision-*",
        ("image",),
        "docs",
        "api-docs.deepseek.com/guides/vision",
    ),
    _family(
        "deepseek-chat* deepseek-reasoner* deepseek-v3* deepseek-r1* deepseek-v4-pro*",
        (),
        "catalogue",
        "models.dev; a 400 in nextcloud/integration_openai#284",
    ),
    # Moonshot
    _family(
        "kimi-k2.[5-9]* kimi-k3* kimi-vl* moonshot-*-vision-*", ("image",), "docs", "model cards"
    ),
    _family("kimi-k2 kimi-k2-*", (), "catalogue", "models.dev: kimi-k2-thinking"),
    _family("moonshot-v1-*", (), "unverified", "the vision variants are listed beside them"),
    # Z.ai
    _family("glm-*v glm-*v-*", ("image",), "catalogue", "models.dev: glm-4.6v"),
    _family(
        "glm-4.5 glm-4.5-air* glm-4.6 glm-5.3",
        (),
        "catalogue",
        "models.dev: glm-4.5-air, glm-4.6, glm-5.3",
    ),
)
"""First match wins."""


@dataclass(frozen=True, slots=True)
class WireInputs:
    """The kinds of input that requests to a backend can carry besides text.

    ``read``: kinds that the backend itself turns into text, so that every model takes them.
    """

    inputs: tuple[InputKind, ...]
    evidence: Evidence
    source: str
    read: tuple[InputKind, ...] = ()


RESPONSES: Final = WireInputs(
    ("image", "file"), "schema", "InputContent of openai-openapi f85dbe2 has no audio"
)
"""The Responses API of any provider."""

CHAT_WIRES: Final = {
    "openai": WireInputs(KINDS, "schema", "the content parts of a user's message"),
    "azure_openai": WireInputs(
        ("image", "audio"), "issue", "openai/openai-dotnet#396: 400 for a file"
    ),
    "openrouter": WireInputs(KINDS, "docs", "PDF files work with any model", read=("file",)),
    "claude": WireInputs(
        ("image",), "docs", "OpenAI SDK compatibility: audio and files are ignored, without a word"
    ),
    "poe": WireInputs(("image", "file"), "docs", "OpenAI compatible API: audio is stripped"),
    "qwen": WireInputs(("image", "audio"), "issue", "QwenLM/qwen-code#1888: 400 for a file"),
    "vllm": WireInputs(("image", "audio"), "issue", "vllm-project/vllm#57774: 400 for a file"),
    "sglang": WireInputs(("image", "audio"), "issue", "zai-org/GLM-V#234: the parts of its schema"),
}
"""Chat Completions, by the type of the backend. A type without a row carries every kind."""


@lru_cache(maxsize=1024)
def inputs_of(agent: Agent) -> tuple[InputKind, ...]:
    """Return the kinds of input that the agent takes besides text, in the order of ``KINDS``."""
    if agent.inputs is not None:
        return tuple(kind for kind in KINDS if kind in agent.inputs)
    if agent.backend.type == "scripted":
        return KINDS
    wire = _wire(agent)
    name = canonical(agent.model)
    for family in FAMILIES:
        if any(fnmatchcase(name, pattern) for pattern in family.models):
            understood = {*family.inputs, *wire.read}
            return tuple(kind for kind in wire.inputs if kind in understood)
    return wire.inputs


def team_inputs(agents: Iterable[Agent]) -> tuple[InputKind, ...]:
    """Return the kinds of input that at least one of the agents takes besides text."""
    taken = {kind for agent in agents for kind in inputs_of(agent)}
    return tuple(kind for kind in KINDS if kind in taken)


def _wire(agent: Agent) -> WireInputs:
    row = BACKENDS.get(agent.backend.type)
    api: Api = agent.backend.api or (row.api if row else "chat")
    if api == "responses":
        return RESPONSES
    return CHAT_WIRES.get(agent.backend.type, _ANY)


_ANY: Final = WireInputs(KINDS, "unverified", "")


def kind_of(part: Part) -> InputKind | None:
    """Return the kind of input that a part of a message is; ``None`` for text."""
    match part:
        case Image():
            return "image"
        case Audio():
            return "audio"
        case File():
            return "file"
        case Text() | Refusal():
            return None


def shown_to(
    agent: Agent, messages: Sequence[Message], *, alone: bool = False
) -> tuple[Message, ...]:
    """Return the messages with a note in the place of every part that the agent does not take.

    ``alone``: no other agent reads them, so the note does not mention others. A message without
    such a part is returned as the same object.
    """
    taken = inputs_of(agent)
    return tuple(_noted(message, taken, alone=alone) for message in messages)


def _noted(message: Message, taken: tuple[InputKind, ...], *, alone: bool) -> Message:
    kinds = {kind_of(part) for part in message.content}
    if kinds <= {None, *taken}:
        return message
    content = tuple(_shown(part, taken, alone=alone) for part in message.content)
    return replace(message, content=content)


def _shown(part: Part, taken: tuple[InputKind, ...], *, alone: bool) -> Part:
    kind = kind_of(part)
    return part if kind is None or kind in taken else Text(_note(part, kind, alone=alone))


_NOTES: Final[dict[InputKind, str]] = {
    "image": "An image stands here{name}. Your model cannot see it",
    "audio": "An audio recording stands here{name}. Your model cannot hear it",
    "file": "A file stands here{name}. Your model cannot read it",
}
_LONGEST_NAME: Final = 256


def _note(part: Part, kind: InputKind, *, alone: bool) -> str:
    filename = part.filename if isinstance(part, File) else None
    name = f": {_one_line(filename)}" if filename else ""
    others = "" if alone else "; other agents may"
    return f"[{_NOTES[kind].format(name=name)}{others}.]"


def _one_line(name: str) -> str:
    # A client names the file, and a line break in it could pass for an instruction of its own.
    shown = name if name.isprintable() else ascii(name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[:_LONGEST_NAME]}…"
