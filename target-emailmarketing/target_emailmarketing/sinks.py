"""What Kasplo takes: contacts, a hundred at a time, into one list and with one set of tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
from typing_extensions import override

from singer_http.errors import ConfigError, Refused, RequestRejected, reason_of
from singer_http.http.urls import segment
from singer_http.operations import JSON, Operation, Outcome, OutcomeKind, RejectionKind, invalid
from singer_http.sink import columns as f
from singer_http.sink.base import CREATE, UPSERT
from singer_http.sink.kinds import BatchSink
from target_emailmarketing.custom import converter, field_of
from target_emailmarketing.listing import ACTIVE, INACTIVE, Directory, Unknown, read_all

EXISTS = re.compile(r"already exist(?!.*\bin (the |this )?request)", re.IGNORECASE)
ABOUT_REQUEST = re.compile(r"\blist(_id)?\b|\btags?\b", re.IGNORECASE)
REASONS = ("string", "reason", "message", "error", "errors")
"""Where the reason of an invalid contact stands: the first is what Kasplo's page shows."""


class Contacts(BatchSink):
    """Contacts of a list, known by their email; they cannot be read back."""

    stream = "contacts"
    supposed = ("list_id",)
    modes = (UPSERT, CREATE)
    fields = ("email", "first_name", "last_name")
    identities = (("email",),)
    personal = ("email", "first_name", "last_name")
    container = "custom_fields"
    batch_limit = 100
    no_delete = "Kasplo's API cannot delete a contact, nor unsubscribe one: do it in Kasplo"

    # --- what the account has -------------------------------------------------------------------

    @override
    def setup(self) -> None:
        self.update = self.config["update_subscribers"] and self.config["mode"] != CREATE
        self.suppressed = read_suppression(self.config.get("suppression"))
        self.list_id = self._setting("list_id", self.lists) or self._setting("list", self.lists)
        tags = self.config.get("tags") or ()
        self.tags = tuple(sorted({self._found("tags", self.all_tags, tag) for tag in tags}))
        if not (self.list_id or {"list", "list_id"} & set(self.properties)):
            raise ConfigError(
                "contacts: no list to put them into: set list_id or list, or give the records a "
                "column of that name."
            )
        self.required = tuple(x for x in self.account_fields().fields if x.required)

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
        return Directory("list", "list_id", read_all(self, self.path("list")))

    @cached_property
    def all_tags(self) -> Directory:
        """The account's tags; the inactive ones too, to tell them from unknown ones."""
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
        email = str(record.get("email") or "").strip()
        if not email:
            raise invalid("a contact needs email")
        try:
            list_id, tags = self._list_of(record), self._tags_of(record)
        except Unknown as error:
            raise invalid(str(error)) from None
        op.group = (list_id, tags)
        op.identities = (f"{email.casefold()} {list_id}",)
        if self._is_suppressed(email):
            return
        super().prepare(record, op)
        op.body["email"] = email
        custom = self.custom_values(record)
        if missing := [x.id for x in self.required if custom.get(x.id) in (None, "")]:
            raise invalid(f"{missing[0]}: the account requires this custom field of every contact")
        if custom:
            op.body["custom_fields"] = custom

    def _list_of(self, record: JSON) -> str:
        wanted = record.get("list_id") or record.get("list")
        if wanted:
            return self.lists.find(wanted)
        if self.list_id is None:
            raise invalid("a contact needs list_id or list, in the record or in the settings")
        return self.list_id

    def _tags_of(self, record: JSON) -> tuple[str, ...]:
        given = record.get("tags")
        if given is None or given == "":
            return self.tags
        names = given.split(",") if isinstance(given, str) else given
        if not isinstance(names, list):
            raise invalid(f"tags: {f.shortened(given)} is neither a list nor text with commas")
        return tuple(sorted({self.all_tags.find(name) for name in names if str(name).strip()}))

    def _is_suppressed(self, email: str) -> bool:
        return email.casefold() in self.suppressed

    @override
    def key_suffix(self, op: Operation) -> str:
        return str(op.group[0])

    @override
    def meaning(self) -> Any:
        return {"update_subscribers": self.update}

    @override
    def skip(self, op: Operation) -> bool:
        return self._is_suppressed(op.identities[0].rpartition(" ")[0])

    # --- requests -------------------------------------------------------------------------------

    @override
    def deliver(self, ops: Sequence[Operation]) -> list[Outcome]:
        list_id, tags = ops[0].group
        around = {"update_subscribers": self.update, "list_id": list_id}
        if tags:
            around["tags"] = tags
        body = b'{"data":[%b],%b' % (b",".join(op.payload for op in ops), orjson.dumps(around)[1:])
        try:
            answer = self.client.request("POST", self.path("contact"), body=body, meter=self.meter)
        except Refused as error:
            if ABOUT_REQUEST.search(error.reason):
                raise RequestRejected(f"contacts: HTTP {error.status}: {error.reason}") from None
            raise
        data: Any = answer.data.get("data") if isinstance(answer.data, dict) else None
        if not isinstance(data, dict) or not {"valid_contacts", "invalid_contacts"} & set(data):
            raise Refused(answer.status, f"not understood: {reason_of(answer.data)}", answer.data)
        taken = _by_email(data.get("valid_contacts"))
        refused = _by_email(data.get("invalid_contacts"))
        return [self._outcome(op, taken, refused, answer.status) for op in ops]

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


def read_suppression(path: str | None) -> frozenset[str]:
    """The emails of a file, one a line, without case.

    Raises:
        ConfigError: it cannot be read: nobody is written to by mistake.
    """
    if not path:
        return frozenset()
    try:
        lines = Path(path).expanduser().read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            f"suppression: {path} cannot be read: {words}. Nothing was sent."
        ) from None
    return frozenset(email for line in lines if (email := line.strip().casefold()))


def _by_email(contacts: Any) -> dict[str, JSON]:
    return {
        str(contact.get("email") or "").strip().casefold(): contact
        for contact in contacts or ()
        if isinstance(contact, dict)
    }


def _reason(contact: JSON) -> str:
    found = (reason_of(contact[name]) for name in REASONS if contact.get(name))
    return next((reason for reason in found if reason), "the vendor gives no reason")
