"""REI Software: a white label of HighLevel's API v1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from typing_extensions import override

from singer_sandbox.messages import Match, Refusal, Reply, Request, reply, reply_bytes
from singer_sandbox.reisoftware_account import Contact, ReiAccount, e164, new_id
from singer_sandbox.reisoftware_checks import (
    READ_ONLY,
    Problems,
    contact_problems,
    is_moment,
    is_texts,
)
from singer_sandbox.reisoftware_pages import SORTS, render_page
from singer_sandbox.vendor import Row, Vendor

DAY_LIMIT = 200_000
EMPTY_TEXT = b'""'


class ReiSoftware(Vendor[ReiAccount]):
    """https://rest.reisoftware.com/v1"""

    name = "rei"
    prefix = "rei"
    account_type = ReiAccount
    credential_fields = ("api_key",)
    default_credentials = ("sandbox-rei-key",)
    choices: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "lookup_missing": ("404", "empty", "absent", "422"),
        "error_form": ("map", "statusCode", "statusCode_list"),
        "allow_duplicates_error": (False, True),
        "create_makes_duplicates": (False, True),
        "update_requires_identity": (True, False),
        "appointments_form": ("empty-object-when-none", "appointments", "events"),
        "date_updated_cursor": ("ok", "unsorted", "stuck"),
        "unknown_contact_status": (404, 400, 422),
        "unknown_target_status": (404, 422),
        "tags_lowercase": (False, True),
    }

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
    def who(self, request: Request, match: Match) -> ReiAccount | None:
        """The location of a bearer key."""
        scheme, _, key = request.header(b"authorization").partition(" ")
        return self.credentials.get((key,)) if scheme.lower() == "bearer" else None

    @override
    def unauthorized(self) -> Reply:
        """401 in the vendor's form."""
        return reply(401, {"msg": "Api key is invalid."})

    @override
    def handle(self, request: Request, match: Match | None) -> Reply:
        """Every answer carries the rate headers."""
        answer = super().handle(request, match)
        limit = self.options["rate_limit"]
        most, seconds = (limit[0] if isinstance(limit[0], list) else limit) if limit else (100, 10)
        used = 0
        if limit and match is not None and (account := self.who(request, match)) is not None:
            used = len(account.arrivals)
        answer.headers += (
            (b"x-ratelimit-max", b"%d" % most),
            (b"x-ratelimit-remaining", b"%d" % max(0, most - used)),
            (b"x-ratelimit-interval-milliseconds", b"%d" % int(seconds * 1000)),
            (b"x-ratelimit-limit-daily", b"%d" % DAY_LIMIT),
            (b"x-ratelimit-daily-remaining", b"%d" % (DAY_LIMIT - used)),
        )
        return answer

    @override
    def error(self, status: int, text: str) -> Reply:
        """The forms seen: `msg`, or `statusCode` and `message`."""
        if self.options["error_form"] == "map":
            return reply(status, {"msg": text})
        return self.coded(status, text)

    def coded(self, status: int, text: str) -> Reply:
        """The `statusCode` form, its message a text or a list."""
        names = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
        message = [text] if self.options["error_form"] == "statusCode_list" else text
        error = names.get(status, "Unprocessable Entity" if status == 422 else "Error")
        return reply(status, {"statusCode": status, "message": message, "error": error})

    def invalid(self, problems: Problems) -> Reply:
        """422: a map of field to message and rule, or the other form."""
        if self.options["error_form"] == "map":
            body = {k: {"message": text, "rule": rule} for k, (text, rule) in problems.items()}
            return reply(422, body)
        return self.coded(422, "; ".join(text for text, _ in problems.values()))

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

    # Reading

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
        found = account.by_email(email) if email.strip() else []
        # A plus that was not percent-encoded arrives as a space, and finds nobody.
        if not found and phone and not phone.startswith(" "):
            found = account.by_phone(phone)
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

    # Writing

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
            account.counters["contacts_created"] += 1
            account.entries["creations"].append({"id": found.id, "email": fields.get("email")})
        else:
            account.counters["contacts_upserted"] += 1
        account.write(found, fields, custom, account.now())
        self.learn_tags(account, fields.get("tags") or [])
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
        account.write(found, fields, custom, account.now())
        account.counters["contacts_updated"] += 1
        self.learn_tags(account, fields.get("tags") or [])
        return reply(200, {"contact": found.full(account.location)})

    def delete(self, account: ReiAccount, _request: Request, contact: str) -> Reply:
        """DELETE contacts/{id}: no body."""
        account.delete(self.contact(account, contact))
        account.counters["contacts_deleted"] += 1
        return Reply(200)

    def add_tags(self, account: ReiAccount, request: Request, contact: str) -> Reply:
        """POST contacts/{id}/tags"""
        found = self.contact(account, contact)
        tags = self.tags_body(request)
        old = found.fields.get("tags") or []
        found.fields["tags"] = [*old, *(tag for tag in dict.fromkeys(tags) if tag not in old)]
        self.learn_tags(account, tags)
        account.touch(found)
        account.counters["tags_added"] += 1
        return reply(200, {"tags": found.fields["tags"]})

    def delete_tags(self, account: ReiAccount, request: Request, contact: str) -> Reply:
        """DELETE contacts/{id}/tags, with a body."""
        found = self.contact(account, contact)
        tags = self.tags_body(request)
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

    def contact(self, account: ReiAccount, contact: str) -> Contact:
        """The contact of an id, or the refusal."""
        found = account.contacts.get(contact)
        if found is None:
            status = self.options["unknown_contact_status"]
            if status == 422:
                problem = ("The contact id is invalid.", "invalid")
                raise Refusal(self.invalid({"contactId": problem}))
            raise Refusal(self.error(status, "Contact not found."))
        return found

    def known(self, account: ReiAccount, table: str, key: str) -> None:
        """Refuse a campaign or workflow that is not there."""
        if key not in account.rows[table]:
            kind = table.removesuffix("s")
            if self.options["unknown_target_status"] == 422:
                problem = (f"The {kind} id is invalid.", "invalid")
                raise Refusal(self.invalid({f"{kind}Id": problem}))
            raise Refusal(self.error(404, f"{kind.title()} not found."))

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

    def learn_tags(self, account: ReiAccount, tags: Sequence[str]) -> None:
        """A tag that is new on a contact is new in the location."""
        rows = account.rows["tags"]
        if not tags or {row["name"] for row in rows.values()}.issuperset(tags):
            return
        names = {row["name"] for row in rows.values()}
        for tag in tags:
            if tag not in names:
                account.put("tags", {"name": tag, "locationId": account.location})

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
