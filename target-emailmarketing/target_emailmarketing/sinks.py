"""What Kasplo takes: contacts, a hundred at a time, into one list and with one set of tags."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

from typing_extensions import override

from singer_http.errors import ConfigError, NotFound, Refused, RequestRejected, reason_of
from singer_http.exact_json import encode, text_of
from singer_http.http.urls import segment
from singer_http.identity import fold_email
from singer_http.operations import (
    JSON,
    Operation,
    Outcome,
    OutcomeKind,
    Person,
    Rejection,
    RejectionKind,
    invalid,
)
from singer_http.sink import columns as f
from singer_http.sink.base import CREATE, UPSERT
from singer_http.sink.kinds import BatchSink
from target_emailmarketing.custom import converter, field_of
from target_emailmarketing.listing import ACTIVE, INACTIVE, Directory, Unknown, read_all

EXISTS = re.compile(r"already exist(?!.*\bin (the |this )?request)", re.IGNORECASE)
ABOUT_REQUEST = frozenset({"list_id", "tags", "update_subscribers"})
"""Members of a request that are not about one contact."""
REASONS = ("string", "reason", "message", "error", "errors")
"""Where the reason of an invalid contact stands: the first is what Kasplo's page shows."""


class Contacts(BatchSink):
    """Contacts of a list, known by their email; they cannot be read back."""

    stream = "contacts"
    modes = (UPSERT, CREATE)
    fields = ("email", "first_name", "last_name")
    identities = (("email",),)
    personal = ("email", "first_name", "last_name")
    emails = ("email",)
    container = "custom_fields"
    batch_limit = 100
    reaches_people = True
    deterministic = True
    no_delete = "Kasplo's API cannot delete a contact, nor unsubscribe one: do it in Kasplo"

    # --- what the account has -------------------------------------------------------------------

    @override
    def setup(self) -> None:
        self.update = self.config["update_subscribers"] and self.config["mode"] != CREATE
        self._looked_for: set[str] = set()
        self._looking = threading.Lock()
        self.list_id = self._setting("list_id", self.lists) or self._setting("list", self.lists)
        tags = self.config.get("tags") or ()
        self.tags = tuple(sorted({self._found("tags", self.all_tags, tag) for tag in tags}))
        self.required = tuple(x for x in self.account_fields().fields if x.required)
        if not (self.list_id or {"list", "list_id"} & set(self.properties)):
            raise ConfigError(
                "contacts: no list to put them into: set list_id or list, or give the records a "
                "column of that name."
            )

    def _setting(self, name: str, directory: Directory) -> str | None:
        wanted = self.config.get(name)
        return self._found(name, directory, wanted) if wanted else None

    @staticmethod
    def _found(setting: str, directory: Directory, wanted: Any) -> str:
        try:
            return directory.find(wanted)
        except Unknown as error:
            raise ConfigError(f"{setting}: {error}") from None

    def path(self, name: str) -> str:
        """An address of the account; it holds a secret."""
        return f"audience/v1/{segment(self.config['sid'])}/{name}"

    @cached_property
    def lists(self) -> Directory:
        """The account's lists."""
        return self._read_lists()

    @cached_property
    def all_tags(self) -> Directory:
        """The account's tags; the inactive ones too, to tell them from unknown ones."""
        return self._read_tags()

    def _read_lists(self) -> Directory:
        return Directory("list", "list_id", read_all(self, self.path("list")))

    def _read_tags(self) -> Directory:
        active, inactive = (
            read_all(self, self.path("tag"), {"status": status}) for status in (ACTIVE, INACTIVE)
        )
        return Directory("tag", "tag_id", chain(active, inactive))

    @override
    def read_custom_fields(self) -> Sequence[f.CustomField]:
        return [
            field_of(item)
            for item in read_all(self, self.path("custom-field"))
            if item.get("status", ACTIVE) == ACTIVE
        ]

    @property
    @override
    def description(self) -> Any:
        lists = self.lists.usable if {"list", "list_id"} & set(self.properties) else None
        tags = self.all_tags.usable if "tags" in self.properties else None
        return [super().description, self.list_id, self.tags, repr(self.required), lists, tags]

    # --- a record -------------------------------------------------------------------------------

    @override
    def extra_columns(self) -> Sequence[str]:
        return ("list_id", "list", "tags", "custom_fields")

    @override
    def converter(
        self, name: str, custom: f.CustomField | None, schema: Mapping[str, Any]
    ) -> f.Convert | None:
        return converter(custom) if custom else super().converter(name, custom, schema)

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        if f.is_null(email := record.get("email")):
            raise invalid("a contact needs email")
        folded = fold_email(email)
        try:
            list_id, tags = self._list_of(record), self._tags_of(record)
        except Unknown as error:
            raise invalid(str(error)) from None
        op.group = (list_id, tags)
        op.identities = (f"{folded} {list_id}",)
        super().prepare(record, op)
        custom = self.custom_values(record)
        if missing := [x.id for x in self.required if custom.get(x.id) in (None, "")]:
            raise invalid(f"{missing[0]}: the account requires this custom field of every contact")
        if custom:
            op.body["custom_fields"] = custom

    def _list_of(self, record: JSON) -> str:
        for name in ("list_id", "list"):
            if wanted := f.identifier(name, record.get(name)):
                return self.lists.find(wanted)
        if self.list_id is None:
            raise invalid("a contact needs list_id or list, in the record or in the settings")
        return self.list_id

    def _tags_of(self, record: JSON) -> tuple[str, ...]:
        given = record.get("tags")
        if f.is_null(given):
            return self.tags
        names = given.split(",") if isinstance(given, str) else given
        if not isinstance(names, list):
            raise invalid(f"tags: {f.shortened(given)} is neither a list nor text with commas")
        return tuple(sorted({self.all_tags.find(name) for name in names if not f.is_null(name)}))

    @override
    def person(self, op: Operation) -> Person:
        phones = self.custom_phones(op.body.get("custom_fields") or {})
        return Person(tuple(filter(None, (*super().person(op).identities, *phones))))

    @override
    def key_suffix(self, record: JSON) -> str:
        try:
            return self._list_of(record)
        except Unknown:
            # The list as the record calls it: another key than that of a list that there is.
            return "?" + text_of(record.get("list_id") or record.get("list"))
        except Rejection:
            return "?"

    @override
    def meaning(self) -> Any:
        return {"update_subscribers": self.update}

    # --- requests -------------------------------------------------------------------------------

    @override
    def deliver(self, ops: Sequence[Operation]) -> list[Outcome]:
        list_id, tags = ops[0].group
        around = {"update_subscribers": self.update, "list_id": list_id}
        if tags:
            around["tags"] = tags
        body = b'{"data":[%b],%b' % (b",".join(op.payload for op in ops), encode(around)[1:])
        try:
            answer = self.client.request("POST", self.path("contact"), body=body, meter=self.meter)
        except NotFound as error:
            # Contacts have no address of their own that could be missing.
            raise RequestRejected(
                f"contacts: HTTP {error.status}: {error.reason}; check api_url and sid"
            ) from None
        except Refused as error:
            if self._is_about_request(error, list_id, tags):
                raise RequestRejected(f"contacts: HTTP {error.status}: {error.reason}") from None
            raise
        data: Any = answer.data.get("data") if isinstance(answer.data, dict) else None
        if not understood(answer.data):
            raise Refused(answer.status, f"not understood: {reason_of(answer.data)}", answer.data)
        taken = _by_email(data.get("valid_contacts"))
        refused = _by_email(data.get("invalid_contacts"))
        outcomes = [self._outcome(op, taken, refused, answer.status) for op in ops]
        for outcome in outcomes:
            outcome.nothing_was_done = not answer.earlier_maybe_done
        return outcomes

    def _is_about_request(self, error: Refused, list_id: str, tags: Sequence[str]) -> bool:
        """Whether a refusal is about the list or the tags, and so holds for every contact.

        Told by a member of the answer that names them, or by asking whether they are still there.
        """
        if names_request(error.data):
            return True
        with self._looking:
            # Once for each reason: contacts refused one by one must not cost a look each.
            if error.reason in self._looked_for:
                return False
            known = self._read_tags() if tags else None
            there = self._read_lists().is_active(list_id)
            if there and (known is None or all(map(known.is_active, tags))):
                self._looked_for.add(error.reason)
                return False
            return True

    def _outcome(
        self, op: Operation, taken: dict[str, JSON], refused: dict[str, JSON], status: int
    ) -> Outcome:
        # By email, never by position: the vendor may answer in another order.
        email = op.identities[0].rpartition(" ")[0]
        if email in taken:
            return Outcome(OutcomeKind.UPSERTED)
        if email not in refused:
            reason = "the answer counts it neither among the valid nor among the invalid contacts"
            return Outcome.rejected(RejectionKind.REFUSED, reason, status=status)
        reason = _reason(refused[email])
        if self.config["mode"] == CREATE and EXISTS.search(reason):
            return Outcome(OutcomeKind.SKIPPED)
        return Outcome.rejected(RejectionKind.REFUSED, reason, status=status)


def understood(data: Any) -> bool:
    """An answer to POST contact: an object that tells the valid or the invalid contacts."""
    inner = data.get("data") if isinstance(data, dict) else None
    return isinstance(inner, dict) and bool({"valid_contacts", "invalid_contacts"} & set(inner))


def names_request(data: Any) -> bool:
    """Whether an error body has a member named for the list or the tags of the request."""
    if not isinstance(data, dict):
        return False
    around = [data, *(data.get(name) for name in ("error", "errors", "data"))]
    return any(isinstance(item, dict) and bool(ABOUT_REQUEST & set(item)) for item in around)


def _by_email(contacts: Any) -> dict[str, JSON]:
    return {
        fold_email(contact.get("email")): contact
        for contact in contacts or ()
        if isinstance(contact, dict)
    }


def _reason(contact: JSON) -> str:
    found = (reason_of(contact[name]) for name in REASONS if contact.get(name))
    return next((reason for reason in found if reason), "the vendor gives no reason")
