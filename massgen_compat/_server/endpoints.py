"""The endpoints: what the server answers on each path."""

import time
from importlib.metadata import version
from typing import TypedDict

from starlette.requests import Request
from starlette.responses import Response

from massgen_compat._agents.inputs import team_inputs
from massgen_compat._client.massgen import MassGen
from massgen_compat._server.openapi import document
from massgen_compat._server.replies import json_error, json_reply
from massgen_compat._server.requests import BodyLimits, RequestReader, read_body
from massgen_compat._server.response import ClientTimeouts, RunResponse
from massgen_compat._server.runs import Runs
from massgen_compat.protocol import models
from massgen_compat.protocol.errors import ErrorReply


class _Told(TypedDict):
    """The arguments of ``render_models``, beside the teams."""

    created: int
    inputs: models.Inputs
    policy: models.PolicyName


class Endpoints:
    """The endpoints of one server. ``secured``: clients need a key."""

    def __init__(
        self,
        massgen: MassGen,
        runs: Runs,
        limits: BodyLimits,
        timeouts: ClientTimeouts,
        *,
        secured: bool,
    ) -> None:
        self._massgen = massgen
        self._runs = runs
        self._reader = RequestReader(massgen)
        self._secured = secured
        self._limits = limits
        self._timeouts = timeouts
        self._told: _Told = {
            "created": int(time.time()),
            "inputs": team_inputs,
            "policy": lambda agent: massgen.policy_of(agent).name,
        }

    async def chat(self, request: Request) -> Response:
        """``POST /v1/chat/completions``: a run, streamed or in one piece."""
        raw = await read_body(request.stream(), self._limits)
        if isinstance(raw, ErrorReply):
            return json_error(raw)
        admitted, identity = await self._reader.read(raw, request.headers, self._client(request))
        headers = {"openai-version": "2020-10-01"}
        if admitted.background:
            headers["x-massgen-background"] = admitted.background
        if admitted.ignored:
            headers["x-massgen-ignored-params"] = ",".join(admitted.ignored)
        return RunResponse(self._runs, admitted, identity, headers, self._timeouts)

    def _client(self, request: Request) -> bytes:
        """What stands for the client: its key, and if none is needed, also its address."""
        key = request.headers.get("authorization", "").encode("latin-1")
        if self._secured or request.client is None:
            return key
        return key + b"\n" + request.client.host.encode()

    async def list_models(self, _request: Request) -> Response:
        """``GET /v1/models``: the teams."""
        teams = self._massgen.teams.values()
        return json_reply(models.render_models(teams, **self._told))

    async def show_model(self, request: Request) -> Response:
        """``GET /v1/models/{model}``: one team."""
        team = self._massgen.team(request.path_params["model"])
        return json_reply(models.render_model(team, **self._told))

    async def openapi(self, request: Request) -> Response:
        """``GET /v1/openapi.json``: what is served, as an OpenAPI 3.1 document."""
        server: str = request.scope.get("root_path", "")
        return json_reply(
            document(version=version("massgen-compat"), server=server, secured=self._secured)
        )

    async def health(self, _request: Request) -> Response:
        """``GET /health``: the process lives."""
        return json_reply({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """``GET /ready``: whether the server takes new runs; 503 while it drains."""
        draining = self._runs.draining
        return json_reply(
            {"status": "draining" if draining else "ok"}, status=503 if draining else 200
        )
