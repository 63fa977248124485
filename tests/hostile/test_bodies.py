"""Bodies that once were a 500, or took minutes; and that no method gets past the key."""

from typing import Any

import pytest

from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from tests.fakes import Model
from tests.server.test_server import KEYS, ask, every_path, massgen_of

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "x"}


@pytest.mark.parametrize("calls", [[1], 3, None, "x", {}, [{"id": []}]])
@pytest.mark.parametrize("items", [[RESULT], [CALL, RESULT]])
def test_calls_of_a_wrong_shape_in_an_input_are_no_fault_of_the_server(
    calls: Any, items: list[Any]
) -> None:
    said = {"role": "assistant", "content": "x", "tool_calls": calls}
    with serving(create_app(massgen_of({"a": Model()}))) as url:
        reply = ask(
            url, body={"model": "team", "input": [{"role": "user", "content": "hi"}, said, *items]}
        )
    assert reply.status in {200, 400}


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"])
def test_no_method_gets_past_the_key(method: str) -> None:
    app = create_app(massgen_of({"a": Model()}), api_keys=KEYS)
    with serving(app) as url:
        for path, _ in [*every_path(app), ("/v1/nope", ""), ("/health/", ""), ("//health", "")]:
            if path not in {"/health", "/ready"}:
                assert ask(url, path, method=method).status == 401, path
