"""What AutoReach takes: people (100 in a request) and members (one at a time)."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from typing_extensions import override

from singer_http.errors import NotFound, Refused, RequestRejected, StopRun, reason_of
from singer_http.exact_json import decode, encode, number_text, text_of
from singer_http.http.client import Response
from singer_http.http.urls import segment
from singer_http.identity import fold_email, fold_phone
from singer_http.operations import JSON, Effect, Operation, Outcome, OutcomeKind, Person, invalid
from singer_http.plugin.validation import parse_share
from singer_http.sink import columns as f
from singer_http.sink.base import MIRROR, UPSERT, HTTPSink
from singer_http.sink.fields import flat
from singer_http.sink.kinds import BatchSink, ReadableSink
from singer_http.sink.reading import Reading
from target_autoreach.listing import (
    MemberIndex,
    MemberReading,
    confirm_lists,
    first_page,
    is_own_404,
    read_all,
)


def render(moment: datetime.datetime) -> str:
    """A moment in the vendor's form, the only one that its page shows."""
    return moment.isoformat(" ", "seconds") + " +0000"


FIELDS = ("email", "first_name", "last_name", "phone", "previous_contact_date", "external_id")
"""Of people and of members, by the vendor's page."""
READ_ONLY = ("created_at", "updated_at")
NAMES = (("id",), ("external_id",))
"""Columns that name a person, in order of preference."""


class AutoReachSink(HTTPSink):
    """What people and members have in common."""

    fields: ClassVar[tuple[str, ...]] = FIELDS
    read_only: ClassVar[tuple[str, ...]] = READ_ONLY
    personal = ("email", "phone")
    emails = ("email",)
    phones = ("phone",)
    container = "custom_fields"
    deterministic = True
    reaches_people = True  # a list feeds the campaigns that it belongs to
    render_date_time = render
    render_date = render

    @override
    def setup(self) -> None:
        self.format = self.config["custom_fields_format"]

    @override
    def read_custom_fields(self) -> Sequence[f.CustomField]:
        return [
            f.CustomField(id=str(item.get("key") or names[-1]), names=names)
            for item in read_all(self, "custom_fields")
            if (names := tuple(text_of(item[n]) for n in ("id", "key", "name") if item.get(n)))
        ]

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        super().prepare(record, op)
        custom = self.custom_values(record)
        if not custom:
            return
        if self.format == "flat":
            op.body = custom | op.body
        elif self.format == "list":
            op.body["custom_fields"] = [
                {"key": key, "value": custom[key]} for key in sorted(custom)
            ]
        else:
            op.body["custom_fields"] = custom

    @override
    def person(self, op: Operation) -> Person:
        custom = op.body.get("custom_fields")
        if self.format == "flat":
            custom = {name: op.body[name] for name in op.body.keys() - {*self.fields}}
        elif self.format == "list":
            custom = {item["key"]: item["value"] for item in custom or ()}
        phones = filter(None, self.custom_phones(custom or {}))
        # A record that has only an id is known by what was sent under it before.
        contact = (self.stream, op.remote_id) if op.remote_id else None
        return Person((*super().person(op).identities, *phones), contact)

    def write(
        self, method: str, path: str, body: bytes | None, effect: Effect = Effect.IDEMPOTENT
    ) -> Any:
        """Send a request; a 2xx answer that lists errors is a refusal."""
        answer = self._request(method, path, body=body, effect=effect)
        if isinstance(answer.data, dict) and answer.data.get("errors"):
            raise Refused(
                answer.status,
                reason_of(answer.data),
                answer.data,
                nothing_was_done=not answer.earlier_maybe_done,
            )
        return answer.data

    def erase(self, path: str) -> None:
        """Delete: "a response body is only generated if a delete is not successful"."""
        answer = self._request("DELETE", path)
        if answer.data:
            raise Refused(answer.status, reason_of(answer.data), answer.data)

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        effect: Effect = Effect.IDEMPOTENT,
    ) -> Response:
        """Send a request.

        Raises:
            NotFound: the vendor does not have the record; the answer is in its own format.
            RequestRejected: a 404 of a gateway's, or of an address that has no lists either.
        """
        try:
            return self.client.request(method, path, body=body, effect=effect, meter=self.meter)
        except NotFound as error:
            if not isinstance(error.data, dict):
                raise RequestRejected(
                    f"{self.stream}: HTTP {error.status}, and the answer is not in AutoReach's "
                    f"format: {error.reason}; check api_url"
                ) from None
            if not is_own_404(error):
                confirm_lists(self)
            raise


