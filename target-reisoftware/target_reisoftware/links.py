"""What hangs on a contact: tags, campaigns, workflows."""

from __future__ import annotations

import itertools
import json
from collections import OrderedDict
from collections.abc import Collection, Sequence

from typing_extensions import override

from singer_http.errors import NotFound, Refused
from singer_http.exact_json import text_of
from singer_http.http.urls import segment
from singer_http.operations import (
    JSON,
    Effect,
    Operation,
    Outcome,
    OutcomeKind,
    invalid,
)
from singer_http.sink import columns as f
from singer_http.sink.base import MIRROR
from singer_http.sink.kinds import AtMostOnceSink, LinkSink
from target_reisoftware import values
from target_reisoftware.lookup import is_missing
from target_reisoftware.on_contact import OnContact, identity_of, refused

ALL = "*"
"""A delete with this campaign removes the contact from all of them."""
MOVING = 10_000
"""Names of contacts being emptied that are kept in mind: more than can be on their way at once."""


class ContactTags(OnContact, LinkSink):
    """Tags of contacts: all that are at hand for one contact go in one request."""

    stream = "contact_tags"
    identities = (
        ("contactId", "tag"), ("email", "tag"), ("phone", "tag"),
        ("contactId",), ("email",), ("phone",),
    )  # fmt: skip
    columns_read = ("tags", "tag")

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        super().prepare(record, op)
        tags = {*values.tags("tags", record.get("tags")), *_one_tag(record.get("tag"))}
        if tags:
            op.body["tags"] = sorted(tags)
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
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for delete, run in itertools.groupby(ops, key=lambda op: op.delete):
            outcomes += self._together("DELETE" if delete else "POST", list(run))
        return outcomes

    def _together(self, method: str, ops: list[Operation]) -> list[Outcome]:
        """One request for all of them; if it is refused, one for each."""
        contact = ops[0].remote_id or ""
        tags = list(dict.fromkeys(tag for op in ops for tag in op.body["tags"]))
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
        return [
            Outcome(OutcomeKind.DELETED) if op.delete else self._tagged(op, contact) for op in ops
        ]

    def _tagged(self, op: Operation, contact: str) -> Outcome:
        """What this sync put on the contact under this key, earlier tags included.

        A mirror removes those that the record does not name any more.
        """
        tags = set(op.body["tags"])
        before, _, written = (op.row.remote_id or "" if op.row else "").partition("/")
        if before == contact and written and self.config["mode"] != MIRROR:
            tags.update(json.loads(written))
        remote_id = f"{contact}/{json.dumps(sorted(tags), ensure_ascii=False)}"
        claims = tuple(tag_claim(contact, tag) for tag in sorted(tags))
        return Outcome(OutcomeKind.UPSERTED, remote_id, claims=claims)


def _one_tag(tag: object) -> list[str]:
    if f.is_null(tag):
        return []
    if not isinstance(tag, str):
        raise invalid(f"tag: {f.shortened(tag)} is not a text")
    return [tag.strip()]


def tag_claim(contact: str, tag: str) -> str:
    """A tag of a contact, as the vendor compares tags: without case."""
    return f"tag {contact}/{tag.strip().lower()}"


