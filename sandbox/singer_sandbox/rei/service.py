"""REI Software: a white label of HighLevel's API v1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from singer_sandbox.messages import Match, Request
from singer_sandbox.rei.account import ReiAccount
from singer_sandbox.rei.seed import fill, seed
from singer_sandbox.rei.v1.reading import Reading
from singer_sandbox.rei.v1.writing import Writing
from singer_sandbox.vendor import number_of


class ReiSoftware(Reading, Writing):
    """https://rest.reisoftware.com/v1"""

    @override
    def routes(self) -> None:
        """The addresses of the vendor's page, and the four lists seen elsewhere."""
        add = self.router.add
        add("GET", "/v1/contacts", self.list_contacts)
        add("POST", "/v1/contacts", self.create)
        add("GET", "/v1/contacts/lookup", self.lookup)
        add("GET", "/v1/contacts/{id}", self.get)
        add("PUT", "/v1/contacts/{id}", self.update)
        add("DELETE", "/v1/contacts/{id}", self.delete)
        add("GET", "/v1/contacts/{id}/appointments", self.appointments)
        add("POST", "/v1/contacts/{id}/tags", self.add_tags)
        add("DELETE", "/v1/contacts/{id}/tags", self.delete_tags)
        add("DELETE", "/v1/contacts/{id}/campaigns/remove-all", self.remove_all_campaigns)
        add("POST", "/v1/contacts/{id}/campaigns/{campaign}", self.add_campaign)
        add("DELETE", "/v1/contacts/{id}/campaigns/{campaign}", self.remove_campaign)
        add("POST", "/v1/contacts/{id}/workflow/{workflow}", self.add_workflow)
        add("GET", "/v1/custom-fields", self.custom_fields)
        add("GET", "/v1/tags", self.tags)
        add("GET", "/v1/campaigns", self.campaigns)
        add("GET", "/v1/workflows", self.workflows)

    @override
    def seed(self, account: ReiAccount) -> None:
        """A small location."""
        seed(account)

    @override
    def fill(self, account: ReiAccount, counts: Mapping[str, Any]) -> None:
        """`{"contacts": n, "same_ms": k}`: k contacts in each millisecond."""
        fill(account, number_of(counts, "contacts", "same_ms"), int(counts.get("same_ms", 1)))

    @override
    def identities(self, request: Request, match: Match) -> Sequence[str]:
        """The contact by id, or by email, else by phone."""
        if match.params:
            return (f"id:{match.params[0]}",)
        if match.template == "/v1/contacts/lookup":
            source: Any = request.params
        elif request.method == "POST":
            source = request.json_or_none
        else:
            return ()
        if not isinstance(source, dict):
            return ()
        if source.get("email"):
            return (f"email:{str(source['email']).strip().lower()}",)
        return (f"phone:{source['phone']}",) if source.get("phone") else ()
