"""Finding a contact by email, then phone, and telling "none" from a refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from reisoftware_api.api import Api
from reisoftware_api.settings import VERSIONS
from reisoftware_api.v2 import V2
from singer_http.errors import NotFound, Refused, RequestRejected, VendorDown, reason_of
from singer_http.exact_json import encode_sorted, text_of
from singer_http.identity import fold_email
from singer_http.operations import JSON, Effect
from singer_http.sink.overwrite import restricts
from target_reisoftware.finder import Finder
from target_reisoftware.listing import ContactList, ContactListV1, ContactListV2
from target_reisoftware.matching import Identity, match

if TYPE_CHECKING:
    from singer_http.http.client import Client
    from singer_http.report.counts import Counts
    from singer_http.sink.base import HTTPSink


class ReiClient:
    """The vendor's requests about contacts, counted for one stream."""

    def __init__(
        self,
        client: Client,
        api: Api,
        meter: Counts,
        note: Callable[[JSON], None] = lambda _: None,
    ) -> None:
        """Ask a vendor.

        Args:
            client: sends the requests.
            api: its version.
            meter: counts them.
            note: is told of each contact that was looked up and is the one.
        """
        self.api = api
        self._client = client
        self._meter = meter
        self._note = note

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        effect: Effect = Effect.IDEMPOTENT,
        by_contact: bool = False,
    ) -> Any:
        """Send a request; the answer's JSON.

        Args:
            method: GET, POST, ...
            path: below the address of the API.
            params: the query.
            json: the body.
            effect: what the request does.
            by_contact: the answer says of each contact whether it succeeded.

        Raises:
            NotFound: the contact is unknown, in whichever words.
            Refused: the vendor said no.
            RequestRejected: a 404 of a server that does not have the vendor's API.
        """
        try:
            answer = self._client.request(
                method,
                path,
                params=params,
                body=None if json is None else encode_sorted(json),
                effect=effect,
                meter=self._meter,
            )
        except NotFound as error:
            if isinstance(error.data, str):
                message = f"HTTP {error.status}, not the API's: {error.reason}; check api_url"
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
        if not by_contact and failed(answer.data):
            words = reason_of(answer.data.get("message")) or "no reason given"
            reason = f"the vendor answers that it did not succeed: {words}"
            done = answer.earlier_maybe_done
            raise Refused(answer.status, reason, answer.data, nothing_was_done=not done)
        return answer.data

    def confirm(self) -> None:
        """Make sure that the address is the API's: every location has custom fields to list.

        Raises:
            RequestRejected: it does not have them.
        """
        self.custom_fields()

    def contact(self, contact: str) -> JSON:
        """A contact by its id, in v1's form.

        Raises:
            NotFound: there is none, or it is deleted.
            Refused: the answer shows none.
        """
        answer = self.request("GET", self.api.contact_path(contact))
        shown = envelope(answer)
        if not shown.get("id"):
            raise Refused(200, "the answer shows no contact", answer)
        if shown.get("deleted") is True:
            raise NotFound(200, "the contact is deleted", answer)
        return self.api.contact(shown)

    def custom_fields(self) -> list[JSON]:
        """The location's custom fields.

        Raises:
            RequestRejected: the address does not have them.
        """
        call = self.api.listing("custom_fields")
        try:
            # Not by `request`, which would ask here again.
            data = self._client.request(
                "GET", call.path, params=call.params, meter=self._meter
            ).data
        except Refused as error:
            raise RequestRejected(
                f"{call.path}: HTTP {error.status}: {error.reason}; check `api_url`"
            ) from None
        found = data.get("customFields") if isinstance(data, dict) else None
        if not isinstance(found, list):
            message = f"{call.path}: the answer has no list 'customFields'; check `api_url`"
            raise RequestRejected(message)
        rows = [item for item in found if isinstance(item, dict) and item.get("id")]
        return self.api.custom_fields(rows)

    def look_up(self, identity: Identity) -> list[JSON]:
        """The contacts with this email, else with this phone.

        "None" is a 404, an empty list, no list, or a 422 about nothing but email and phone.

        Raises:
            VendorDown: the answer is neither contacts nor one of the known forms of none.
        """
        call = self.api.lookup(identity.email, identity.phone)
        try:
            data = self.request("GET", call.path, params=call.params)
        except NotFound:
            return []
        except Refused as error:
            if error.status == 422 and fields_of(error) <= {"email", "phone"}:
                return []
            raise
        found = self.api.looked_up(data)
        if found is None:
            raise VendorDown(
                f"{call.path}: the answer was not understood ({reason_of(data) or 'empty'}): "
                "run again when the vendor is back"
            )
        return found

    def contact_list(self) -> ContactList:
        """The account's list of contacts."""
        if isinstance(self.api, V2):
            return ContactListV2(self._client, self.api, self._meter)
        return ContactListV1(self._client, self._meter)

    def find(self, identity: Identity) -> str | None:
        """The id of the contact that a record is about.

        Raises:
            Rejection: several have that email, or the phone is another contact's.
        """
        found = self.look_up(identity)
        email = identity.compared.email
        by_other = found and email and fold_email(found[0].get("email")) != email
        if by_other and identity.phone and self.api.one_match:
            # Found by its phone: the email comes first, whatever the account's own rule is.
            found = self.look_up(Identity(identity.email)) or found
        contact = match(found, identity)
        for item in found:
            if text_of(item["id"]) == contact:
                self._note(item)
        return contact


