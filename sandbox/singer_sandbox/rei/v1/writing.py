"""POST, PUT, DELETE: contacts, and what is linked to them."""

from __future__ import annotations

from abc import ABC

from singer_sandbox.account import Row
from singer_sandbox.messages import Refusal, Reply, Request, reply, reply_bytes
from singer_sandbox.rei.account import Contact, ReiAccount, e164, new_id
from singer_sandbox.rei.base import ReiBase
from singer_sandbox.rei.v1.checks import READ_ONLY, contact_problems, is_moment, is_texts

EMPTY_TEXT = b'""'


class Writing(ReiBase, ABC):
    """What changes something."""

    def create(self, account: ReiAccount, request: Request) -> Reply:
        """POST contacts: an upsert by email, else phone, on most accounts."""
        fields, custom = self.contact_body(account, request, identified=True)
        found: Contact | None = None
        field = ""
        if not self.options["create_makes_duplicates"]:
            found, field = _same(account, fields)
        if found is not None and self.options["allow_duplicates_error"]:
            raise Refusal(self.duplicate(found, field))
        if found is None:
            found = account.add(new_id(), account.now())
            account.note_contact(found, self.options, new=True)
            account.counters["contacts_created"] += 1
            account.entries["creations"].append({"id": found.id, "email": fields.get("email")})
        else:
            account.note_contact(found, self.options)
            account.counters["contacts_upserted"] += 1
        account.write(found, fields, custom, account.now())
        account.learn_tags(fields.get("tags") or [])
        return reply(200, {"contact": found.full(account.location)})

    def update(self, account: ReiAccount, request: Request, contact: str) -> Reply:
        """PUT contacts/{id}: changes what is sent; `tags` replaces all tags."""
        found = self.contact(account, contact)
        needed = bool(self.options["update_requires_identity"])
        fields, custom = self.contact_body(account, request, identified=needed)
        if not self.options["create_makes_duplicates"]:
            for other in account.by_email(str(fields.get("email") or "")):
                if other.id != found.id:
                    return self.duplicate(other, "email")
        account.note_contact(found, self.options)
        account.write(found, fields, custom, account.now())
        account.counters["contacts_updated"] += 1
        account.learn_tags(fields.get("tags") or [])
        return reply(200, {"contact": found.full(account.location)})

    def delete(self, account: ReiAccount, _request: Request, contact: str) -> Reply:
        """DELETE contacts/{id}: no body."""
        found = self.contact(account, contact)
        account.note_contact(found, self.options)
        account.delete(found)
        account.counters["contacts_deleted"] += 1
        return Reply(200)

    def add_tags(self, account: ReiAccount, request: Request, contact: str) -> Reply:
        """POST contacts/{id}/tags"""
        found = self.contact(account, contact)
        tags = self.tags_body(request)
        account.note_contact(found, self.options)
        old = found.fields.get("tags") or []
        found.fields["tags"] = [*old, *(tag for tag in dict.fromkeys(tags) if tag not in old)]
        account.learn_tags(tags)
        account.touch(found)
        account.counters["tags_added"] += 1
        return reply(200, {"tags": found.fields["tags"]})

    def delete_tags(self, account: ReiAccount, request: Request, contact: str) -> Reply:
        """DELETE contacts/{id}/tags, with a body."""
        found = self.contact(account, contact)
        tags = self.tags_body(request)
        account.note_contact(found, self.options)
        found.fields["tags"] = [t for t in found.fields.get("tags") or [] if t not in tags]
        account.touch(found)
        account.counters["tags_deleted"] += 1
        return reply(200, {"tags": found.fields["tags"]})

    def add_campaign(
        self, account: ReiAccount, _request: Request, contact: str, campaign: str
    ) -> Reply:
        """POST contacts/{id}/campaigns/{campaign}"""
        found = self.contact(account, contact)
        self.known(account, "campaigns", campaign)
        mine = account.campaigns_of.setdefault(found.id, [])
        if campaign not in mine:
            mine.append(campaign)
        self.note_campaign(account, "add", found, campaign)
        return reply_bytes(200, EMPTY_TEXT)

    def remove_campaign(
        self, account: ReiAccount, _request: Request, contact: str, campaign: str
    ) -> Reply:
        """DELETE contacts/{id}/campaigns/{campaign}"""
        found = self.contact(account, contact)
        self.known(account, "campaigns", campaign)
        mine = account.campaigns_of.get(found.id, [])
        if campaign in mine:
            mine.remove(campaign)
        self.note_campaign(account, "remove", found, campaign)
        return reply_bytes(200, EMPTY_TEXT)

    def remove_all_campaigns(self, account: ReiAccount, _request: Request, contact: str) -> Reply:
        """DELETE contacts/{id}/campaigns/remove-all"""
        found = self.contact(account, contact)
        account.campaigns_of.pop(found.id, None)
        self.note_campaign(account, "remove-all", found, None)
        return reply_bytes(200, EMPTY_TEXT)

    def note_campaign(
        self, account: ReiAccount, action: str, contact: Contact, campaign: str | None
    ) -> None:
        """Append to the list of what was carried out."""
        entry = {"action": action, "contactId": contact.id, "campaignId": campaign}
        account.entries["campaign_entries"].append({**entry, "at": account.now()})

    def add_workflow(
        self, account: ReiAccount, request: Request, contact: str, workflow: str
    ) -> Reply:
        """POST contacts/{id}/workflow/{workflow}: queued, and again each time."""
        found = self.contact(account, contact)
        self.known(account, "workflows", workflow)
        body = request.json or {}
        start = body.get("eventStartTime") if isinstance(body, dict) else None
        if start is not None and not is_moment(start):
            text = "The eventStartTime must be a date with an offset."
            return self.invalid({"eventStartTime": (text, "date")})
        entry = {"contactId": found.id, "workflowId": workflow, "eventStartTime": start}
        account.entries["workflow_entries"].append({**entry, "at": account.now()})
        return reply_bytes(200, EMPTY_TEXT)

    # Help

    def contact_body(
        self, account: ReiAccount, request: Request, *, identified: bool
    ) -> tuple[Row, Row]:
        """Fields and custom values of a contact to be written, checked."""
        body = request.json
        if not isinstance(body, dict):
            raise Refusal(self.coded(400, "The body must be a JSON object."))
        problems = contact_problems(body, account.rows["custom_fields"], identified=identified)
        if problems:
            account.counters["contacts_refused"] += 1
            raise Refusal(self.invalid(problems))
        fields = {k: v for k, v in body.items() if k not in READ_ONLY and k != "customField"}
        if fields.get("phone"):
            fields["phone"] = e164(fields["phone"])
        if fields.get("tags"):
            fields["tags"] = list(dict.fromkeys(self.cased(fields["tags"])))
        return fields, body.get("customField") or {}

    def tags_body(self, request: Request) -> list[str]:
        """The tags of a body, checked."""
        body = request.json
        tags = body.get("tags") if isinstance(body, dict) else None
        if not is_texts(tags) or not tags:
            raise Refusal(self.invalid({"tags": ("The tags field is required.", "required")}))
        return self.cased(tags)

    def cased(self, tags: list[str]) -> list[str]:
        """Tags in the case that the account keeps."""
        return [tag.lower() for tag in tags] if self.options["tags_lowercase"] else tags

    @staticmethod
    def duplicate(found: Contact, field: str) -> Reply:
        """400 of an account that forbids duplicates."""
        text = "This location does not allow duplicated contacts."
        meta = {"contactId": found.id, "matchingField": field}
        return reply(400, {"message": text, "meta": meta})


def _same(account: ReiAccount, fields: Row) -> tuple[Contact | None, str]:
    """The contact with the same email, else the same phone, and which of them it was."""
    if fields.get("email") and (found := account.by_email(fields["email"])):
        return found[0], "email"
    if fields.get("phone") and (found := account.by_phone(fields["phone"])):
        return found[0], "phone"
    return None, ""
