"""``massgen-compat doctor`` as a user has it: exit codes, and what it prints and never prints."""

import sys
from collections.abc import Mapping

import pytest

from massgen_compat.cli.doctor.findings import CHECKS
from massgen_compat.cli.server import serving
from tests.cli.doctor.endpoints import KEY, Altered, Recorder, answering, in_body, team
from tests.processes import Outcome, run


def doctor(*arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
    return run([sys.executable, "-m", "massgen_compat", "doctor", *arguments], env=env)


def test_a_healthy_server_is_exit_code_0_and_a_line_for_every_check() -> None:
    server = Recorder(team(keys=[KEY]))
    with serving(server) as url:
        told = doctor(f"{url}/v1", "--key", KEY)
    assert (told.code, told.err) == (0, "")
    first, *lines = told.out.splitlines()
    assert first.startswith(f"Examining {url}/v1 with up to {len(server.chats)} chat requests.")
    assert "They cost" in first
    for check in CHECKS:
        assert any(line[9:].startswith(check) for line in lines), check
    assert lines[-1].startswith("0 problems, 0 warnings, ")


def test_problems_are_exit_code_1_with_what_to_do_below_them() -> None:
    with serving(Altered(team(), in_body(b"data: [DONE]", b'data: {"x": 1}'))) as url:
        told = doctor(f"{url}/v1")
    assert (told.code, told.err) == (1, "")
    lines = told.out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("problem  frames "))
    assert '{"x": 1}' in lines[at]
    assert lines[at + 1].strip().startswith("-> Send only chunks")
    assert lines[-1].startswith("1 problem, 1 warning, ")


@pytest.mark.parametrize("page", ["http://127.0.0.1:1/v1", None])
def test_no_api_is_exit_code_2(page: str | None) -> None:
    with serving(answering(200, b"<html>", "text/html")) as url:
        told = doctor(page or f"{url}/v1")
    assert (told.code, told.err) == (2, "")
    assert "problem  reachable" in told.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "usage:"),
        (("nope",), "the URL must look like"),
        (("http://127.0.0.1:1", "--timeout", "0"), "not a number of seconds"),
        (("http://127.0.0.1:1", "--timeout", "soon"), "not a number of seconds"),
        (("http://127.0.0.1:1", "--key", "se cret"), "the key has a blank"),
        (("http://127.0.0.1:1", "--key", "secrét"), "the key has a blank"),
    ],
)
def test_a_wrong_command_is_exit_code_2(arguments: tuple[str, ...], says: str) -> None:
    told = doctor(*arguments)
    assert (told.code, told.out) == (2, "")
    assert says in told.err
    assert "cret" not in told.err.replace("secrets", "")
    assert "Traceback" not in told.err


def test_the_key_comes_from_the_environment_and_is_never_printed() -> None:

    with serving(
        Altered(team(keys=[KEY]), in_body(b'"id":"team"', f'"id":"{KEY}"'.encode()))
    ) as url:
        told = doctor(f"{url}/v1", "--no-chat", env={"MASSGEN_COMPAT_API_KEY": KEY})
        other = doctor(f"{url}/v1", "--no-chat", env={"OPENAI_API_KEY": KEY})
    assert "The key is accepted." in told.out
    assert "2: ***, team-single" in told.out
    assert KEY not in told.out + told.err
    assert "A key is needed" in other.out


def test_without_chats_nothing_is_asked_that_could_cost() -> None:
    server = Recorder(team())
    with serving(server) as url:
        told = doctor(f"{url}/v1", "--no-chat")
    assert told.code == 0
    assert server.chats == []
    assert told.out.startswith(f"Examining {url}/v1 without chat requests.\n")


WITHOUT_AIOHTTP = """\
import sys
sys.modules["aiohttp"] = None
from massgen_compat.cli import main
sys.exit(main(["doctor", "http://127.0.0.1:1"]))
"""


def test_without_the_server_extra_it_says_what_to_install() -> None:
    told = run([sys.executable, "-c", WITHOUT_AIOHTTP])
    assert told.code == 2
    assert told.err.endswith("pip install 'massgen-compat[server]'\n")
