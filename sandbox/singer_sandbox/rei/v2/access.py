"""Who may do what: the version header, private integration tokens, their scopes and location."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from singer_sandbox.account import ControlError
from singer_sandbox.messages import Request
from singer_sandbox.rei.account import ReiAccount
from singer_sandbox.rei.v2.errors import foreign, invalid, refusal

PREFIX = "pit-"
VERSIONS = frozenset({"2021-04-15", "2021-07-28", "2023-02-21", "v3"})
SCOPES = frozenset(
    {
        "calendars/events.readonly",
        "campaigns.readonly",
        "contacts.readonly",
        "contacts.write",
        "locations/customFields.readonly",
        "locations/tags.readonly",
        "workflows.readonly",
    }
)
USERS = ("Location", "Company")


class Token(NamedTuple):
    """A private integration token: of one location, or of the agency above it."""

    account: ReiAccount
    scopes: frozenset[str] = SCOPES
    user_type: str = "Location"


def token_of(account: ReiAccount, given: Mapping[str, Any]) -> Token:
    """The token that a control call describes: `scopes` (parted by spaces), `user_type`."""
    scopes = str(given["scopes"]).split() if "scopes" in given else SCOPES
    if unknown := set(scopes) - SCOPES:
        raise ControlError(f"unknown scopes {sorted(unknown)}; there are {sorted(SCOPES)}")
    user = given.get("user_type", "Location")
    if user not in USERS:
        raise ControlError(f"user_type must be one of {list(USERS)}")
    return Token(account, frozenset(scopes), user)


def bearer(request: Request) -> str:
    """The token that a request shows, or an empty text."""
    scheme, _, key = request.header(b"authorization").partition(" ")
    return key if scheme.lower() == "bearer" else ""


def check_version(request: Request, unknown_status: int) -> str:
    """The version that the request asks for, one that there is."""
    version = request.header(b"version")
    if not version:
        raise refusal(401, "version header was not found.")
    if version not in VERSIONS:
        if unknown_status == 400:
            raise refusal(400, f"Invalid API version segment {version}")
        raise refusal(401, "version header is invalid")
    return version


def check_token(request: Request, tokens: Mapping[str, Token]) -> Token:
    """The token of the request, of a sub-account and known."""
    key = bearer(request)
    token = tokens.get(key)
    if token is None:
        raise refusal(
            401, "Invalid Private Integration token" if key.startswith(PREFIX) else "Invalid JWT"
        )
    if token.user_type != "Location":
        raise refusal(401, "Token's user type mismatch!")
    return token


def check_scope(token: Token, scope: str) -> None:
    """Refuse what the token was not made for."""
    if scope not in token.scopes:
        raise refusal(401, "The token is not authorized for this scope.")


def check_location(token: Token, location: Any) -> None:
    """Refuse another location than the token's; None when the request names none."""
    if location is not None and location != token.account.location:
        raise foreign()


def location_in_query(request: Request) -> str:
    """The `locationId` of a query, which must be there."""
    location = request.params.get("locationId")
    if not location:
        raise invalid("locationId should not be empty", "locationId must be a string")
    return location
