"""Backend types: the URL of each provider, and the environment variable that has its key. Pure.

Types, URLs and variables are those of MassGen 0.1.97; the URL of ``zai`` is from the configs that
it ships. Nothing here reads the process's environment, which is an argument.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from massgen_compat._run.team import Agent, Api, Backend
from massgen_compat.errors import ConfigError

NO_KEY: Final = "EMPTY"
"""What is sent as a key to servers that need none; the SDK insists on some key."""

AZURE_API_VERSION: Final = "2025-04-01-preview"


@dataclass(frozen=True, slots=True)
class BackendType:
    """A row of the table.

    ``keys`` and ``urls`` are the names of environment variables; the first one that is set counts.
    ``open`` marks servers that need no key. ``hosted_tools`` are the tools that the provider runs
    itself and that can be asked for here. ``custom_tools``: whether it takes tools of free text.
    ``cache_key``: whether it may get a ``prompt_cache_key``.
    """

    type: str
    base_url: str | None = None
    keys: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    api: Api = "chat"
    hosted_tools: tuple[str, ...] = ()
    custom_tools: bool = False
    cache_key: bool = False
    open: bool = False


_ROWS: Final = (
    BackendType(
        "openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        urls=("OPENAI_BASE_URL",),
        api="responses",
        hosted_tools=("web_search", "code_interpreter"),
        custom_tools=True,
        cache_key=True,
    ),
    BackendType(
        "azure_openai",
        keys=("AZURE_OPENAI_API_KEY",),
        urls=("AZURE_OPENAI_ENDPOINT",),
        api="responses",
        custom_tools=True,
        cache_key=True,
    ),
    BackendType("chatcompletion"),
    BackendType("grok", "https://api.x.ai/v1", ("XAI_API_KEY",)),
    BackendType("zai", "https://api.z.ai/api/paas/v4", ("ZAI_API_KEY",)),
    BackendType("cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    BackendType("together", "https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
    BackendType("fireworks", "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
    BackendType("groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    BackendType("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    BackendType("moonshot", "https://api.moonshot.cn/v1", ("MOONSHOT_API_KEY", "KIMI_API_KEY")),
    BackendType("nvidia_nim", "https://integrate.api.nvidia.com/v1", ("NGC_API_KEY",)),
    BackendType("nebius", "https://api.studio.nebius.ai/v1", ("NEBIUS_API_KEY",)),
    BackendType(
        "qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", ("QWEN_API_KEY",)
    ),
    BackendType("poe", keys=("POE_API_KEY",)),
    BackendType("lmstudio", "http://localhost:1234/v1", open=True),
    BackendType("vllm", "http://localhost:8000/v1", open=True),
    BackendType("sglang", "http://localhost:30000/v1", open=True),
    BackendType("inference", open=True),
    BackendType("uitars", keys=("UI_TARS_API_KEY",)),
    BackendType("claude", "https://api.anthropic.com/v1", ("ANTHROPIC_API_KEY",)),
    BackendType(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    ),
)

BACKENDS: Final[Mapping[str, BackendType]] = {row.type: row for row in _ROWS}
"""Every backend type that has an OpenAI-compatible endpoint."""

HOST_KEYS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("api.openai.com", ("OPENAI_API_KEY",)),
    ("openrouter.ai", ("OPENROUTER_API_KEY",)),
    ("groq.com", ("GROQ_API_KEY",)),
    ("together.xyz", ("TOGETHER_API_KEY",)),
    ("together.ai", ("TOGETHER_API_KEY",)),
    ("fireworks.ai", ("FIREWORKS_API_KEY",)),
    ("cerebras.ai", ("CEREBRAS_API_KEY",)),
    ("moonshot.cn", ("MOONSHOT_API_KEY", "KIMI_API_KEY")),
    ("moonshot.ai", ("MOONSHOT_API_KEY", "KIMI_API_KEY")),
    ("x.ai", ("XAI_API_KEY",)),
    ("nebius.ai", ("NEBIUS_API_KEY",)),
    ("nebius.com", ("NEBIUS_API_KEY",)),
    ("nvidia.com", ("NGC_API_KEY",)),
    ("aliyuncs.com", ("QWEN_API_KEY",)),
    ("poe.com", ("POE_API_KEY",)),
    ("z.ai", ("ZAI_API_KEY",)),
    ("bigmodel.cn", ("ZAI_API_KEY",)),
    ("anthropic.com", ("ANTHROPIC_API_KEY",)),
    ("googleapis.com", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    ("deepseek.com", ("DEEPSEEK_API_KEY",)),
    ("mistral.ai", ("MISTRAL_API_KEY",)),
    ("openai.azure.com", ("AZURE_OPENAI_API_KEY",)),
)
"""Domains and their key variables. The type ``chatcompletion`` names no provider; its host does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How a model is reached. Agents with equal endpoints share their connections."""

    api: Api
    base_url: str
    api_key: str = field(repr=False)
    api_version: str | None = None
    azure: bool = False


def resolve(backend: Backend, env: Mapping[str, str]) -> Endpoint:
    """The endpoint of a backend. ``env`` has the keys, by the names of environment variables.

    On Azure, Responses needs an API version that has them: MassGen's default
    ``2024-12-01-preview`` is older than Responses, so the default here is ``2025-04-01-preview``;
    ``AZURE_OPENAI_API_VERSION`` and ``api_version:`` win over it. A ``base_url`` that ends in
    ``/openai/v1`` is Azure's versionless API, which speaks like OpenAI's own.

    Raises ``ConfigError`` for an unknown type, and for a missing key or URL, with what to set.
    """
    row = _row(backend)
    url = _base_url(backend, row, env)
    key = _key(backend, row, url, env)
    api = backend.api or row.api
    if backend.type != "azure_openai" or _path(url).endswith("/openai/v1"):
        return Endpoint(api=api, base_url=url, api_key=key)
    version = _stated(backend.api_version) or _first(("AZURE_OPENAI_API_VERSION",), env)
    return Endpoint(
        api=api,
        base_url=_azure_resource(url),
        api_key=key,
        api_version=version or AZURE_API_VERSION,
        azure=True,
    )


def wire_of(backend: Backend) -> Api | None:
    """The API that a backend is reached through; ``None`` for a script, which needs none."""
    row = BACKENDS.get(backend.type)
    return backend.api or (row.api if row else None)


def base_url(backend: Backend, env: Mapping[str, str]) -> str:
    """The URL that the backend's requests go to. Raises ``ConfigError`` where there is none."""
    return _base_url(backend, _row(backend), env)


