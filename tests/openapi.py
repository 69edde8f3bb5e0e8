"""Checks what was exchanged with the sandbox's API v2 against the vendor's OpenAPI documents."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.validation.request.exceptions import ParameterValidationError
from typing_extensions import override
from werkzeug.datastructures import Headers, ImmutableMultiDict

from singer_sandbox import Sandbox
from tests.front_door import JSON
from tests.openapi_exceptions import EXCEPTIONS, Known

ROOT = Path(__file__).parent.parent
DOCUMENTS = Path(
    os.environ.get("HIGHLEVEL_OPENAPI") or ROOT.parent / "shared" / "vendors" / "highlevel-v2"
)
"""The folder of the documents; the environment says where else it is."""
DEFAULT_VERSION = "2021-07-28"
HOST = "https://services.leadconnectorhq.com"

RATE_HEADERS = (
    "x-ratelimit-max",
    "x-ratelimit-remaining",
    "x-ratelimit-interval-milliseconds",
    "x-ratelimit-limit-daily",
    "x-ratelimit-daily-remaining",
    "x-ratelimit-daily-reset",
)
"""Seen on every answer; the document does not name them."""

have_documents = (DOCUMENTS / f"openapi-{DEFAULT_VERSION}.json").is_file()
needs_documents = pytest.mark.skipif(not have_documents, reason=f"no documents in {DOCUMENTS}")


class Problem(NamedTuple):
    """One difference between an exchange and the document."""

    side: str
    """request or answer"""
    call: str
    """Method and path; of an answer also the status."""
    place: str
    """Where in the body, with `*` for a list's index; empty: in the whole."""
    text: str
    value: Any

    @override
    def __str__(self) -> str:
        return f"{self.side} {self.call} {self.place or '(whole)'}: {self.text}"


class Asked:
    """A logged request, as openapi-core reads it."""

    def __init__(self, entry: JSON) -> None:
        body, headers = entry["body"], entry.get("headers", {})
        self.method = entry["method"].lower()
        self.host_url = HOST
        self.path = entry["path"].removeprefix("/v2")
        self.content_type = "application/json"
        self.body = None if body is None else json.dumps(body).encode()
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(entry["query"], keep_blank_values=True)),
            header=Headers({**headers, "Authorization": entry["authorization"] or ""}),
            cookie=ImmutableMultiDict(),
        )


class Answered:
    """A logged answer, as openapi-core reads it."""

    def __init__(self, answer: JSON) -> None:
        self.status_code = answer["status"]
        self.headers = Headers(answer["headers"])
        self.content_type = answer["headers"].get("content-type", "").partition(";")[0]
        self.data = json.dumps(answer["body"]).encode()


def check_exchanges(
    sandbox: Sandbox, *, allow_refused: bool = False, used: set[Known] | None = None
) -> int:
    """Compare all of API v2's exchanges in the log with the documents; how many there were.

    `allow_refused`: a request that is wrong by the document is none of our business if the sandbox
    refused it too. `used` collects the exceptions that were met.
    """
    entries = [e for e in sandbox.requests("rei") if e["path"].startswith("/v2/")]
    problems: dict[str, None] = {}
    for entry in entries:
        for problem in _problems(entry, allow_refused):
            known = next((k for k in EXCEPTIONS if _covers(k, problem)), None)
            if known is None:
                problems[str(problem)] = None
            elif used is not None:
                used.add(known)
    assert not problems, "\n".join(["API v2 differs from its document:", *problems])
    return len(entries)


def _covers(known: Known, problem: Problem) -> bool:
    return (
        known.side == problem.side
        and re.fullmatch(known.call, problem.call) is not None
        and re.fullmatch(known.place, problem.place) is not None
        and re.search(known.text, problem.text) is not None
        and known.when(problem.value)
    )


def _problems(entry: JSON, allow_refused: bool) -> Iterator[Problem]:
    asked, answer = Asked(entry), entry.get("answer")
    rules = _strict(entry.get("headers", {}).get("version", DEFAULT_VERSION))
    call = f"{entry['method']} {_template(entry['template'], asked.path)}"
    refused = answer is not None and answer["status"] >= 400
    if not (refused and allow_refused):
        yield from _read("request", call, rules.iter_request_errors, asked)
    if answer is None:  # a fault's answer, or none yet
        return
    answered = f"{call} {answer['status']}"
    if not answer["body"] or "traceId" not in answer["body"]:
        yield Problem("answer", answered, "", "no traceId", None)
    if missing := [name for name in RATE_HEADERS if name not in answer["headers"]]:
        yield Problem("answer", answered, "", f"no headers {missing}", None)
    if not (refused and _unknown_path(rules, asked)):
        reply = Answered(answer)
        yield from _read("answer", answered, rules.iter_response_errors, asked, reply)


def _template(template: str, path: str) -> str:
    """The path as the log counts it, or as it was asked when there is no such address."""
    return template.removeprefix("/v2") if template.startswith("/v2/") else path


def _unknown_path(rules: OpenAPI, asked: Asked) -> bool:
    """Whether the document knows no such call: then it knows no refusal of it either."""
    names = {"PathNotFound", "OperationNotFound", "PathsNotFound"}
    return any(type(e).__name__ in names for e in rules.iter_request_errors(asked))


def _read(
    side: str, call: str, errors: Callable[..., Iterator[Exception]], *exchange: Any
) -> Iterator[Problem]:
    """Every schema error of its own, else the error itself."""
    for error in errors(*exchange):
        cause = error.__cause__ or error
        found = getattr(cause, "schema_errors", None)
        if not found:
            yield Problem(side, call, "", f"{error} ({cause})", None)
            continue
        parameter = [error.name] if isinstance(error, ParameterValidationError) else []
        for schema_error in found:
            path = ["*" if isinstance(p, int) else str(p) for p in schema_error.absolute_path]
            place = ".".join(parameter + path)
            yield Problem(side, call, place, schema_error.message, schema_error.instance)


@cache
def document(version: str) -> JSON:
    """The vendor's document of a version; of one that has none, the default's."""
    path = DOCUMENTS / f"openapi-{version}.json"
    if not path.is_file():
        path = DOCUMENTS / f"openapi-{DEFAULT_VERSION}.json"
    found: JSON = json.loads(path.read_text("utf-8"))
    return found


@cache
def _strict(version: str) -> OpenAPI:
    """The same, stricter in two points."""
    strict = copy.deepcopy(document(version))
    for call in (call for calls in strict["paths"].values() for call in calls.values()):
        for parameter in call.get("parameters", ()):
            if parameter["in"] == "path":  # else /contacts/ is a contact without an id
                parameter["schema"]["minLength"] = 1
        body = call.get("requestBody", {}).get("content", {}).get("application/json")
        if body is not None:
            schema = strict["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
            # The vendor refuses what a body's schema does not name (its issues 262 and 313).
            if schema["properties"]:
                schema["additionalProperties"] = False
    return OpenAPI.from_dict(strict)
