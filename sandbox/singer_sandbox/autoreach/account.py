"""What one AutoReach account holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from typing_extensions import override

from singer_sandbox.account import Account, Row
from singer_sandbox.autoreach.checks import PersonChecker


def vendor_time(epoch: float | None = None) -> str:
    """A time as the vendor writes it: `2024-01-01 20:18:57 +0000`."""
    return time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(epoch))


class AutoReachAccount(Account):
    """Campaigns, custom fields, lists, members, and people (by the key they were made with)."""

    tables: ClassVar[Mapping[str, str]] = {
        "campaigns": "id",
        "custom_fields": "id",
        "lists": "id",
        "members": "id",
        "people": "id",
    }

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.unread: list[bytes] = []
        self._checker: PersonChecker | None = None
        self._by_id: dict[str, str] = {}
        self._by_external: dict[str, str] = {}
        self._made = 0
        self._row_lists: dict[str, list[Row]] = {}

    @override
    def changed(self) -> None:
        """Forget what was worked out from the rows."""
        super().changed()
        self._row_lists = {}

    def checker(self, options: Mapping[str, Any]) -> PersonChecker:
        """The checks for this account's custom fields."""
        written = options["custom_fields_format"]
        if self._checker is None or self._checker.format != written:
            fields = self.rows["custom_fields"].values()
            keys = frozenset(str(field.get("key") or field.get("name")) for field in fields)
            self._checker = PersonChecker(keys, written)
        return self._checker

    def row_list(self, table: str) -> list[Row]:
        """The rows in order, for slicing."""
        rows = self._row_lists.get(table)
        if rows is None:
            rows = self._row_lists[table] = list(self.rows[table].values())
        return rows

    @override
    def dump(self) -> dict[str, Any]:
        """Merges first what `people_store: lazy` has put off."""
        self.read_unread()
        return super().dump()

    @override
    def sizes(self) -> dict[str, int]:
        """As `dump`."""
        self.read_unread()
        return super().sizes()

    def read_unread(self) -> None:
        """Merge the PATCH bodies that were kept unread."""
        if not self.unread:
            return
        bodies, self.unread = self.unread, []
        checker = PersonChecker(frozenset(), "object")
        for body in bodies:
            self.upsert_people(orjson.loads(body)["people"], checker)

    @override
    def put(self, table: str, row: Row) -> None:
        """Fixtures: a person may come with an external_id only, a member gets its defaults."""
        if table == "custom_fields":
            self._checker = None
        if table == "people":
            self.upsert_people([row], PersonChecker(frozenset(), "object"))
        elif table == "members" and str(row.get("id")) not in self.rows["members"]:
            self.add_member(row)
        else:
            super().put(table, row)

    @override
    def remove(self, table: str, key: str) -> bool:
        """Also by external_id for a person."""
        if table == "custom_fields":
            self._checker = None
        if table == "people":
            row = self.find_person(key)
            if row is not None:
                self.remove_person(row)
            return row is not None
        return super().remove(table, key)

    # Members

    def add_member(self, body: Row) -> Row:
        """A new member, whatever is there already."""
        now = vendor_time()
        row: Row = {
            "id": self.next_number("members"),
            "email": None,
            "phone": None,
            "first_name": None,
            "last_name": None,
            "list_id": None,
            "custom_fields": {},
            "status": "active",
            "created_at": now,
            "updated_at": now,
        }
        # A client cannot choose the id; a fixture can.
        row.update({k: v for k, v in body.items() if k != "id" or isinstance(v, int)})
        self.rows["members"][str(row["id"])] = row
        self.changed()
        return row

    def update_member(self, row: Row, body: Row) -> None:
        """Change what is sent."""
        custom = body.get("custom_fields")
        row.update({k: v for k, v in body.items() if k not in ("id", "custom_fields")})
        if isinstance(custom, dict) and isinstance(row.get("custom_fields"), dict):
            row["custom_fields"].update(custom)
        elif "custom_fields" in body:
            row["custom_fields"] = custom
        row["updated_at"] = vendor_time()
        self.changed()

    def member_like(self, body: Row) -> Row | None:
        """A member with the same email (else phone) in the same list."""
        field = "email" if body.get("email") else "phone"
        wanted = str(body.get(field)).lower()
        for row in self.rows["members"].values():
            same = str(row.get(field)).lower() == wanted
            if same and row.get("list_id") == body.get("list_id"):
                return row
        return None

    # People

    def find_person(self, key: str) -> Row | None:
        """By id, else by external_id."""
        self.read_unread()
        found = self._by_id.get(key) or self._by_external.get(key)
        return self.rows["people"].get(found) if found is not None else None

    def upsert_people(self, people: list[Row], checker: PersonChecker) -> list[Row]:
        """Create or update each; matched by id, else by external_id.

        The objects given become the rows: copying a hundred thousand of them would be measured.
        """
        rows, by_id, by_external = self.rows["people"], self._by_id, self._by_external
        now = vendor_time()
        plain = checker.format == "object"
        saved: list[Row] = []
        created = 0
        for given in people:
            person = given if plain else checker.stored(given)
            own, external = _text(person.get("id")), _text(person.get("external_id"))
            key = by_id.get(own) if own else None
            if key is None and external:
                key = by_external.get(external)
            row = rows.get(key) if key else None
            if row is None or key is None:
                created += 1
                self._made += 1
                key = own or external
                row = person
                row["id"] = own = own or f"per_{self._made:08d}"
                row["created_at"] = row["updated_at"] = now
                rows[key] = row
                by_id[own] = key
            else:
                self.update_person(row, person, now)
                if own:
                    by_id[own] = key
            if external:
                by_external[external] = key
            saved.append(row)
        self.counters["people_created"] += created
        self.counters["people_upserted"] += len(people)
        return saved

    def update_person(self, row: Row, person: Row, now: str) -> None:
        """Change what is sent; custom fields one by one."""
        own, custom = row["id"], row.get("custom_fields")
        row.update(person)
        row["id"] = own
        new = person.get("custom_fields")
        if new is not None and isinstance(custom, dict):
            custom.update(new)
            row["custom_fields"] = custom
        row["updated_at"] = now

    def remove_person(self, row: Row) -> None:
        """Take a person out, under all its names."""
        key = self._by_id.pop(str(row["id"]), None)
        if row.get("external_id") is not None:
            key = self._by_external.pop(str(row["external_id"]), key)
        if key is not None:
            self.rows["people"].pop(key, None)


def _text(value: Any) -> str:
    """A key as text; nothing is an empty one."""
    return value if type(value) is str else "" if value is None else str(value)
