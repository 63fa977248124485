"""Other servers on the same upstream, each in an environment of its own.

``make peers`` installs LiteLLM and optillm from PyPI, ``make .venv/.massgen`` MassGen. One that is
not there is said to be so.
"""

import re
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from openai import OpenAI

from benchmarks import massgen
from benchmarks.load import QUESTION, Failed, payload, window
from benchmarks.loops import run
from benchmarks.rows.passing import SINGLE, in_turns, ratio
from benchmarks.rows.runs import TRIO
from benchmarks.stage import NO_DELAY, Process, Stage, free_port, running, staged
from benchmarks.table import Table

VENV = Path(__file__).parents[2] / ".venv"
LIMIT_SECONDS = 120
LITELLM = """\
model_list:
  - model_name: m
    litellm_params: {{model: openai/m, api_base: "{url}", api_key: none}}
general_settings: {{dangerously_permit_weak_or_unset_master_key: true}}
"""
QUIET = {"OTEL_SDK_DISABLED": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""Nothing is reported, and no price list fetched: without a network that takes long."""
STAMPS = re.compile(rb'"content":"\d+ \d+ ')
DONE = re.compile(rb"data: \[DONE\]")
CROWDS = ((8, 5.0, 30.0), (64, 60.0, 90.0))
"""Clients of ``massgen serve``, seconds until it is warm, and seconds that are counted."""


def litellm(table: Table) -> None:
    """Requests per second, streaming, 16 clients, one worker each."""
    program, figure = VENV / "peers/litellm/bin/litellm", _passing("LiteLLM proxy")
    if not program.exists():
        table.missing(figure, "LiteLLM is not installed, run make peers", 15)
        return
    with tempfile.TemporaryDirectory() as name, staged(*NO_DELAY) as stage:
        folder, port = Path(name), free_port()
        (folder / "config.yaml").write_text(LITELLM.format(url=stage.upstream.url))
        command = [str(program), "--config", str(folder / "config.yaml"), "--num_workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        with running(command, port, folder / "litellm", QUIET) as process:
            _compare(table, figure, process, stage)


def optillm(table: Table) -> None:
    """The same with ``optillm``'s approach ``none``, which asks the model once.

    It cannot stream: it asks the upstream for a whole reply, and sends that as one event.
    """
    program, figure = VENV / "peers/optillm/bin/optillm", _passing("optillm")
    if not program.exists():
        table.missing(figure, "optillm is not installed, run make peers", 15)
        return
    with tempfile.TemporaryDirectory() as name, staged(*NO_DELAY) as stage:
        port = free_port()
        command = [str(program), "--approach", "none", "--base-url", stage.upstream.url]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        with running(command, port, Path(name) / "optillm", QUIET) as process:
            _compare(table, figure, process, stage)


def massgen_serve(table: Table) -> None:
    """Runs per second of three agents: ours streamed, theirs whole, as MassGen cannot stream."""
    program = VENV / "massgen/bin/massgen"
    figures = [f"3 agents, runs/s ÷ `massgen serve`, {clients} clients" for clients, *_ in CROWDS]
    if not program.exists():
        for figure in figures:
            table.missing(figure, "MassGen is not installed, run make .venv/.massgen", 20)
        return
    with (
        tempfile.TemporaryDirectory() as name,
        staged(*NO_DELAY) as stage,
        massgen.theirs(program, Path(name) / "massgen", stage.upstream.port) as server,
    ):
        port = stage.server.port
        ours = [
            run(window(port, TRIO, clients, warm=5, seconds=10, expected=DONE))
            for clients, *_ in CROWDS
        ]
        port, asked = server.process.port, payload(server.model, stream=False)
        theirs = [
            run(window(port, asked, clients, warm=warm, seconds=seconds, expected=STAMPS))
            for clients, warm, seconds in CROWDS
        ]
    for figure, here, there in zip(figures, ours, theirs, strict=True):
        if there.completed:
            table.least(figure, here.rate / there.rate, 20)
        else:
            table.missing(figure, "MassGen completed no run", 20)
        table.tell(
            "… runs/s",
            f"{here.rate:.1f} ÷ {there.rate:.2f} ({there.completed} in {there.seconds:.0f} s); "
            f"failed: {here.failed} and {there.failed}",
        )


def _passing(name: str) -> str:
    return f"team of one ÷ {name}, streaming, 16 clients"


def _compare(table: Table, figure: str, process: Process, stage: Stage) -> None:
    pieces = [len(_told(each, model)) for each, model in ((stage.server, "single"), (process, "m"))]
    ours, theirs = _rates(stage.server, SINGLE, process, payload("m"))
    table.least(figure, ratio(ours, theirs), 15)
    table.tell("… requests/s", _medians(ours, theirs))
    table.tell("… pieces that the 50 tokens of an answer came in", f"{pieces[0]} and {pieces[1]}")
    ours, theirs = _rates(
        stage.server, payload("single", stream=False), process, payload("m", stream=False)
    )
    text = f"{_medians(ours, theirs)} = {ratio(ours, theirs):.1f}"
    table.tell("… not streamed, requests/s", text)


def _rates(ours: Process, asked: bytes, theirs: Process, asked_there: bytes) -> list[list[float]]:
    """Requests per second. Raises ``TimeoutError`` where a server stops answering."""
    return in_turns((ours, asked), (theirs, asked_there), rounds=3, limit=LIMIT_SECONDS)


def _medians(ours: Sequence[float], theirs: Sequence[float]) -> str:
    return f"{statistics.median(ours):.0f} ÷ {statistics.median(theirs):.1f}"


def _told(process: Process, model: str) -> Sequence[str]:
    """The pieces of a streamed answer. Raises ``Failed`` where it has not all of the tokens."""
    client = OpenAI(base_url=process.url, api_key="none", timeout=LIMIT_SECONDS, max_retries=0)
    chunks = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": QUESTION}], stream=True
    )
    pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    if len("".join(pieces).split()) != int(NO_DELAY[2]):
        raise Failed(f"not the upstream's answer: {''.join(pieces)[:100]}")
    return [piece for piece in pieces if piece]