def duplicate_of(error: Refused) -> tuple[str | None, str]:
    """The contact that forbids a create, and the field in which they are the same."""
    meta = error.data.get("meta") if isinstance(error.data, dict) else None
    if not isinstance(meta, dict) or not meta.get("contactId"):
        return None, ""
    return text_of(meta["contactId"]), str(meta.get("matchingField") or "")


def failed(data: Any) -> bool:
    """Whether a 2xx answer says that nothing was done (`succeded` is the vendor's spelling)."""
    return isinstance(data, dict) and any(
        data.get(name) is False for name in ("succeded", "succeeded")
    )


def envelope(data: Any) -> JSON:
    """The contact within an answer."""
    inner = data.get("contact", data) if isinstance(data, dict) else None
    return inner if isinstance(inner, dict) else {}


def is_own_404(error: NotFound) -> bool:
    """A 404 in the vendor's own format about a record: `{"msg": "Contact not found."}`.

    `Cannot GET /v9/contacts` is a server's that does not know the path.
    """
    own = isinstance(error.data, dict) and bool(_NOT_THERE.search(error.reason))
    return own and not _ABOUT_PATH.search(error.reason)


_ABOUT_PATH = re.compile(r"\bcannot [A-Z]+ /|/contacts\b", re.IGNORECASE)
_GONE = "not found|not exist|invalid|is deleted|not a valid"
_NOT_THERE = re.compile(
    r"\b(contact|campaign|workflow|tag)s?\b.{0,40}\b(not found|not exist|invalid|deleted)"
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
    return fields_of(error) == {f"{thing}Id"} or says_missing(error.reason, thing)


def says_missing(reason: str, thing: str) -> bool:
    """Whether the vendor's words say that there is no such contact (campaign, workflow)."""
    words = rf"\b{thing}( ?id)?\b.{{0,20}}({_GONE})|no such {thing}"
    return bool(re.search(words, reason, re.IGNORECASE))


def rei_client_of(sink: HTTPSink) -> ReiClient:
    """A sink's requests, by the version of the API that the settings name."""
    api = sink.context.shared("api", lambda: VERSIONS[sink.config["api_version"]](sink.config))
    return ReiClient(sink.client, api, sink.meter, finder_of(sink).note_found)


def finder_of(sink: HTTPSink) -> Finder:
    """The finder that the streams of a run share."""
    return sink.context.shared("finder", lambda: _new_finder(sink))


def _new_finder(sink: HTTPSink) -> Finder:
    keep = restricts(sink.config.get("overwrite"))
    return Finder(sink.config["matching"], sink.logger, keep=keep)
