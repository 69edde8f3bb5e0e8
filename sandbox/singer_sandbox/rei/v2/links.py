"""Campaigns and workflows of a contact."""

from __future__ import annotations

from singer_sandbox.rei.account import Contact
from singer_sandbox.rei.v2.bodies import moment, unknown_keys
from singer_sandbox.rei.v2.call import Answer, Call
from singer_sandbox.rei.v2.errors import invalid, no_route


def add_campaign(call: Call, contact: str, campaign: str) -> Answer:
    """POST contacts/{id}/campaigns/{campaign}"""
    found = call.contact(contact)
    call.known("campaigns", campaign)
    _no_body(call)
    mine = call.account.campaigns_of.setdefault(found.id, [])
    if campaign not in mine:
        mine.append(campaign)
    _note_campaign(call, "add", found, campaign)
    return 201, {}


def remove_campaign(call: Call, contact: str, campaign: str) -> Answer:
    """DELETE contacts/{id}/campaigns/{campaign}"""
    found = call.contact(contact)
    call.known("campaigns", campaign)
    mine = call.account.campaigns_of.get(found.id, [])
    if campaign in mine:
        mine.remove(campaign)
    _note_campaign(call, "remove", found, campaign)
    return 200, {}


def remove_all_campaigns(call: Call, contact: str) -> Answer:
    """DELETE contacts/{id}/campaigns/removeAll; version v3 writes it remove-all."""
    if call.request.path.rstrip("/").endswith("remove-all") and call.version != "v3":
        raise no_route(call.request)
    found = call.contact(contact)
    call.account.campaigns_of.pop(found.id, None)
    _note_campaign(call, "remove-all", found, None)
    return 200, {}


def add_workflow(call: Call, contact: str, workflow: str) -> Answer:
    """POST contacts/{id}/workflow/{workflow}: again each time; into a draft, nothing happens."""
    found = call.contact(contact)
    row = call.known("workflows", workflow)
    body = call.body
    problems = unknown_keys(body, frozenset({"eventStartTime"}))
    start = body.get("eventStartTime")
    if start is not None and not moment(start):
        problems.append("eventStartTime must be a valid ISO 8601 date string")
    if problems:
        raise invalid(*problems)
    entry = {"contactId": found.id, "workflowId": workflow, "eventStartTime": start}
    if row.get("status") != "draft":
        call.account.entries["workflow_entries"].append({**entry, "at": call.account.now()})
    return call.options["workflow_status"], {}


def remove_workflow(call: Call, contact: str, workflow: str) -> Answer:
    """DELETE contacts/{id}/workflow/{workflow}, with or without a body."""
    found = call.contact(contact)
    call.known("workflows", workflow)
    entry = {"contactId": found.id, "workflowId": workflow, "at": call.account.now()}
    call.account.entries["workflow_removals"].append(entry)
    return 200, {}


def _no_body(call: Call) -> None:
    """Refuse anything but an empty object."""
    if problems := unknown_keys(call.body, frozenset()):
        raise invalid(*problems)


def _note_campaign(call: Call, action: str, contact: Contact, campaign: str | None) -> None:
    entry = {"action": action, "contactId": contact.id, "campaignId": campaign}
    call.account.entries["campaign_entries"].append({**entry, "at": call.account.now()})
