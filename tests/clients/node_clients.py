"""The clients that run on Node: libraries with drivers in ``node/``, and terminal programs."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.clients.harness import HERE, NODE, Call, Case, Client, Command, node_project, npm_version

SILENT_WHOLE = (
    "an answer that is not streamed sends nothing before it is complete, and Node's fetch gives "
    "up after 300 s; stream it"
)


def _driver(script: str, project: str, *mode: str) -> Callable[[Case], Command]:
    """Starts ``node/SCRIPT`` with the packages of a project."""

    def command(case: Case) -> Command:
        argv = (str(NODE), str(HERE / "node" / script), *case.arguments, *mode)
        return Command(argv, {"NODE_PATH": str(node_project(project))})

    return command


def _openai_checks(case: Case) -> Command:
    argv = (str(NODE), str(HERE / "node" / "openai-checks.cjs"), case.url, case.key)
    return Command(argv, {"NODE_PATH": str(node_project("openai"))})


def _libraries() -> tuple[Client, ...]:
    openai = npm_version("openai", "openai")
    sdk = npm_version("ai-sdk", "ai")
    adapters = npm_version("continue-adapters", "@continuedev/openai-adapters")
    return (
        Client(
            name="openai (Node), streamed",
            version=openai,
            package="npm",
            library=True,
            command=_driver("openai.cjs", "openai", "stream"),
            checks=_openai_checks,
        ),
        Client(
            name="openai (Node), runTools",
            version=openai,
            package="npm",
            library=True,
            command=_driver("openai.cjs", "openai", "runTools"),
        ),
        Client(
            name="openai (Node), whole",
            version=openai,
            package="npm",
            library=True,
            streams=False,
            command=_driver("openai.cjs", "openai", "whole"),
            cannot={"long silence": SILENT_WHOLE},
        ),
        Client(
            name="Vercel AI SDK, @ai-sdk/openai-compatible",
            version=sdk,
            package="npm",
            library=True,
            command=_driver("ai-sdk.cjs", "ai-sdk", "openai-compatible"),
        ),
        Client(
            name="Vercel AI SDK, @ai-sdk/openai .chat()",
            version=sdk,
            package="npm",
            library=True,
            command=_driver("ai-sdk.cjs", "ai-sdk", "openai"),
        ),
        Client(
            name="Vercel AI SDK, generateText",
            version=sdk,
            package="npm",
            library=True,
            streams=False,
            command=_driver("ai-sdk.cjs", "ai-sdk", "generate"),
            cannot={"long silence": SILENT_WHOLE},
        ),
        Client(
            name="@continuedev/openai-adapters",
            version=adapters,
            package="npm",
            library=True,
            command=_driver("continue-adapters.cjs", "continue-adapters"),
        ),
    )


# Terminal programs


def _bin(project: str, name: str) -> str:
    return str(node_project(project) / ".bin" / name)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _continue(case: Case) -> Command:
    model = {
        "name": case.model,
        "provider": "openai",
        "model": case.model,
        "apiBase": case.url,
        "apiKey": case.key,
        "roles": ["chat"],
        "capabilities": ["tool_use"],
    }
    config = {"name": "test", "version": "1.0.0", "schema": "v1", "models": [model]}
    _write_json(case.home / "config.yaml", config)  # JSON is YAML
    argv = (_bin("continue-cli", "cn"), "-p", "--auto", "--config", str(case.home / "config.yaml"))
    return Command((*argv, case.prompt), {"CONTINUE_CLI_ENABLE_TELEMETRY": "0"})


def _opencode(case: Case) -> Command:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "massgen",
        "options": {"baseURL": case.url, "apiKey": case.key},
        "models": {case.model: {"name": case.model}},
    }
    config = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {"massgen": provider},
        "autoupdate": False,
        "share": "disabled",
    }
    _write_json(case.home / ".config" / "opencode" / "opencode.json", config)
    model = f"massgen/{case.model}"
    env = {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    }
    return Command((_bin("opencode", "opencode"), "run", "--auto", "-m", model, case.prompt), env)


def _qwen(case: Case) -> Command:
    settings = {
        "general": {"disableAutoUpdate": True, "disableUpdateNag": True},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "memory": {"enableManagedAutoMemory": False},
    }
    _write_json(case.home / ".qwen" / "settings.json", settings)
    env = {"OPENAI_API_KEY": case.key, "OPENAI_BASE_URL": case.url, "OPENAI_MODEL": case.model}
    argv = (_bin("qwen-code", "qwen"), "--auth-type", "openai", "--yolo", "-p", case.prompt)
    return Command(argv, env)


def _copilot(case: Case) -> Command:
    env = {
        "COPILOT_OFFLINE": "true",
        "COPILOT_PROVIDER_BASE_URL": case.url,
        "COPILOT_PROVIDER_API_KEY": case.key,
        "COPILOT_MODEL": case.model,
    }
    argv = (_bin("copilot", "copilot"), "--silent", "--allow-all-tools", "-p", case.prompt)
    return Command(argv, env)


def _cline(case: Case) -> Command:
    settings = {
        "provider": "openai-compatible",
        "apiKey": case.key,
        "model": case.model,
        "baseUrl": case.url,
    }
    content = {
        "version": 1,
        "lastUsedProvider": "openai-compatible",
        "modes": {},
        "providers": {
            "openai-compatible": {
                "settings": settings,
                "updatedAt": "2026-01-01T00:00:00.000Z",
                "tokenSource": "manual",
            }
        },
    }
    _write_json(case.home / ".cline" / "data" / "settings" / "providers.json", content)
    argv = (_bin("cline", "cline"), "-P", "openai-compatible", "-m", case.model)
    local = {"CLINE_SESSION_BACKEND_MODE": "local"}  # no daemon that would outlive it
    return Command((*argv, "--auto-approve", "true", case.prompt), local)


def _pi(case: Case) -> Command:
    provider = {
        "baseUrl": case.url,
        "api": "openai-completions",
        "apiKey": case.key,
        "models": [{"id": case.model}],
    }
    _write_json(case.home / ".pi" / "agent" / "models.json", {"providers": {"massgen": provider}})
    argv = (_bin("pi", "pi"), "-p", "--no-session", "--provider", "massgen", "--model", case.model)
    return Command((*argv, case.prompt), {"PI_OFFLINE": "1"})


def _last_line(out: str) -> str:
    """For a program that shows the deliberation on stdout, too."""
    return out.strip().rpartition("\n")[2]


def _programs() -> tuple[Client, ...]:
    return (
        Client(
            name="Continue CLI (cn -p)",
            version=npm_version("continue-cli", "@continuedev/cli"),
            package="npm",
            command=_continue,
            read=lambda path: Call("Read", {"filepath": str(path)}),
            write=lambda path, text: Call("Write", {"filepath": str(path), "content": text}),
        ),
        Client(
            name="OpenCode (opencode run)",
            version=npm_version("opencode", "opencode-ai"),
            package="npm",
            command=_opencode,
            read=lambda path: Call("read", {"filePath": str(path)}),
            write=lambda path, text: Call("write", {"filePath": str(path), "content": text}),
            background=("You are a title generator.",),
        ),
        Client(
            name="Qwen Code (qwen -p)",
            version=npm_version("qwen-code", "@qwen-code/qwen-code"),
            package="npm",
            command=_qwen,
            read=lambda path: Call("read_file", {"file_path": str(path)}),
            write=lambda path, text: Call("write_file", {"file_path": str(path), "content": text}),
            settings="`memory.enableManagedAutoMemory: false`, because it extracts memories with a "
            "request that has tools, for which the whole team works",
        ),
        Client(
            name="GitHub Copilot CLI (copilot -p)",
            version=npm_version("copilot", "@github/copilot"),
            package="npm",
            command=_copilot,
            read=lambda path: Call("view", {"path": str(path)}),
            write=lambda path, text: Call("create", {"path": str(path), "file_text": text}),
        ),
        Client(
            name="Cline CLI",
            version=npm_version("cline", "cline"),
            package="npm",
            command=_cline,
            read=lambda path: Call("read_files", {"files": [{"path": str(path)}]}),
            write=lambda path, text: Call("editor", {"path": str(path), "new_text": text}),
            said=_last_line,
        ),
        Client(
            name="pi (pi -p)",
            version=npm_version("pi", "@earendil-works/pi-coding-agent"),
            package="npm",
            command=_pi,
            read=lambda path: Call("read", {"path": str(path)}),
            write=lambda path, text: Call("write", {"path": str(path), "content": text}),
        ),
    )


CLIENTS: tuple[Client, ...] = (*_libraries(), *_programs())
