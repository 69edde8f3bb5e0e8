"""One call that was let in: what its handler has to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from singer_sandbox.account import Row
from singer_sandbox.messages import Request
from singer_sandbox.rei.account import Contact, ReiAccount
from singer_sandbox.rei.v2.access import Token
from singer_sandbox.rei.v2.errors import foreign, refusal

Answer = tuple[int, Row]
"""Status and body, to which a trace id is added."""


class Call:
    """The account, the request, the version that it asks for, the options."""

    def __init__(
        self,
        token: Token,
        request: Request,
        version: str,
        options: Mapping[str, Any],
        elsewhere: Callable[[str], bool],
    ) -> None:
        self.token = token
        self.account: ReiAccount = token.account
        self.request = request
        self.version = version
        self.options = options
        self.elsewhere = elsewhere
        """Whether a contact id is another location's."""

    @property
    def body(self) -> Row:
        """The body, a JSON object; none is an empty one."""
        body = self.request.json
        if body is None:
            return {}
        if not isinstance(body, dict):
            raise refusal(400, "The body must be a JSON object")
        return body

    def contact(self, contact: str) -> Contact:
        """The contact of an id, or the refusal."""
        found = self.account.contacts.get(contact)
        if found is not None:
            return found
        if self.elsewhere(contact):
            raise foreign()
        gone = contact in self.account.deleted
        raise self.missing("Contact is deleted" if gone else "Contact not found", "contact")

    def known(self, table: str, key: str) -> Row:
        """The campaign or workflow of an id, or the refusal."""
        row = self.account.rows[table].get(key)
        if row is None:
            raise self.missing(f"{table.removesuffix('s').title()} not found", "target")
        return row

    def missing(self, text: str, what: str) -> Exception:
        """The refusal for what is not there, with the status that the options say."""
        status = self.options[f"unknown_{what}_status"]
        return refusal(status, [text] if status == 422 else text)

    def note(self, contact: Contact, *, new: bool = False) -> None:
        """Remember a contact as it is before a write."""
        self.account.note_contact(contact, self.options, new=new)