class People(AutoReachSink, BatchSink):
    """People, known by `id` or `external_id`; they cannot be read back."""

    stream = "people"
    modes = (UPSERT, MIRROR)
    fields = ("id", *FIELDS)
    identities = NAMES
    batch_limit = 100

    @override
    def setup(self) -> None:
        super().setup()
        self.keyed_otherwise = self.keys not in self.identities

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        if not op.delete:
            super().prepare(record, op)
            for (name,) in NAMES:
                if isinstance(value := op.body.get(name), Decimal):
                    # As a delete's address has it: a vendor may take 7.0 and 7 for two ids.
                    op.body[name] = decode(number_text(value).encode())
        op.remote_id = next(filter(None, (f.identifier(n, record.get(n)) for (n,) in NAMES)), None)
        if op.remote_id is None:
            if op.delete and self.keyed_otherwise:
                return  # the ledger knows the id, if the person was ever delivered
            raise invalid("a person needs id or external_id")
        if self.keyed_otherwise:
            op.identities = (op.remote_id,)

    @override
    def deliver(self, ops: Sequence[Operation]) -> list[Outcome]:
        people = b",".join(op.payload for op in ops)
        self.write("PATCH", "people", b'{"people":[' + people + b"]}")
        return [Outcome(OutcomeKind.UPSERTED)] * len(ops)

    @override
    def remove(self, op: Operation) -> Outcome:
        if op.remote_id is not None:
            self.erase(f"people/{segment(op.remote_id)}")
        return Outcome(OutcomeKind.DELETED)


