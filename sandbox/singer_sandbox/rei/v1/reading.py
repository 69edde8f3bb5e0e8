"""GET: contacts in pages, one of them, a lookup, and the location's lists."""

from __future__ import annotations

from abc import ABC

from singer_sandbox.messages import Reply, Request, reply, reply_bytes
from singer_sandbox.rei.account import ReiAccount
from singer_sandbox.rei.base import ReiBase
from singer_sandbox.rei.v1.checks import contact_problems
from singer_sandbox.rei.v1.pages import SORTS, render_page


class Reading(ReiBase, ABC):
    """What changes nothing."""

    def list_contacts(self, account: ReiAccount, request: Request) -> Reply:
        """GET contacts; a page is rendered once until something changes."""
        page = account.pages.get(request.query)
        if page is None:
            params = request.params
            if params.get("sortBy", "date_added") not in SORTS:
                return self.invalid({"sortBy": ("The sortBy is invalid.", "in")})
            if params.get("order", "desc") not in ("asc", "desc"):
                return self.invalid({"order": ("The order is invalid.", "in")})
            limit = self.page_size(params.get("limit"), 20, 100)
            quirk = self.options["date_updated_cursor"]
            page = account.pages[request.query] = render_page(account, params, limit, quirk)
        return reply_bytes(200, page)

    def lookup(self, account: ReiAccount, request: Request) -> Reply:
        """GET contacts/lookup: by email, else by phone."""
        email, phone = request.params.get("email", ""), request.params.get("phone", "")
        if not email.strip() and not phone.strip():
            return self.missing_both()
        # A plus that was not percent-encoded arrives as a space, and finds nobody.
        phone = "" if phone.startswith(" ") else phone
        found = account.found(email, phone, self.options["lookup_lag"])
        if found:
            return reply(200, {"contacts": [c.full(account.location) for c in found]})
        form = self.options["lookup_missing"]
        if form == "empty":
            return reply(200, {"contacts": []})
        if form == "absent":
            return reply(200, {})
        if form == "422":
            # Told from other refusals only by its keys, so it has the map form always.
            fields = ("email", "phone")
            return reply(
                422, {f: {"message": f"The {f} is invalid.", "rule": "invalid"} for f in fields}
            )
        return self.error(404, "Contact not found.")

    def missing_both(self) -> Reply:
        """422 about email and phone."""
        return self.invalid(contact_problems({}, {}, identified=True))

    def get(self, account: ReiAccount, _request: Request, contact: str) -> Reply:
        """GET contacts/{id}"""
        found = self.contact(account, contact)
        return reply(200, {"contact": found.full(account.location)})

    def appointments(self, account: ReiAccount, _request: Request, contact: str) -> Reply:
        """GET contacts/{id}/appointments: three envelopes."""
        found = self.contact(account, contact)
        rows = [r for r in account.rows["appointments"].values() if r["contactId"] == found.id]
        form = self.options["appointments_form"]
        if form == "events":
            return reply(200, {"events": rows})
        return reply(200, {} if form != "appointments" and not rows else {"appointments": rows})

    def custom_fields(self, account: ReiAccount, _request: Request) -> Reply:
        """GET custom-fields"""
        return reply(200, {"customFields": list(account.rows["custom_fields"].values())})

    def tags(self, account: ReiAccount, _request: Request) -> Reply:
        """GET tags"""
        return reply(200, {"tags": list(account.rows["tags"].values())})

    def campaigns(self, account: ReiAccount, _request: Request) -> Reply:
        """GET campaigns"""
        return reply(200, {"campaigns": list(account.rows["campaigns"].values())})

    def workflows(self, account: ReiAccount, _request: Request) -> Reply:
        """GET workflows"""
        return reply(200, {"workflows": list(account.rows["workflows"].values())})
