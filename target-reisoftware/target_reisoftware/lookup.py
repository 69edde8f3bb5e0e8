"""Finding a contact by email, then phone, and telling "none" from a refusal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from singer_http.errors import NotFound, Refused, RequestRejected, VendorDown, reason_of
from singer_http.http.urls import segment
from singer_http.operations import JSON, Effect
from target_reisoftware.finder import Finder
from target_reisoftware.listing import ContactList
from target_reisoftware.matching import Identity, match

if TYPE_CHECKING:
    from singer_http.http.client import Client
    from singer_http.report.counts import Counts
    from singer_http.sink.base import HTTPSink


class Api:
    """The vendor's requests about contacts, counted for one stream."""

    def __init__(self, client: Client, meter: Counts) -> None:
        self._client = client
        self._meter = meter

    def request(
        self,
        method: str,
        path: str,
        *,
        params: JSON | None = None,
        json: Any = None,
        body: bytes | None = None,
        effect: Effect = Effect.IDEMPOTENT,
    ) -> Any:
        """Send a request; the answer's JSON.

        Raises:
            NotFound: the contact is unknown, in whichever words.
            Refused: the vendor said no.
            RequestRejected: a 404 of a server that does not have the vendor's API.
        """
        try:
            return self._client.request(
                method,
                path,
                params=params,
                json=json,
                body=body,
                effect=effect,
                meter=self._meter,
            ).data
        except NotFound as error:
            if isinstance(error.data, str):
                message = f"HTTP {error.status}, not the API's: {error.reason}; look at api_url"
                raise RequestRejected(message) from None
            if not is_own_404(error):
                self.confirm()
            raise
        except Refused as error:
            if is_missing(error, "contact"):
                missing = NotFound(error.status, error.reason, error.data)
                missing.nothing_was_done = error.nothing_was_done
                raise missing from None
            raise

    def confirm(self) -> None:
        """Make sure that the address is the API's: every location has custom fields to list.

        Raises:
            RequestRejected: it does not have them.
        """
        self.custom_fields()

    def contact(self, contact: str) -> JSON:
        """A contact by its id; NotFound if there is none."""
        return envelope(self.request("GET", contact_path(contact)))

    def custom_fields(self) -> list[JSON]:
        """The location's custom fields.

        Raises:
            RequestRejected: the address does not have them.
        """
        try:
            # Not by `request`, which would ask here again.
            data = self._client.request("GET", "custom-fields/", meter=self._meter).data
        except Refused as error:
            raise RequestRejected(
                f"custom-fields: HTTP {error.status}: {error.reason}; check `api_url`"
            ) from None
        found = data.get("customFields") if isinstance(data, dict) else None
        if not isinstance(found, list):
            message = "custom-fields: the answer has no list 'customFields'; check `api_url`"
            raise RequestRejected(message)
        return [item for item in found if isinstance(item, dict) and item.get("id")]

    def look_up(self, identity: Identity) -> list[JSON]:
        """The contacts with this email, else with this phone.

        "None" is a 404, an empty list, no list, or a 422 about nothing but email and phone.

        Raises:
            VendorDown: the answer is neither contacts nor one of the known forms of none.
        """
        params = {"email": identity.email or None, "phone": identity.phone or None}
        try:
            data = self.request("GET", "contacts/lookup", params=params)
        except NotFound:
            return []
        except Refused as error:
            if error.status == 422 and fields_of(error) <= {"email", "phone"}:
                return []
            raise
        if not understood_lookup(data):
            raise VendorDown(
                f"contacts/lookup: the answer was not understood ({reason_of(data) or 'empty'}): "
                "run again when the vendor is back"
            )
        return list(data.get("contacts") or ())

    def contact_list(self) -> ContactList:
        """The account's list of contacts."""
        return ContactList(self._client, self._meter)

    def find(self, identity: Identity) -> str | None:
        """The id of the contact that a record is about.

        Raises:
            Rejection: several have that email, or the phone is another contact's.
        """
        return match(self.look_up(identity), identity)


def contact_path(contact: str, *rest: str) -> str:
    """The path of a contact, and of what hangs on it."""
    return "/".join(["contacts", segment(contact), *rest])


def envelope(data: Any) -> JSON:
    """The contact within an answer."""
    inner = data.get("contact", data) if isinstance(data, dict) else None
    return inner if isinstance(inner, dict) else {}


HARMLESS = frozenset({"contacts", "meta", "total", "count", "traceId"})
"""Members that may stand beside the contacts of a lookup, or alone where it found none."""


def understood_lookup(data: Any) -> bool:
    """A lookup's answer: contacts with their ids, or a known form of none."""
    if not isinstance(data, dict):
        return False
    found = data.get("contacts")
    if found is None:
        return set(data) <= HARMLESS
    return isinstance(found, list) and all(
        isinstance(item, dict) and bool(item.get("id")) for item in found
    )


def is_own_404(error: NotFound) -> bool:
    """A 404 in the vendor's own words about a record: `{"msg": "Contact not found."}`.

    `Cannot GET /v9/contacts` is a server's that does not know the path.
    """
    own = isinstance(error.data, dict) and bool(_NOT_THERE.search(error.reason))
    return own and not _ABOUT_PATH.search(error.reason)


_ABOUT_PATH = re.compile(r"\bcannot [A-Z]+ /|/contacts\b", re.IGNORECASE)
_NOT_THERE = re.compile(
    r"\b(contact|campaign|workflow|tag)s?\b.{0,40}\b(not found|not exist|invalid)"
    r"|\bno (such )?(contact|campaign|workflow|tag)s?\b",
    re.IGNORECASE,
)


def fields_of(error: Refused) -> set[str]:
    """The fields that a refusal of the form field -> {"message", "rule"} is about."""
    data = error.data
    if not isinstance(data, dict) or not all(isinstance(item, dict) for item in data.values()):
        return {"?"}
    return set(data) or {"?"}


def is_missing(error: Refused, thing: str) -> bool:
    """Whether a refusal says that there is no such contact (campaign, workflow)."""
    if error.status not in {400, 404, 410, 422}:
        return False
    words = rf"\b{thing}( ?id)?\b.{{0,20}}(not found|not exist|invalid)|no such {thing}"
    return fields_of(error) == {f"{thing}Id"} or bool(re.search(words, error.reason, re.IGNORECASE))


def finder_of(sink: HTTPSink) -> Finder:
    """The finder that the streams of a run share."""
    return sink.context.shared("finder", lambda: Finder(sink.config["matching"], sink.logger))