def takes_custom_tools(agent: Agent) -> bool:
    """Whether the agent's backend takes tools of free text: OpenAI's own do, and scripts."""
    if agent.backend.type == "scripted":
        return True
    row = BACKENDS.get(agent.backend.type)
    return row is not None and row.custom_tools


def takes_cache_key(agent: Agent, url: str) -> bool:
    """Whether the agent's requests, which go to ``url``, carry a ``prompt_cache_key``.

    The agent's own ``prompt_cache_key`` decides. Where it says nothing, only OpenAI gets the key:
    Azure documents the parameter, but some of its deployments answer 400 to it
    (vectorize-io/hindsight#3518, openclaw/openclaw#102907), and other servers are unknown.
    """
    row = BACKENDS.get(agent.backend.type)
    if row is None or not row.cache_key or agent.prompt_cache_key is False:
        return False
    return agent.prompt_cache_key is True or _host(url) == "api.openai.com"


def _row(backend: Backend) -> BackendType:
    row = BACKENDS.get(backend.type)
    if row is None:
        raise ConfigError(
            f"backend type {backend.type!r} has no OpenAI-compatible endpoint; "
            f"use one of {', '.join(sorted(BACKENDS))}"
        )
    return row


def _base_url(backend: Backend, row: BackendType, env: Mapping[str, str]) -> str:
    url = _stated(backend.base_url) or _first(row.urls, env) or row.base_url
    if url is None:
        variables = f"set {' or '.join(row.urls)}, or " if row.urls else "set "
        raise ConfigError(
            f"backend type {row.type!r} needs the URL of its server: "
            f"{variables}`base_url:` in the backend block"
        )
    if not url.lower().startswith(("http://", "https://")) or not _host(url):
        raise ConfigError(
            f"the base_url of backend type {row.type!r} is not a URL that starts with "
            "http:// or https://"
        )
    if "?" in url or "#" in url:
        raise ConfigError(
            f"the base_url of backend type {row.type!r} has a query or a fragment (`?` or `#`), "
            "where requests would go astray: leave it out; Azure's version is `api_version:`"
        )
    return url.rstrip("/")


def _key(backend: Backend, row: BackendType, url: str, env: Mapping[str, str]) -> str:
    """The key in the config, or that of the backend type, or that of the URL's host.

    For an unknown host no key is guessed: that would give it to a stranger.
    """
    variables = row.keys or _variables_of(_host(url))
    found = _stated(backend.api_key) or _first(variables, env)
    if found is not None:
        return found
    if row.open or is_private(_host(url)):
        return NO_KEY
    named = f"set {' or '.join(variables)}, or " if variables else "set "
    raise ConfigError(
        f"backend type {row.type!r} has no key: {named}`api_key:` in the backend block"
    )


def _variables_of(host: str) -> tuple[str, ...]:
    return next(
        (keys for domain, keys in HOST_KEYS if host == domain or host.endswith(f".{domain}")), ()
    )


def is_private(host: str) -> bool:
    """Whether a host name or address is of this machine or of a private network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        private = (".localhost", ".local", ".internal", ".lan")
        return "." not in host or host.endswith(private)
    return address.is_loopback or address.is_private or address.is_link_local


def _azure_resource(url: str) -> str:
    """The URL of the resource, without the part of the path that the SDK adds by itself."""
    path = _path(url)
    return url[: len(url) - len(path)] if path.startswith("/openai") else url


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _path(url: str) -> str:
    return urlsplit(url).path


def _first(names: Iterable[str], env: Mapping[str, str]) -> str | None:
    return next((value for name in names if (value := _stated(env.get(name)))), None)


def _stated(value: str | None) -> str | None:
    """The value without the blanks that files and shells leave around it; ``None`` if empty."""
    return (value or "").strip() or None
