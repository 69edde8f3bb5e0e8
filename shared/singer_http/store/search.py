"""Which keys a text may mean: a key, an email, a phone, an id at the vendor.

The ledger holds hashes of what is personal: a text is hashed in each form that it may have.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from singer_http.exact_json import decode, text_of
from singer_http.identity import fold_email, fold_phone
from singer_http.store.database import Database
from singer_http.store.ledger import Ledger
from singer_http.store.tables import claims, contains, delivered, pending, rejects, scopes

MOST = 10_000
"""Keys that one name finds, at most."""
FORMS = 500
"""Forms of a key of several columns, at most."""
FEWEST_DIGITS = 7
"""Of a phone that is looked for in the text of rejects: a shorter number is anything."""
BETWEEN_DIGITS = rb"(?:\\u[0-9a-fA-F]{4}|[^0-9])*"
"""In JSON, where a blank may be escaped."""
PAGE = 2_000
"""Rejects that are read together."""

KEY, VENDOR_ID, PART = "key", "id at the vendor", "key's part"

Found = dict[int, dict[str, str]]
"""Scope -> stored key -> what the text is of it."""


class Place(NamedTuple):
    """Whose rows: a scope of the database."""

    id: int
    account: str
    """With the server."""
    sync: str
    stream: str


class About(NamedTuple):
    """A request that is about to leave."""

    at: float
    """Epoch seconds."""
    effect: str


class Search:
    """Looks for a text in ledger, rejects and pending requests; only reads."""

    def __init__(self, database: Database, text: str, region: str | None) -> None:
        """Work out the forms that the text may have.

        Args:
            database: an open one.
            text: as a person typed it.
            region: ISO country of national phone numbers.
        """
        self._query = database.query
        self._sqlite = database.sqlite
        self._region = region
        self._text = text.strip()
        ledger = Ledger(database, database.commit)
        self._email = fold_email(text) if "@" in text else ""
        self._phone = fold_phone(text, region)
        self._name = "email" if self._email else "phone, or a part of its key"
        self._forms = _forms(self._text, self._email, self._phone)
        keys = [text, *self._forms, *_composite(self._text, region)]
        self._keys = {ledger.stored_key(key, personal=p) for key in keys for p in (False, True)}
        if self._text.startswith("#"):
            self._keys.add(self._text)  # as it is stored
        self._names = [ledger.names([form]) for form in self._forms]
        self._claims = [ledger.hashed(form) for form in (self._email, self._phone) if form]
        self._in_records = self._pattern()
        self.pending: dict[tuple[int, str], list[About]] = {}
        """Scope and stored key -> what is about to be sent, after `find`."""

    def places(self) -> list[Place]:
        """All scopes of the database."""
        columns = [scopes.c[name] for name in Place._fields]
        return [Place(*row) for row in self._query(sa.select(*columns).order_by(scopes.c.id))]

    def find(self) -> Found:
        """The keys that the text may mean, in all scopes of the database."""
        found: Found = {}
        ids = [row.id for row in self._query(sa.select(scopes.c.id))]
        rows = itertools.chain(
            self._by_key(ids),
            self._by_vendor_id(ids),
            self._by_claim(ids),
            self._by_name(),
            self._in_rejects(),
            self._in_pending(),
        )
        for scope, key, how in rows:
            found.setdefault(scope, {}).setdefault(key, how)
        return found

    # --- the ledger ---------------------------------------------------------------------------

    def _by_key(self, ids: Sequence[int]) -> Iterator[tuple[int, str, str]]:
        # Scopes are named one by one: both columns of the index are then used.
        for table in (delivered, rejects):
            where = table.c.scope.in_(ids) & table.c.key.in_(self._keys)
            for scope, key in self._query(sa.select(table.c.scope, table.c.key).where(where)):
                yield scope, key, KEY

    def _by_vendor_id(self, ids: Sequence[int]) -> Iterator[tuple[int, str, str]]:
        # The condition on '=' repeats the index's own: only then is the index used.
        where = (
            delivered.c.scope.in_(ids)
            & delivered.c.remote_id.in_(self._forms)
            & sa.text("remote_id <> '='")
        )
        columns = (delivered.c.scope, delivered.c.key)
        for scope, key in self._query(sa.select(*columns).where(where).limit(MOST)):
            yield scope, key, VENDOR_ID

    def _by_claim(self, ids: Sequence[int]) -> Iterator[tuple[int, str, str]]:
        where = claims.c.scope.in_(ids) & claims.c.claim.in_(self._claims)
        for scope, key in self._query(sa.select(claims.c.scope, claims.c.key).where(where)):
            yield scope, key, self._name

    def _by_name(self) -> Iterator[tuple[int, str, str]]:
        """Read the whole ledger: names have no index (see `tables`)."""
        where = sa.or_(
            *(contains(delivered.c.names, name, sqlite=self._sqlite) for name in self._names)
        )
        columns = (delivered.c.scope, delivered.c.key)
        for scope, key in self._query(sa.select(*columns).where(where).limit(MOST)):
            yield scope, key, self._name

    # --- what is kept as text -----------------------------------------------------------------

    def _in_rejects(self) -> Iterator[tuple[int, str, str]]:
        columns = (rejects.c.id, rejects.c.scope, rejects.c.key, rejects.c.record)
        last = 0
        while page := self._query(
            sa.select(*columns).where(rejects.c.id > last).order_by(rejects.c.id).limit(PAGE)
        ):
            for row in page:
                if how := self._in_record(row.key, row.record):
                    yield row.scope, row.key, how
            last = page[-1].id

    def _in_pending(self) -> Iterator[tuple[int, str, str]]:
        columns = [pending.c[name] for name in ("scope", "keys", "records", "at", "effect")]
        for row in self._query(sa.select(*columns).order_by(pending.c.id)):
            lines = row.records.split(b"\n")
            for number, key in enumerate(orjson.loads(row.keys)):
                # A mirror's removal has no record.
                line = lines[number] if number < len(lines) else b""
                about = About(row.at, row.effect)
                self.pending.setdefault((row.scope, key), []).append(about)
                if key in self._keys:
                    yield row.scope, key, KEY
                elif how := self._in_record(key, line):
                    yield row.scope, key, how

    def _pattern(self) -> re.Pattern[bytes] | None:
        """What a line that holds the email or the phone fits; `None`: any line may."""
        digits = re.sub(r"\D", "", self._phone)
        if self._email.isascii() and self._email:
            return re.compile(re.escape(self._email.encode()), re.IGNORECASE)
        if len(digits) >= FEWEST_DIGITS:
            return re.compile(BETWEEN_DIGITS.join(digit.encode() for digit in digits))
        return None

    def _in_record(self, key: str, line: bytes) -> str | None:
        """What the text is of a record that is kept; `None` if it is nothing of it."""
        if key.startswith("[") and not self._forms.isdisjoint(_parts(key)):
            return PART
        keyless = key.startswith("\n")
        looked_for = self._email or len(self._phone) >= FEWEST_DIGITS
        if not (keyless or (looked_for and (not (p := self._in_records) or p.search(line)))):
            return None
        for column, value in _values(line):
            if keyless and text_of(value) in self._forms:
                return f"column {column}"
            if self._email and fold_email(value) == self._email:
                return f"column {column}"
            if len(self._phone) >= FEWEST_DIGITS and (
                fold_phone(value, self._region) == self._phone
            ):
                return f"column {column}"
        return None


def _forms(text: str, email: str, phone: str) -> set[str]:
    """The forms that one value may have in the ledger."""
    forms = {text, email, phone}
    with contextlib.suppress(ValueError):
        value = decode(text.encode())
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            forms.add(text_of(value))
    return forms - {""}


def _composite(text: str, region: str | None) -> Iterator[str]:
    """The forms of a key of several columns, which is a JSON array."""
    try:
        parts = decode(text.encode()) if text.startswith("[") else []
    except ValueError:
        return
    forms = [_forms(t := text_of(part), fold_email(t), fold_phone(t, region)) for part in parts]
    for form in itertools.islice(itertools.product(*forms), FORMS):
        yield orjson.dumps(form).decode()


def _parts(key: str) -> Iterable[str]:
    with contextlib.suppress(ValueError):
        return [part for part in orjson.loads(key) if isinstance(part, str)]
    return ()


def _values(line: bytes) -> Iterator[tuple[str, Any]]:
    """The columns of a RECORD line with a text or a number."""
    with contextlib.suppress(ValueError, KeyError, AttributeError, TypeError):
        for column, value in decode(line)["record"].items():
            if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
                yield column, value
