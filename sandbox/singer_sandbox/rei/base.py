"""What all of REI Software's addresses share: the key, the options, the forms of a refusal."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from singer_sandbox.messages import Match, Refusal, Reply, Request, reply
from singer_sandbox.rei.account import Contact, ReiAccount
from singer_sandbox.rei.v2.service import CHOICES, DEFAULTS
from singer_sandbox.vendor import Vendor

DAY_LIMIT = 200_000

Problems = dict[str, tuple[str, str]]
"""Field → message and rule."""


class ReiBase(Vendor[ReiAccount], ABC):
    """https://rest.reisoftware.com/v1"""

    name = "rei"
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
        **CHOICES,
    }
    defaults = DEFAULTS

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
        account = self.who(request, match) if match is not None else None
        limit = self.limit_of(account)
        most, seconds = (limit[0] if isinstance(limit[0], list) else limit) if limit else (100, 10)
        used = len(account.arrivals) if limit and account is not None else 0
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
