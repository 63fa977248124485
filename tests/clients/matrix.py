"""``docs/clients.md``: the table of what each client was seen to do, and whether it still holds."""

import difflib
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from tests.clients.harness import CHECKS, NODE, ROOT, Client
from tests.clients.run import Result
from tests.clients.scenarios import ALL, FIRST, MOST_POSTS
from tests.clients.stage import MEMBERS

DOCUMENT = ROOT / "docs" / "clients.md"
_DATE = re.compile(r"^Last run: .*$", re.MULTILINE)
_SOURCES = {"npm": "npm", "pypi": "PyPI"}


def write(clients: Sequence[Client], results: Sequence[Result]) -> None:
    """Write the document from a run of all clients."""
    DOCUMENT.write_text(_render(clients, results, _today()), encoding="utf-8")
    print(f"wrote {DOCUMENT.relative_to(ROOT)}")


def compare(clients: Sequence[Client], results: Sequence[Result]) -> int:
    """Compare a run of all clients with the document, but for its date; an exit code."""
    written = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    date = _DATE.search(written)
    now = _render(clients, results, date[0] if date else _today())
    if now == written:
        return 0
    name = str(DOCUMENT.relative_to(ROOT))
    print("\n".join(difflib.unified_diff(written.splitlines(), now.splitlines(), name, "this run")))
    print("The results are not those of the document; make clients-matrix writes it anew.")
    return 1


def _today() -> str:
    node = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    machine = f"{platform.system()} {platform.machine()}"
    python = platform.python_version()
    date = datetime.now(UTC).date()
    return f"Last run: {date}, {machine}, Python {python}, Node {node.strip().removeprefix('v')}."


def _render(clients: Sequence[Client], results: Sequence[Result], date: str) -> str:
    found = {(result.client, result.scenario): result for result in results}
    notes: list[str] = []
    lines = [
        "# Clients",
        "",
        _INTRODUCTION,
        "",
        date,
        "",
        f"| client | version | {' | '.join(kind.name for kind in ALL)} |",
        f"|---|---|{'---|' * len(ALL)}",
    ]
    for client in clients:
        cells = [_cell(found[client.name, kind.name], notes) for kind in ALL]
        note = f" {_note(client.settings, notes)}" if client.settings else ""
        version = f"{client.version} ({_SOURCES[client.package]}){note}"
        lines.append(f"| {client.name} | {version} | {' | '.join(cells)} |")
    if notes:
        lines += [
            "",
            *(f"{number}. {note[0].upper()}{note[1:]}." for number, note in enumerate(notes, 1)),
        ]
    lines += [
        "",
        "## What is tried",
        "",
        "| column | what happens, and what counts as passed |",
        "|---|---|",
    ]
    lines += [f"| {kind.name} | {kind.tries} |" for kind in ALL]
    lines += ["", _COUNTS, ""]
    lines += _background(clients, found)
    lines += _further(clients, found)
    lines += [_REPRODUCE]
    return "\n".join(lines)


def _cell(result: Result, notes: list[str]) -> str:
    if result.status != "cannot":
        return result.told or "yes"
    return f"no {_note(result.told, notes)}"


def _note(text: str, notes: list[str]) -> str:
    """The number of a note below the table."""
    if text not in notes:
        notes.append(text)
    return f"({notes.index(text) + 1})"


_Found = dict[tuple[str, str], Result]


def _background(clients: Sequence[Client], found: _Found) -> Iterator[str]:
    """What clients ask for themselves beside a plain question."""
    rows = [
        f"| {client.name} | {result.background_posts} | {result.background_calls} |"
        for client in clients
        if (result := found[client.name, "question"]).background_posts
    ]
    if rows:
        yield from ["## What they ask for themselves", "", _OWN, ""]
        yield from ["| client | POSTs of its own | their model calls |", "|---|---|---|", *rows, ""]


def _further(clients: Sequence[Client], found: _Found) -> Iterator[str]:
    """The further checks of the official SDKs."""
    rows = [
        f"| {client.name} | {client.version} | {found[client.name, CHECKS].told} |"
        for client in clients
        if client.checks is not None
    ]
    yield from ["## More of the official SDKs", "", _FURTHER, ""]
    yield from ["| client | version | passed |", "|---|---|---|", *rows, ""]


_INTRODUCTION = f"""\
Each of these is the real program, at the version that the table names, run against a real server
of this project over HTTP. Behind the server is a team of {len(MEMBERS)} agents, whose models are
scripts that are served over HTTP in OpenAI's wire format: no model is involved, everything else is.
Terminal programs are started as their users start them, with a model, a URL and a key configured;
libraries by a script of a few lines, in `tests/clients/node` and `tests/clients/python`. Each run
has a home directory of its own. "Whole" is a library used without streaming.

This file is written from a run (`make clients-matrix`). `make test-clients` runs everything again
and fails if anything is not as it says here, a "no" that has become a "yes" included."""

_COUNTS = f"""\
What is sent and asked is counted on both sides of the server. But for the errors, a request of the
user's is one POST and {FIRST} model calls (a draft and a vote of each agent, and the message), and
each step with the results of tools is one more POST and one more model call. The columns for errors
say how often a client asks before it gives up (up to {MOST_POSTS} pass), and how it ends."""

_OWN = """\
Counted apart, in the run of the plain question. Requests for titles are known to the server and go
to one agent ([background requests](background-requests.md))."""

_FURTHER = """\
The model list, completions, streams with usage, the helpers for streams and tools, and each error
as the SDK's own class: `tests/clients/node/openai-checks.cjs` and
`tests/clients/python_client.py`."""

_REPRODUCE = """\
## Run it yourself

```sh
make test-clients                                   # installs the clients into .venv, runs them all
make test-clients CLIENTS='--only opencode'         # some of them
make test-clients CLIENTS='--scenario tools'        # one column
make clients-matrix                                 # writes this file
```

It needs Python 3.11 or newer, make, and a package index for the first run; Node comes as a wheel.
Versions are pinned in `tests/clients/node/*/package-lock.json` and `tests/clients/python/*.txt`,
how each client is configured stands in `tests/clients/node_clients.py` and
`tests/clients/python_clients.py`, and what is judged in `tests/clients/scenarios.py`. The results
as data are left in `.venv/clients/results.json`.
"""
