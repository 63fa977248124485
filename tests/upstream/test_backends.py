"""From a backend and an environment to an endpoint: the table of providers."""

from dataclasses import dataclass, field

import pytest

from massgen_compat._run.team import Backend
from massgen_compat._upstream.backends import BACKENDS, Endpoint, is_private, resolve
from massgen_compat.errors import ConfigError


@dataclass(frozen=True)
class Case:
    name: str
    backend: Backend
    expected: Endpoint
    env: dict[str, str] = field(default_factory=dict[str, str])


AZURE = "https://r.openai.azure.com"
CASES = (
    Case(
        "openai speaks Responses",
        Backend(),
        Endpoint(api="responses", base_url="https://api.openai.com/v1", api_key="k"),
        {"OPENAI_API_KEY": "k"},
    ),
    Case(
        "the config's key wins over the environment's",
        Backend(api_key="mine"),
        Endpoint(api="responses", base_url="https://api.openai.com/v1", api_key="mine"),
        {"OPENAI_API_KEY": "k"},
    ),
    Case(
        "blanks around a key are not part of it",
        Backend(api="chat"),
        Endpoint(api="chat", base_url="https://api.openai.com/v1", api_key="k"),
        {"OPENAI_API_KEY": " k\n"},
    ),
    Case(
        "OPENAI_BASE_URL moves openai; a local server needs no key",
        Backend(),
        Endpoint(api="responses", base_url="http://localhost:9/v1", api_key="EMPTY"),
        {"OPENAI_BASE_URL": "http://localhost:9/v1/"},
    ),
    Case(
        "the config's URL wins over OPENAI_BASE_URL",
        Backend(base_url="https://a.example/v1"),
        Endpoint(api="responses", base_url="https://a.example/v1", api_key="k"),
        {"OPENAI_BASE_URL": "http://localhost:9/v1", "OPENAI_API_KEY": "k"},
    ),
    Case(
        "the second variable serves where the first is empty",
        Backend(type="moonshot"),
        Endpoint(api="chat", base_url="https://api.moonshot.cn/v1", api_key="kimi"),
        {"MOONSHOT_API_KEY": "", "KIMI_API_KEY": "kimi"},
    ),
    Case(
        "a local type needs no key",
        Backend(type="vllm"),
        Endpoint(api="chat", base_url="http://localhost:8000/v1", api_key="EMPTY"),
    ),
    Case(
        "a local type may live elsewhere, with a key",
        Backend(type="sglang", base_url="https://gpu.example/v1", api_key="k"),
        Endpoint(api="chat", base_url="https://gpu.example/v1", api_key="k"),
    ),
    Case(
        "a chatcompletion key is that of the host",
        Backend(type="chatcompletion", base_url="https://openrouter.ai/api/v1"),
        Endpoint(api="chat", base_url="https://openrouter.ai/api/v1", api_key="or"),
        {"OPENROUTER_API_KEY": "or", "OPENAI_API_KEY": "oa"},
    ),
    Case(
        "a chatcompletion at OpenAI stays on Chat Completions",
        Backend(type="chatcompletion", base_url="https://api.openai.com/v1"),
        Endpoint(api="chat", base_url="https://api.openai.com/v1", api_key="oa"),
        {"OPENAI_API_KEY": "oa"},
    ),
    Case(
        "a private host needs no key, and is given none",
        Backend(type="chatcompletion", base_url="http://192.168.1.7:11434/v1"),
        Endpoint(api="chat", base_url="http://192.168.1.7:11434/v1", api_key="EMPTY"),
        {"OPENAI_API_KEY": "oa"},
    ),
    Case(
        "azure by its environment",
        Backend(type="azure_openai"),
        Endpoint(
            api="responses",
            base_url=AZURE,
            api_key="k",
            api_version="2025-04-01-preview",
            azure=True,
        ),
        {"AZURE_OPENAI_ENDPOINT": f"{AZURE}/", "AZURE_OPENAI_API_KEY": "k"},
    ),
    Case(
        "azure with a version of its own, and a URL that says too much",
        Backend(
            type="azure_openai",
            base_url=f"{AZURE}/openai/deployments/d",
            api_key="k",
            api_version="2026-01-01",
            api="chat",
        ),
        Endpoint(
            api="chat", base_url=AZURE, api_key="k", api_version="2026-01-01", azure=True
        ),
        {"AZURE_OPENAI_API_VERSION": "2025-12-01"},
    ),
    Case(
        "azure's versionless API speaks like OpenAI's",
        Backend(type="azure_openai", base_url=f"{AZURE}/openai/v1/", api_key="k"),
        Endpoint(api="responses", base_url=f"{AZURE}/openai/v1", api_key="k"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_backend_resolves(case: Case) -> None:
    assert resolve(case.backend, case.env) == case.expected


@dataclass(frozen=True)
class Fault:
    backend: Backend
    parts: tuple[str, ...]


FAULTS = (
    Fault(Backend(), ("OPENAI_API_KEY", "`api_key:`")),
    Fault(Backend(type="moonshot"), ("MOONSHOT_API_KEY or KIMI_API_KEY",)),
    Fault(Backend(type="azure_openai", api_key="k"), ("AZURE_OPENAI_ENDPOINT", "`base_url:`")),
    Fault(Backend(type="azure_openai", base_url=AZURE), ("AZURE_OPENAI_API_KEY",)),
    Fault(Backend(type="chatcompletion"), ("set `base_url:`",)),
    Fault(
        Backend(type="chatcompletion", base_url="https://a.example/v1"), ("set `api_key:`",)
    ),
    Fault(Backend(type="chatcompletion", base_url="https://notx.ai/v1"), ("set `api_key:`",)),
    Fault(Backend(type="chatcompletion", base_url="https://x.ai.evil/"), ("set `api_key:`",)),
    Fault(Backend(type="poe", api_key="k"), ("set `base_url:`",)),
    Fault(Backend(type="vllm", base_url="localhost:8000"), ("http://",)),
    Fault(Backend(type="vllm", base_url="https://["), ("http://",)),
    Fault(Backend(type="vllm", base_url="http://gpu/v1?a=1"), ("`?`", "leave it out")),
    Fault(Backend(type="vllm", base_url="http://gpu/v1#a"), ("`#`", "leave it out")),
    Fault(Backend(type="azure_openai", base_url=f"{AZURE}?api-version=1"), ("`api_version:`",)),
    Fault(Backend(type="claude_code"), ("'claude_code'", "chatcompletion")),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.parts))
def test_what_is_missing_is_named_with_what_to_do(fault: Fault) -> None:
    env = {"AZURE_OPENAI_API_VERSION": "x", "OTHER_API_KEY": "secret"}
    with pytest.raises(ConfigError) as caught:
        resolve(fault.backend, env)
    assert all(part in caught.value.message for part in fault.parts)


def test_an_endpoint_never_shows_its_key() -> None:
    assert "hush" not in repr(resolve(Backend(api_key="hush"), {}))


def test_only_openai_has_hosted_tools() -> None:
    assert {row.type: row.hosted_tools for row in BACKENDS.values() if row.hosted_tools} == {
        "openai": ("web_search", "code_interpreter")
    }


@pytest.mark.parametrize("kind", sorted(BACKENDS))
def test_every_type_can_be_reached_with_a_url_and_a_key(kind: str) -> None:
    found = resolve(Backend(type=kind, base_url="https://a.example/v1", api_key="k"), {})
    assert found.base_url == "https://a.example/v1"
    assert found.api == BACKENDS[kind].api


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True),
        ("ollama", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("gpu.local", True),
        ("host.docker.internal", True),
        ("8.8.8.8", False),
        ("api.openai.com", False),
        ("localhost.example", False),
    ],
)
def test_a_host_is_private_or_not(host: str, *, private: bool) -> None:
    assert is_private(host) is private
