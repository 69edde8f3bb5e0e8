"""What hangs on a contact: campaigns, workflows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

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
from singer_http.sink.kinds import AtMostOnceSink, LinkSink
from target_reisoftware import values
from target_reisoftware.lookup import is_missing
from target_reisoftware.on_contact import OnContact, identity_of, refused

ALL = "*"
"""A delete with this campaign removes the contact from all of them."""
MOVING = 10_000
"""Names of contacts being emptied that are kept in mind: more than can be on their way at once."""


class ContactCampaigns(OnContact, LinkSink):
    """Campaigns of contacts; a delete with `*` removes a contact from all of them.

    A remove-all undoes what the ledger knows of the contact's campaigns: the ledger forgets it once
    it is acknowledged. One that is on its way is kept in mind here, by each name of the contact. A
    remove-all that comes again is told from a new one by its `_sdc_deleted_at`: an old one that a
    full extract brings with every run must not take away what was added since.
    """

    stream = "contact_campaigns"
    reaches_people = True
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
    reaches_people = True
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
