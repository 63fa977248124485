"""Rules 2: parameters that the API does not have, and those that are not honoured."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.conformance.rules import refusal
from tests.conformance.stage import HELLO, PROVIDER_KEY, Stage, stage

STRANGE: Mapping[str, Any] = {"top_k": 5, "api_base": "http://127.0.0.1:1", "chat_template": "x"}
SMUGGLED = ("api_base", "api_key", "base_url", "extra_headers", "extra_body", "user_config")
TITLE = "x-massgen-ignored-params"


@pytest.mark.parametrize("cast", ["one", "three"])
def test_unknown_parameters_are_named_and_never_passed_on(cast: str, served: Stage) -> None:
    answer = served.chat(cast, **STRANGE)
    assert answer.finish_reason == "stop"
    assert answer.headers[TITLE] == "top_k,api_base,chat_template"
    assert not [asked for asked in answer.asked if STRANGE.keys() & asked.body.keys()]


def test_a_stream_names_them_too(served: Stage) -> None:
    assert served.chat("one", stream=True, top_k=5).headers[TITLE] == "top_k"


@pytest.mark.parametrize("name", SMUGGLED)
def test_nothing_in_a_request_chooses_a_provider(name: str, served: Stage) -> None:
    answer = served.chat("one", **{name: {"x": "http://127.0.0.1:1"}})
    assert answer.finish_reason == "stop"
    assert all(name not in asked.body for asked in answer.asked)
    assert {asked.headers["authorization"] for asked in answer.asked} == {f"Bearer {PROVIDER_KEY}"}


def test_names_in_the_header_are_few_and_harmless(served: Stage) -> None:
    hostile = {"a\r\nSet-Cookie: x": 1, "ü,": 1, **{f"x{number}": 1 for number in range(500)}}
    answer = served.chat("one", **hostile)
    named = answer.headers[TITLE].split(",")
    assert named[:2] == ["a??Set-Cookie??x", "??"]
    assert len(named) == 16
    assert "set-cookie" not in answer.headers


def test_null_for_an_unknown_parameter_is_nothing(served: Stage) -> None:
    assert TITLE not in served.chat("one", unheard_of=None).headers


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"top_k": 5}, "Unrecognized request argument supplied: top_k"),
        ({"top_k": 5, "best": 1}, "Unrecognized request arguments supplied: top_k, best"),
    ],
)
def test_a_strict_server_refuses_them_in_openais_words(
    params: Mapping[str, Any], message: str, stream: object
) -> None:
    """Rule 2 [iss]: tg-spam #304 and others."""
    with stage({"text": {}}, unknown_params="reject") as each:
        for cast in ("one", "three"):
            answer = each.chat(cast, stream=stream, **params)
            refusal(answer, 400, None, None, message)
            assert answer.asked == ()
        honoured = each.chat("one", user="u", temperature=1, massgen="off")
        assert honoured.status == 200


def test_a_server_that_ignores_them_does_not_say_so() -> None:
    with stage({"text": {}}, unknown_params="ignore") as each:
        answer = each.chat("one", **STRANGE)
        assert answer.status == 200
        assert TITLE not in answer.headers
        assert not [asked for asked in answer.asked if STRANGE.keys() & asked.body.keys()]


def test_faults_of_known_parameters_come_before_unknown_ones() -> None:
    with stage({"text": {}}, unknown_params="reject") as each:
        answer = each.send({"model": "one-text", "messages": HELLO, "top_k": 1, "temperature": 9})
        assert answer.status == 400
        assert answer.error["param"] in {None, "temperature"}
