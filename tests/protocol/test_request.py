"""A request as a whole: this library's options, recorded requests, and anything at all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat import Agent, MassGen, ScriptedModel, Team, TeamSettings
from massgen_compat._run.team import Trace
from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.chat.request import parse
from massgen_compat.protocol.parameters import PARAMETERS

USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize("trace", ["off", "status", "full"])
def test_a_request_can_choose_its_trace(trace: str) -> None:
    parsed = parse({"model": "m", "messages": [USER], "massgen": {"trace": trace}})
    assert (parsed.run.trace, parsed.ignored) == (trace, ())
    assert parsed.rendering.options.massgen_object


def test_massgen_off_leaves_the_massgen_object_out() -> None:
    parsed = parse({"model": "m", "messages": [USER], "massgen": "off"})
    assert (parsed.run.trace, parsed.rendering.options.massgen_object) == (None, False)


@pytest.mark.parametrize("default", ["off", "full", "status"])
def test_a_request_without_a_trace_gets_its_teams(default: Trace) -> None:
    request: dict[str, object] = {"model": "m", "messages": [USER], "massgen": {"trace": None}}
    parsed = parse(request)
    assert parsed.run.trace is None
    team = Team("m", [Agent("a", model="x")], settings=TeamSettings(trace=default))
    massgen = MassGen(team, connect=lambda _: ScriptedModel({}))
    assert massgen.admit(parsed).run.request.trace == default


def test_the_model_is_the_team() -> None:
    parsed = parse({"model": "pair", "messages": [USER]})
    assert (parsed.rendering.options.model, parsed.run.team, parsed.stream) == (
        "pair",
        "pair",
        False,
    )


# Anything


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["user", "assistant", "tool", "text", "image_url", "c1", "function"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "tool_calls", "tool_call_id", "id", "name"]
            )
            | st.sampled_from(["function", "arguments", "image_url", "url", "refusal", "trace"])
            | st.text(st.characters(), max_size=3),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
PAYLOADS = JSON | st.dictionaries(
    st.sampled_from([*(row.name for row in PARAMETERS), "massgen"]) | st.text(), JSON
).map(lambda extra: {"model": "m", "messages": [USER]} | extra)


@given(PAYLOADS)
def test_any_json_value_is_parsed_or_refused_with_an_encodable_error(payload: object) -> None:
    try:
        parse(payload)
    except InvalidRequest as refused:
        error = refused
    else:
        return
    assert len(error.message) < 1000
    (error.message + str(error.param)).encode()


# Recorded requests


REFUSED = {"moderation", "web_search_options"}
OTHER_MODELS_FAULT = {"error_unsupported_value", "error_model_not_found", "error_invalid_value"}
"""The real API answered these with an error because of the model, not because of the request."""


def test_recorded_requests_parse_or_are_refused_for_what_is_not_supported(
    samples: dict[str, dict[str, Any]],
) -> None:
    unsupported = {name for name, sample in samples.items() if REFUSED & set(sample["request"])}
    for name, sample in samples.items():
        if name in unsupported:
            with pytest.raises(InvalidRequest) as caught:
                parse(sample["request"])
            assert caught.value.param in REFUSED
            assert caught.value.code == "unsupported_parameter"
        else:
            assert sample["status"] == 200 or name in OTHER_MODELS_FAULT
            assert parse(sample["request"]).ignored == (
                ("user",) if "user" in sample["request"] else ()
            )
    assert 0 < len(unsupported) < len(samples)


def test_recorded_conversations_parse_whole(samples: dict[str, dict[str, Any]]) -> None:
    for sample in samples.values():
        messages = sample["request"]["messages"]
        roles = [message["role"] for message in messages]
        request = parse({"model": "m", "messages": messages})
        assert [message.role for message in request.run.messages] == roles
