"""The forms in which API v2 refuses."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from singer_sandbox.messages import Refusal, Reply, Request, reply

NAMES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
}

FOREIGN = "The token does not have access to this location."


def traced(status: int, body: Mapping[str, Any]) -> Reply:
    """An answer with the id that every answer of the vendor carries."""
    return reply(status, {**body, "traceId": str(uuid.uuid4())})


def error(status: int, message: str | list[str], **more: Any) -> Reply:
    """`statusCode`, `message` (a text or a list of texts), `error`."""
    name = NAMES.get(status, "Error")
    return traced(status, {"statusCode": status, "message": message, "error": name, **more})


def refusal(status: int, message: str | list[str], **more: Any) -> Refusal:
    """The same, to be raised."""
    return Refusal(error(status, message, **more))


def invalid(*problems: str) -> Refusal:
    """422 with a list, one text for each problem."""
    return refusal(422, list(problems))


def foreign() -> Refusal:
    """403 for a location, or a contact of one, that the token does not open."""
    return refusal(403, FOREIGN)


def no_route(request: Request) -> Refusal:
    """404 for an address or method that does not exist: about no record."""
    path = request.path.removeprefix("/v2")
    return refusal(404, f"Cannot {request.method} {path}")