class Members(AutoReachSink, ReadableSink):
    """Members of lists, matched by email (else phone) and list."""

    stream = "members"
    fields = (*FIELDS, "list_id")
    read_only = ("id", *READ_ONLY)
    identities = (("id",),)
    texts = frozenset(FIELDS) - {"previous_contact_date"}

    @override
    def writable(self) -> Sequence[str]:
        return self._writable

    @functools.cached_property
    def _writable(self) -> tuple[str, ...]:
        # No schema is published: what members of the account have is what a member can have.
        shown = {name for member in first_page(self, "members") for name in member}
        known = {*self.fields, *self.read_only, "custom_fields", *self._custom_ids}
        return (*self.fields, *sorted(shown - known))

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        if named := f.identifier("id", record.get("id")):
            op.remote_id = named
        super().prepare(record, op)
        op.identities = self._identities(op.body)

    def _identities(self, member: JSON) -> tuple[str, ...]:
        """What a member is known by: its email and its phone, each in its list."""
        email, phone, list_id = self._identity(member)
        return tuple(f"{name} {list_id}" for name in (email, phone) if name)

    def _identity(self, member: JSON) -> tuple[str, str, str]:
        """Email, phone and list as they are compared; empty for none."""
        return (
            fold_email(member.get("email")),
            fold_phone(member.get("phone"), self.config.get("phone_region")),
            text_of(member.get("list_id") or ""),
        )

    @override
    def can_find(self, op: Operation) -> bool:
        return bool(op.identities)

    @override
    def find(self, op: Operation) -> str | None:
        return self.index.find(*self._identity(op.body), since=self._marks.get(op.key, 0))

    @override
    def forget_lookup(self, op: Operation) -> None:
        if op.key in self._unlisted:
            self._unlisted.discard(op.key)  # the reading that lacks it is the one to look it up in
        else:
            self._marks[op.key] = self.index.mark()

    @property
    def _unlisted(self) -> set[str]:
        """Keys of records whose member is in no reading."""
        return self.context.shared("unlisted members", set[str])

    @property
    def _marks(self) -> dict[str, int]:
        """By key: the reading of the members that a record must not be looked up in."""
        return self.context.shared("marks of members", dict[str, int])

    @property
    def index(self) -> MemberIndex:
        """The members of the account, read once per run at first use."""
        return self.context.shared("members", self._new_index)

    def _new_index(self) -> MemberIndex:
        kept = self.config["dry_run"] or self.policies.restrict
        return MemberIndex(
            lambda: (
                (
                    text_of(member.get("id") or ""),
                    *self._identity(member),
                    encode(member) if kept else b"",
                )
                for member in read_all(self, "members")
            )
        )

    @override
    def current(self, op: Operation) -> JSON | None:
        found = self.index.member(op.remote_id or "")
        if found is None:
            self._refuse_if_many_are_gone()
            self._unlisted.add(op.key)
            raise NotFound(404, f"the list of members has no member {op.remote_id}")
        return found

    def _refuse_if_many_are_gone(self) -> None:
        """Refuse to create again what only a list says is gone: an empty list says so of all.

        Raises:
            StopRun: more members are gone than `max_deletes` allows.
        """
        gone, shown = self.index.gone()
        limit = str(self.config["max_deletes"])
        if not parse_share(limit).allows_gone(gone, gone + shown):
            raise StopRun(
                f"{self.stream}: the list shows {shown:,} members, and lacks {gone:,} that were "
                f"delivered, more than max_deletes ({limit}) allows. They would be created again, "
                "since overwrite needs the list. Check the account and api_url; raise max_deletes "
                "if they really were deleted."
            )

    @override
    def reading(self) -> Reading:
        return MemberReading(self, self._identities)

    @override
    def fields_of(self, record: JSON) -> dict[str, Any]:
        """Custom fields have one name, in whichever format they stand."""
        known = self._custom_ids
        return {
            f"custom_fields.{name}" if name in known else name: value
            for name, value in super().fields_of(record).items()
        }

    @override
    def without(self, body: JSON, names: Collection[str]) -> JSON:
        flat = {name for name in self._custom_ids if f"custom_fields.{name}" in names}
        return super().without(body, {*names, *flat})

    @functools.cached_property
    def _custom_ids(self) -> frozenset[str]:
        """The account's custom fields, where they stand beside the vendor's own."""
        if self.format != "flat":
            return frozenset()
        # A field has one name, whether a member of the account shows it already or not.
        own = {*self.fields, *self.read_only}
        return frozenset(field.id for field in self.account_fields().fields) - own

    @override
    def create(self, op: Operation) -> str | None:
        data = self.write("POST", "members", op.payload, Effect.CREATE)
        made = data.get("data", data) if isinstance(data, dict) else None
        id_ = text_of(made["id"]) if isinstance(made, dict) and made.get("id") else None
        if id_ is not None and self.policies.restrict:
            self.index.note_made(id_, op.body)
        return id_

    @override
    def update(self, op: Operation) -> None:
        self.write("PUT", f"members/{segment(op.remote_id or '')}", op.payload)
        if op.known is not None:
            self.index.note(op.remote_id or "", lambda member: written_into(member, op.body))

    @override
    def delete(self, op: Operation) -> None:
        self.erase(f"members/{segment(op.remote_id or '')}")


def written_into(member: JSON, body: JSON) -> JSON:
    """A member as it is after an update: custom fields that were not sent stay."""
    merged = member | body
    if "custom_fields" in body:
        merged["custom_fields"] = _custom_fields(member) | _custom_fields(body)
    return merged


def _custom_fields(member: JSON) -> JSON:
    """Custom fields by their names, in whichever format they stand."""
    start = "custom_fields."
    return {n.removeprefix(start): value for n, value in flat(member) if n.startswith(start)}
