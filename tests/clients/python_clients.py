"""The clients in Python: libraries, driven by the scripts of ``python/``, and terminal programs."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.clients.harness import HERE, Case, Client, Command, pypi_version, python_of

DRIVERS = HERE / "python"

OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""LiteLLM otherwise asks the internet for a list of prices."""


def driven(
    name: str,
    package: str,
    script: str,
    way: str = "",
    *,
    environment: str = "libraries",
    **fields: Any,
) -> Client:
    """A library, driven by a script in an environment; ``way`` is the script's last argument."""
    return Client(
        name=name,
        version=pypi_version(environment, package),
        package="pypi",
        command=_starts(environment, script, way),
        library=True,
        streams=way not in {"whole", "invoke", "run"},
        **fields,
    )


def _starts(environment: str, script: str, way: str) -> Callable[[Case], Command]:
    def command(case: Case) -> Command:
        start = (str(python_of(environment)), str(DRIVERS / f"ask_{script}.py"))
        return Command((*start, *case.arguments, way), OFFLINE)

    return command


def _checks(environment: str) -> Callable[[Case], Command]:
    """Everything else that the official SDK offers."""

    def command(case: Case) -> Command:
        script = str(HERE / "python_client.py")
        return Command((str(python_of(environment)), script, case.url, case.key))

    return command


def _llm(case: Case) -> Command:
    folder = case.home / "llm"
    folder.mkdir()
    model = {
        "model_id": "team",
        "model_name": case.model,
        "api_base": case.url,
        "api_key_name": "team",
        "supports_tools": True,
    }
    (folder / "extra-openai-models.yaml").write_text(json.dumps([model]), encoding="utf-8")
    tools = ("--functions", str(DRIVERS / "llm_tools.py")) if case.scenario != "question" else ()
    program = str(python_of("libraries").with_name("llm"))
    argv = (program, "prompt", "--model", "team", "--key", case.key, *tools, case.prompt)
    return Command(argv, {"LLM_USER_PATH": str(folder)})


def _aider(case: Case) -> Command:
    options = [
        f"--openai-api-base={case.url}",
        f"--openai-api-key={case.key}",
        f"--model=openai/{case.model}",
        f"--weak-model=openai/{case.small_model}",
        "--edit-format=diff",
        "--no-git",
        "--no-pretty",
        "--no-show-model-warnings",
        "--no-check-update",
        "--no-show-release-notes",
        "--analytics-disable",
        "--yes-always",
    ]
    files = sorted(map(str, case.work.iterdir()))
    program = str(python_of("aider").with_name("aider"))
    return Command((program, *options, f"--message={case.prompt}", *files), OFFLINE)


def _search_replace(path: Path, text: str) -> str:
    """aider's edit block that makes a new file."""
    return f"{path.name}\n<<<<<<< SEARCH\n=======\n{text}\n>>>>>>> REPLACE"


def _aider_said(out: str) -> str:
    """The text between its introduction, or the end of the reasoning, and the tokens' count."""
    told = out.partition("\nTokens: ")[0]
    start = r"^(?:Repo-map: disabled|Added .* to the chat\.|► \*\*ANSWER\*\*)$"
    return re.split(start, told, flags=re.MULTILINE)[-1].strip()


CLIENTS: tuple[Client, ...] = (
    driven("openai (Python), streamed", "openai", "openai", "stream", checks=_checks("libraries")),
    driven("openai (Python), async", "openai", "openai", "async"),
    driven("openai (Python), whole", "openai", "openai", "whole"),
    driven(
        "openai (Python, oldest), streamed",
        "openai",
        "openai",
        "stream",
        environment="openai-2.2",
        checks=_checks("openai-2.2"),
    ),
    driven("Pydantic AI, run", "pydantic-ai-slim", "pydantic_ai", "run"),
    driven("Pydantic AI, run_stream", "pydantic-ai-slim", "pydantic_ai", "run_stream"),
    driven("LangChain, stream", "langchain-openai", "langchain", "stream"),
    driven("LangChain, invoke", "langchain-openai", "langchain", "invoke"),
    driven("OpenAI Agents SDK, run_streamed", "openai-agents", "agents", "stream"),
    driven("OpenAI Agents SDK, run", "openai-agents", "agents", "run"),
    driven("LiteLLM SDK, streamed", "litellm", "litellm", "stream"),
    driven("LiteLLM SDK, whole", "litellm", "litellm", "whole"),
    driven("Instructor", "instructor", "instructor", "whole", environment="instructor"),
    Client(
        name="llm",
        version=pypi_version("libraries", "llm"),
        package="pypi",
        command=_llm,
    ),
    Client(
        name="aider",
        version=pypi_version("aider", "aider-chat"),
        package="pypi",
        command=_aider,
        edit=_search_replace,
        said=_aider_said,
        cannot={"parallel": "it has no tools: edits stand in its messages' text"},
    ),
)
