"""Tags of contacts: one by one, or by API v2 those of many contacts at once."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Collection, Hashable, Iterable, Sequence

from typing_extensions import override

from singer_http.errors import Refused
from singer_http.operations import JSON, Operation, Outcome, OutcomeKind, invalid
from singer_http.sink import columns as f
from singer_http.sink.base import MIRROR
from singer_http.sink.kinds import LinkSink
from target_reisoftware import values
from target_reisoftware.lookup import says_missing
from target_reisoftware.on_contact import OnContact, refused

MOST_IN_BULK = 100
"""Contacts in one request. What the vendor takes is not known."""
FIRST_IN_BULK = 10
MOST_WRITTEN = 2500
"""Bytes of the tags of one key: a row of PostgreSQL's index of the vendor's ids has 2,704."""


class BulkSize:
    """How many contacts go in one request: twice as many after each that was taken."""

    def __init__(self, most: int) -> None:
        """Begin small; never beyond `most`."""
        self._most = most
        self._lock = threading.Lock()
        self.now = min(FIRST_IN_BULK, most)

    def taken(self, number: int) -> None:
        """A request with so many contacts was taken."""
        with self._lock:
            if number >= self.now:
                self.now = min(self._most, 2 * self.now)

    def refused(self, number: int) -> None:
        """So many contacts were refused, and fewer were not."""
        with self._lock:
            self._most = max(1, min(self._most, number // 2))
            self.now = min(self.now, self._most)


class ContactTags(OnContact, LinkSink):
    """Tags of contacts: all that are at hand for one contact go in one request.

    By API v2 the same tags of many contacts go in one request, too.
    """

    stream = "contact_tags"
    batch_limit = MOST_IN_BULK
    identities = (
        ("contactId", "tag"), ("email", "tag"), ("phone", "tag"),
        ("contactId",), ("email",), ("phone",),
    )  # fmt: skip
    columns_read = ("tags", "tag")

    @override
    def setup(self) -> None:
        super().setup()
        most = self.config["bulk_tags"]
        self._bulk_size = self.context.shared("size of bulk tags", lambda: BulkSize(most))

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        super().prepare(record, op)
        tags = {*values.tags("tags", record.get("tags")), *_one_tag(record.get("tag"))}
        if tags:
            op.body["tags"] = sorted(tags)
            if not op.delete and (size := len(_as_written(tags).encode())) > MOST_WRITTEN:
                raise invalid(
                    f"{len(tags)} tags with {size:,} bytes: {MOST_WRITTEN:,} at most under one "
                    "key; give each tag a record of its own"
                )
        elif not op.delete:
            raise invalid("which tags it is about is missing: tags or tag")
        else:
            # Which of them were written is in the ledger, if anywhere.
            op.remote_id, op.body = None, {}

    @override
    def _is_named(self, op: Operation) -> bool:
        return bool(op.body.get("tags")) and super()._is_named(op)

    @override
    def prepare_removal(self, op: Operation) -> None:
        contact, _, written = (op.remote_id or "").partition("/")
        op.remote_id, op.body = contact, {"tags": json.loads(written or "[]")}

    @override
    def taken_away(self, op: Operation) -> Sequence[str]:
        return [tag_claim(op.remote_id or "", tag) for tag in op.body.get("tags", ())]

    @override
    def keep(self, op: Operation, kept: Collection[str]) -> bool:
        contact, tags = op.remote_id or "", op.body.get("tags", ())
        op.body["tags"] = [tag for tag in tags if tag_claim(contact, tag) not in kept]
        return bool(op.body["tags"])

    @override
    def joins_parents(self, op: Operation) -> Hashable | None:
        tags = op.body.get("tags")
        if not tags or not self.vendor.api.bulk_tags or self._bulk_size.now < 2:
            return None
        return op.delete, tuple(sorted({tag.lower() for tag in tags}))

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        groups = [list(group) for _, group in itertools.groupby(ops, lambda op: op.remote_id)]
        if len(groups) == 1:
            return self._one_contact(ops)
        outcomes: list[Outcome] = []
        while groups:
            size = self._bulk_size.now
            outcomes += self._in_bulk(groups[:size])
            groups = groups[size:]
        return outcomes

    def _one_contact(self, ops: Sequence[Operation]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for delete, run in itertools.groupby(ops, key=lambda op: op.delete):
            outcomes += self._together("DELETE" if delete else "POST", list(run))
        return outcomes

    def _in_bulk(self, groups: Sequence[list[Operation]]) -> list[Outcome]:
        """One request for the same tags of several contacts; if it is refused, smaller ones."""
        if len(groups) == 1:
            return self._one_contact(groups[0])
        op = groups[0][0]
        try:
            data = self.vendor.request(
                "POST",
                f"contacts/bulk/tags/update/{'remove' if op.delete else 'add'}",
                json={
                    "contacts": [group[0].remote_id for group in groups],
                    "tags": self._tags_of([op]),
                    "locationId": self.vendor.api.location,
                },
                by_contact=True,
            )
        except Refused as error:
            return self._smaller(groups, error)
        self._bulk_size.taken(len(groups))
        said = {str(item.get("contactId")): item for item in responses_of(data)}
        return [
            outcome
            for group in groups
            for outcome in self._answered(group, said.get(group[0].remote_id or "") or {})
        ]

    def _smaller(self, groups: Sequence[list[Operation]], error: Refused) -> list[Outcome]:
        middle = len(groups) // 2
        outcomes = self._in_bulk(groups[:middle]) + self._in_bulk(groups[middle:])
        if any(outcome.kind is not OutcomeKind.REJECTED for outcome in outcomes):
            # Not the tags were refused, but so many contacts.
            self._bulk_size.refused(len(groups))
        for outcome in outcomes:
            outcome.nothing_was_done = outcome.nothing_was_done and error.nothing_was_done
        return outcomes

    def _answered(self, ops: list[Operation], said: JSON) -> list[Outcome]:
        """What a bulk answer says of one contact; if it says nothing, the contact is sent alone."""
        contact, reason = ops[0].remote_id or "", str(said.get("message") or "no reason given")
        if said.get("type") == "success":
            return [self._done(op, contact) for op in ops]
        if said.get("type") != "error":
            return self._one_contact(ops)
        if says_missing(reason, "contact"):
            return [self.unknown(op) for op in ops]
        return [refused(op, Refused(200, reason, said, nothing_was_done=True)) for op in ops]

    @staticmethod
    def _tags_of(ops: Sequence[Operation]) -> list[str]:
        return list(dict.fromkeys(tag for op in ops for tag in op.body["tags"]))

    def _together(self, method: str, ops: list[Operation]) -> list[Outcome]:
        """One request for all of them; if it is refused, one for each."""
        contact = ops[0].remote_id or ""
        tags = self._tags_of(ops)
        try:
            self.vendor.request(
                method, self.path(contact, *self.vendor.api.tags_end), json={"tags": tags}
            )
        except Refused as error:
            if self.contact_unknown(error, contact):
                return [self.unknown(op) for op in ops]
            if len(ops) == 1:
                return [refused(ops[0], error)]
            outcomes = [self._together(method, [op])[0] for op in ops]
            for outcome in outcomes:
                outcome.nothing_was_done = outcome.nothing_was_done and error.nothing_was_done
            return outcomes
        return [self._done(op, contact) for op in ops]

    def _done(self, op: Operation, contact: str) -> Outcome:
        return Outcome(OutcomeKind.DELETED) if op.delete else self._tagged(op, contact)

    def _tagged(self, op: Operation, contact: str) -> Outcome:
        """What this sync put on the contact under this key, earlier tags included.

        A mirror removes those that the record does not name any more. Where there are too many
        in all, the earlier ones are not this sync's to take away any more.
        """
        written_now = _as_written(tags := set(op.body["tags"]))
        before, _, written = (op.row.remote_id or "" if op.row else "").partition("/")
        if before == contact and written and self.config["mode"] != MIRROR:
            both = tags.union(json.loads(written))
            if len((of_both := _as_written(both)).encode()) <= MOST_WRITTEN:
                tags, written_now = both, of_both
        remote_id = f"{contact}/{written_now}"
        claims = tuple(tag_claim(contact, tag) for tag in sorted(tags))
        return Outcome(OutcomeKind.UPSERTED, remote_id, claims=claims)


def _as_written(tags: Iterable[str]) -> str:
    """Tags as they stand in the ledger."""
    return json.dumps(sorted(tags), ensure_ascii=False)


def _one_tag(tag: object) -> list[str]:
    if f.is_null(tag):
        return []
    if not isinstance(tag, str):
        raise invalid(f"tag: {f.shortened(tag)} is not a text")
    return [tag.strip()]


def tag_claim(contact: str, tag: str) -> str:
    """A tag of a contact, as the vendor compares tags: without case."""
    return f"tag {contact}/{tag.strip().lower()}"


def responses_of(data: object) -> list[JSON]:
    """What a bulk answer says of the contacts; nothing if it has no known form."""
    said = data.get("responses") if isinstance(data, dict) else None
    return [item for item in said if isinstance(item, dict)] if isinstance(said, list) else []
