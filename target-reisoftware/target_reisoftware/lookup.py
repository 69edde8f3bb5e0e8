"""Finding a contact by email, then phone, and telling "none" from a refusal."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from singer_http.errors import NotFound, Refused, RequestRejected
from singer_http.http.urls import segment
from singer_http.operations import JSON, Effect, invalid

if TYPE_CHECKING:
    from singer_http.http.client import Client
    from singer_http.report.counts import Counts
    from singer_http.sink.base import HTTPSink

REMEMBERED = 50_000
"""Contacts that a run remembers having looked up."""


class Identity(NamedTuple):
    """By what the vendor tells one contact from another, as a record has it."""

    email: str = ""
    phone: str = ""

    @property
    def folded(self) -> tuple[str, ...]:
        """As the vendor compares them; the email is the one that is unique."""
        return tuple(filter(None, (fold_email(self.email), fold_phone(self.phone))))


def fold_email(value: Any) -> str:
    """An email as it is compared: without case."""
    return str(value or "").strip().casefold()


def fold_phone(value: Any) -> str:
    """A phone as it is compared: its digits, North America's with or without their 1."""
    digits = re.sub(r"\D", "", str(value or ""))
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits


class Api:
    """The vendor's requests about contacts, counted for one stream."""

    def __init__(self, client: Client, meter: Counts, directory: Directory) -> None:
        self._client = client
        self._meter = meter
        self._directory = directory

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
        except Refused as error:
            if not isinstance(error, NotFound) and is_missing(error, "contact"):
                raise NotFound(error.status, error.reason, error.data) from None
            raise

    def contact(self, contact: str) -> JSON:
        """A contact by its id; NotFound if there is none."""
        return envelope(self.request("GET", contact_path(contact)))

    def custom_fields(self) -> list[JSON]:
        """The location's custom fields.

        Raises:
            RequestRejected: the address does not have them.
        """
        try:
            data = self.request("GET", "custom-fields/")
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
        """
        params = {"email": identity.email or None, "phone": identity.phone or None}
        try:
            data = self.request("GET", "contacts/lookup", params=params)
        except NotFound:
            # Where nothing is, everybody is unknown: a list that every location has tells.
            self._directory.confirm(self.custom_fields)
            return []
        except Refused as error:
            if error.status == 422 and fields_of(error) <= {"email", "phone"}:
                return []
            raise
        found = data.get("contacts") if isinstance(data, dict) else None
        return [item for item in found or () if isinstance(item, dict) and item.get("id")]

    def find(self, identity: Identity) -> str | None:
        """The id of the contact that a record is about.

        Raises:
            Rejection: several have that email, or the phone is another contact's.
        """
        return match(self.look_up(identity), identity)


def match(found: Iterable[JSON], identity: Identity) -> str | None:
    """Which of the contacts that a lookup found is the one."""
    email = fold_email(identity.email)
    others = list(found)
    same = [item for item in others if email and fold_email(item.get("email")) == email]
    if not same and identity.phone:
        same = others
        if foreign := [item for item in same if not may_be(item, email)]:
            raise invalid(
                f"the phone is that of the contact {foreign[0]['id']}, whose email is another one: "
                "give the id, or another phone"
            )
    if len(same) > 1:
        ids = ", ".join(str(item["id"]) for item in same[:5])
        what = "email" if fold_email(same[0].get("email")) == email and email else "phone"
        raise invalid(f"several contacts have this {what} ({ids}): give the id")
    return str(same[0]["id"]) if same else None


def may_be(contact: JSON, email: str) -> bool:
    """Whether a contact with the same phone can be the one with this (folded) email."""
    own = fold_email(contact.get("email"))
    return not email or not own or own == email


def contact_path(contact: str, *rest: str) -> str:
    """The path of a contact, and of what hangs on it."""
    return "/".join(["contacts", segment(contact), *rest])


def envelope(data: Any) -> JSON:
    """The contact within an answer."""
    inner = data.get("contact", data) if isinstance(data, dict) else None
    return inner if isinstance(inner, dict) else {}


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


def directory_of(sink: HTTPSink) -> Directory:
    """The directory that the streams of a run share."""
    return sink.context.shared("directory", Directory)


class Directory:
    """Contacts by what records call them: each is looked up once, whoever asks first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Identity, Future[str | None]] = OrderedDict()
        self._confirming = threading.Lock()
        self._confirmed = False

    def confirm(self, ask: Callable[[], object]) -> None:
        """Make sure, once in a run, that the address is the API's."""
        with self._confirming:
            if not self._confirmed:
                ask()
                self._confirmed = True

    def find(self, identity: Identity, look_up: Callable[[Identity], str | None]) -> str | None:
        """The contact's id; the first to ask looks it up, the others wait for that."""
        key = Identity(fold_email(identity.email), fold_phone(identity.phone))
        with self._lock:
            future = self._known.get(key)
            mine = future is None
            if future is None:
                future = self._known[key] = Future()
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        if not mine:
            return future.result()
        try:
            future.set_result(look_up(identity))
        except BaseException as error:
            with self._lock:
                self._known.pop(key, None)
            future.set_exception(error)
            raise
        return future.result()

    def forget(self, identity: Identity) -> None:
        """Look it up again at the next use."""
        with self._lock:
            self._known.pop(Identity(fold_email(identity.email), fold_phone(identity.phone)), None)
