"""The account's contacts by email and phone, on disk: which of them a record is about."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from reisoftware_api.times import milliseconds
from singer_http.exact_json import decode, encode, text_of
from singer_http.identity import fold_email, fold_phone
from singer_http.operations import JSON
from target_reisoftware.matching import Identity, own_identity, several


class Found(NamedTuple):
    """What an index says about a record."""

    contact: str | None
    """Its id; None if no contact has the email or the phone."""
    certain: bool = True
    """False: there is a contact that it may not be, so the vendor has to be asked."""


NOBODY = Found(None)
ASK = Found(None, certain=False)


CONTACTS = """CREATE TABLE contacts (
    id TEXT PRIMARY KEY, email, phone, at INTEGER, own_email TEXT, own_phone TEXT, row BLOB
)"""


class ContactIndex:
    """Emails and phones are looked up by hashes of what is compared. One thread at a time."""

    def __init__(self, *, keep: bool = False) -> None:
        """Begin with no contacts.

        Args:
            keep: the rows of the list too (see `row`).
        """
        self._keep = keep
        self.size = 0
        """Contacts that were added."""
        # A temporary database without a name: on disk once it is large, gone when it is closed.
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        for statement in (
            CONTACTS,
            "CREATE INDEX by_email ON contacts (email)",
            "CREATE INDEX by_phone ON contacts (phone)",
            # A contact of API v2 can have further emails and phones.
            "CREATE TABLE others (name INTEGER, id TEXT, PRIMARY KEY (name, id)) WITHOUT ROWID",
            "CREATE INDEX others_of ON others (id)",
        ):
            self._database.execute(statement)

    def put(self, contacts: Iterable[JSON], *, written: bool = False) -> None:
        """Add contacts as the vendor shows them, or replace what was known of them.

        A row that is older than what is known is left out: a list can lag behind a write.

        Args:
            contacts: rows of the list, or the answers to writes.
            written: they are answers, which may not show all that a row shows.
        """
        keep = self._keep and not written
        rows, others = [], []
        for contact in contacts:
            if not contact.get("id"):
                continue
            id_ = text_of(contact["id"])
            email, phone = email_name(contact.get("email")), phone_name(contact.get("phone"))
            # One that does not say when it changed is as it is now.
            at = milliseconds(contact.get("dateUpdated")) or round(time.time() * 1000)
            row = encode(contact) if keep else None
            rows.append((id_, email, phone, at, *own_identity(contact), row))
            others += [(name, id_) for name in _other_names(contact) if name not in (email, phone)]
        self._database.execute("BEGIN")
        self._database.executemany("DELETE FROM others WHERE id = ?", [row[:1] for row in rows])
        self._database.executemany(
            "INSERT INTO contacts VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " email = excluded.email, phone = excluded.phone, at = excluded.at,"
            " own_email = excluded.own_email, own_phone = excluded.own_phone,"
            " row = excluded.row"
            " WHERE excluded.at >= contacts.at",
            rows,
        )
        self._database.executemany("INSERT OR IGNORE INTO others VALUES (?, ?)", others)
        self._database.execute("COMMIT")
        self.size += len(rows)

    def drop(self, contact: str) -> None:
        """Forget a contact that was deleted."""
        self._database.execute("DELETE FROM contacts WHERE id = ?", (contact,))
        self._database.execute("DELETE FROM others WHERE id = ?", (contact,))

    def find(self, identity: Identity) -> Found:
        """The contact with this email, else with this phone.

        Raises:
            Rejection: several contacts have it.
        """
        email, phone = email_name(identity.email), phone_name(identity.phone)
        same = self._rows("email", email)
        if same:
            return _only("email", [id_ for id_, _ in same])
        if self._is_another(email):
            return ASK
        same = self._rows("phone", phone)
        if not same:
            return ASK if self._is_another(phone) else NOBODY
        if email is not None and any(own not in (None, email) for _, own in same):
            return ASK  # another contact with the same phone
        return _only("phone", [id_ for id_, _ in same])

    def row(self, contact: str) -> JSON | None:
        """A contact's row of the list, where it is kept and nothing was written since."""
        found = self._database.execute("SELECT row FROM contacts WHERE id = ?", (contact,))
        (row,) = found.fetchone() or (None,)
        return dict(decode(row)) if row else None

    def identity(self, contact: str) -> Identity | None:
        """The email and the phone of a contact."""
        row = self._database.execute(
            "SELECT own_email, own_phone FROM contacts WHERE id = ?", (contact,)
        ).fetchone()
        return Identity(*row) if row else None

    def _rows(self, column: str, name: int | None) -> list[tuple[str, int | None]]:
        if name is None:
            return []
        return self._database.execute(
            f"SELECT id, email FROM contacts WHERE {column} = ? ORDER BY id LIMIT 6",  # noqa: S608
            (name,),
        ).fetchall()

    def _is_another(self, name: int | None) -> bool:
        """Whether it is a further email or phone of a contact."""
        if name is None:
            return False
        found = self._database.execute("SELECT 1 FROM others WHERE name = ?", (name,))
        return found.fetchone() is not None

    def close(self) -> None:
        """Free the disk."""
        self._database.close()


def _only(what: str, ids: list[str]) -> Found:
    if len(ids) > 1:
        raise several(what, ids)
    return Found(ids[0])


def _other_names(contact: JSON) -> list[int]:
    emails = [email_name(text) for text in texts_of(contact.get("additionalEmails"), "email")]
    phones = [phone_name(text) for text in texts_of(contact.get("additionalPhones"), "phone")]
    return [name for name in (*emails, *phones) if name is not None]


def texts_of(items: Any, member: str) -> list[Any]:
    """Texts, or objects that hold one."""
    if not isinstance(items, list):
        return []
    return [item.get(member) if isinstance(item, dict) else item for item in items]


def email_name(value: Any) -> int | None:
    """A hash of an email as it is compared."""
    return _hash("email", fold_email(value))


def phone_name(value: Any) -> int | None:
    """A hash of a phone as it is compared."""
    return _hash("phone", fold_phone(value))


def _hash(kind: str, folded: str) -> int | None:
    if not folded:
        return None
    digest = hashlib.blake2b(f"{kind} {folded}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