class ContactCampaigns(OnContact, LinkSink):
    """Campaigns of contacts; a delete with `*` removes a contact from all of them.

    A remove-all undoes what the ledger knows of the contact's campaigns: the ledger forgets it once
    it is acknowledged. One that is on its way is kept in mind here, by each name of the contact. A
    remove-all that comes again is told from a new one by its `_sdc_deleted_at`: an old one that a
    full extract brings with every run must not take away what was added since.
    """

    stream = "contact_campaigns"
    identities = (
        ("contactId", "campaignId"), ("email", "campaignId"), ("phone", "campaignId"),
    )  # fmt: skip
    columns_read = ("campaignId",)

    @override
    def setup(self) -> None:
        super().setup()
        self._emptied = self.context.shared("emptied campaigns", OrderedDict[str, None])

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        super().prepare(record, op)
        if campaign := f.identifier("campaignId", record.get("campaignId")):
            op.body["campaignId"] = campaign
        elif not op.delete:
            raise invalid("campaignId is missing")
        else:
            op.remote_id, op.body = None, {}
        if op.body.get("campaignId") == ALL:
            if not op.delete:
                raise invalid("campaignId: '*' (all of them) is for deletes only")
            op.body["at"] = text_of(record["_sdc_deleted_at"])

    @override
    def _is_named(self, op: Operation) -> bool:
        return bool(op.body.get("campaignId")) and super()._is_named(op)

    @override
    def prepare_removal(self, op: Operation) -> None:
        contact, _, campaign = (op.remote_id or "").partition("/")
        op.remote_id, op.body = contact, {"campaignId": campaign}

    @override
    def taken_away(self, op: Operation) -> Sequence[str]:
        if _is_all(op):
            return ()
        return (campaign_claim(op.remote_id or "", str(op.body.get("campaignId"))),)

    @override
    def is_current(self, op: Operation) -> bool:
        """Not if it is another remove-all, or one for this contact is on its way before it."""
        contact, _, written = (op.row.remote_id or "").partition("/") if op.row else ("", "", "")
        if _is_all(op):
            return written == f"{ALL} {op.body['at']}"  # else new, or it found no contact then
        emptied = any(name in self._emptied for name in _names(op, contact))
        return super().is_current(op) and not emptied

    @override
    def restore_id(self, op: Operation) -> None:
        written = op.row.remote_id if op.row else None
        super().restore_id(op)
        if _is_all(op):
            for name in _names(op, op.remote_id or (written or "").partition("/")[0]):
                self._emptied[name] = None
                if len(self._emptied) > MOVING:
                    self._emptied.popitem(last=False)

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        return [self._one(op, op.remote_id or "", op.body["campaignId"]) for op in ops]

    def _one(self, op: Operation, contact: str, campaign: str) -> Outcome:
        everything = op.delete and campaign == ALL
        api = self.vendor.api
        path = self.path(contact, "campaigns", api.remove_all if everything else segment(campaign))
        body = None if op.delete else api.campaign_body
        try:
            self.vendor.request("DELETE" if op.delete else "POST", path, json=body)
        except Refused as error:
            if self.contact_unknown(error, contact):
                return self.unknown(op)
            if op.delete and (isinstance(error, NotFound) or is_missing(error, "campaign")):
                return Outcome(OutcomeKind.DELETED)
            return refused(op, error)
        if everything:
            return Outcome(
                OutcomeKind.DELETED,
                f"{contact}/{ALL} {op.body['at']}",
                forgets=campaigns_of(contact),
            )
        if op.delete:
            return Outcome(OutcomeKind.DELETED)
        claims = (campaigns_of(contact), campaign_claim(contact, campaign))
        return Outcome(OutcomeKind.UPSERTED, f"{contact}/{campaign}", claims=claims)


def campaigns_of(contact: str) -> str:
    """All campaigns of a contact."""
    return f"campaigns {contact}"


def campaign_claim(contact: str, campaign: str) -> str:
    """A campaign of a contact."""
    return f"campaign {contact}/{campaign}"


def _is_all(op: Operation) -> bool:
    return op.body.get("campaignId") == ALL


def _names(op: Operation, contact: str) -> list[str]:
    """What the contact goes by: its id if that is known, its email and phone."""
    known = str(op.body.get("contactId") or contact)
    return [*filter(None, (f"id {known}" if known else "", *identity_of(op).folded))]


class ContactWorkflows(OnContact, AtMostOnceSink):
    """Contacts into workflows: once and only once."""

    stream = "contact_workflows"
    has_lookup = True
    identities = (
        ("contactId", "workflowId"), ("email", "workflowId"), ("phone", "workflowId"),
    )  # fmt: skip
    columns_read = ("workflowId", "eventStartTime")

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        super().prepare(record, op)
        workflow = f.identifier("workflowId", record.get("workflowId"))
        if workflow is None:
            raise invalid("workflowId is missing")
        op.body["workflowId"] = workflow
        if not f.is_null(start := record.get("eventStartTime")):
            op.body["eventStartTime"] = values.start_time(start)

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        (op,) = ops
        try:
            return super().send(ops)
        except Refused as error:
            if error.nothing_was_done and self.contact_unknown(error, op.remote_id or ""):
                return [self.unknown(op)]
            return [refused(op, error)]

    @override
    def perform(self, op: Operation) -> str | None:
        start = op.body.get("eventStartTime")
        self.vendor.request(
            "POST",
            self.path(op.remote_id or "", "workflow", segment(op.body["workflowId"])),
            json={"eventStartTime": start} if start else {},
            effect=Effect.AT_MOST_ONCE,
        )
        return op.remote_id
