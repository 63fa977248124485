"""Real exchanges with providers, read from the recordings beside the project.

Their sources spell them in three ways. What has none of these spellings raises: a recording that is
passed over would be a test that is not made.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from tests.conftest import SHARED

RECORDINGS = SHARED / "recordings"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response."""

    url: str
    """Only a path in the recordings of rig, which keep no host."""
    request: dict[str, Any] | None
    """The body, where it is a JSON object."""
    status: int
    content_type: str
    """Empty where none was recorded."""
    body: str

    @property
    def responses(self) -> bool:
        """Whether it is one of the Responses API, and not of Chat Completions."""
        return self.url.endswith("/responses")


def recorded_files() -> list[Path]:
    """All recordings; none where the folder is absent."""
    return sorted(RECORDINGS.glob("*.yaml"))


def read_exchanges(path: Path) -> Iterator[Exchange]:
    """The exchanges of one file, in their order."""
    for document in yaml.load_all(path.read_text("utf-8"), yaml.CSafeLoader):
        if "interactions" in document:
            yield from map(_of_vcrpy, document["interactions"])
        else:
            yield _of_httpmock(document)


def _of_vcrpy(interaction: Mapping[str, Any]) -> Exchange:
    """vcrpy's own spelling, and pydantic-ai's, which holds a body of JSON as ``parsed_body``."""
    request, response = interaction["request"], interaction["response"]
    headers: dict[str, list[str]] = {k.lower(): v for k, v in response["headers"].items()}
    if "parsed_body" in response:
        body = json.dumps(response["parsed_body"], ensure_ascii=False)
    else:
        body = _text(response["body"]["string"])
    return Exchange(
        url=request["uri"],
        request=_json_object(request.get("parsed_body", request.get("body"))),
        status=response["status"]["code"],
        content_type=headers.get("content-type", [""])[0],
        body=body,
    )


def _of_httpmock(document: Mapping[str, Any]) -> Exchange:
    """httpmock's spelling, which rig uses: one document for each exchange."""
    when, then = document["when"], document["then"]
    headers: dict[str, str] = {each["name"].lower(): each["value"] for each in then["header"]}
    return Exchange(
        url=when["path"],
        request=_json_object(when.get("body")),
        status=then["status"],
        content_type=headers.get("content-type", ""),
        body=_text(then["body"]),
    )


def _text(body: str | bytes) -> str:
    return body if isinstance(body, str) else body.decode()


def _json_object(body: object) -> dict[str, Any] | None:
    """A body that is JSON already, or its text."""
    if isinstance(body, str | bytes):
        try:
            body = json.loads(body)
        except ValueError:
            return None
    return cast("dict[str, Any]", body) if isinstance(body, dict) else None
