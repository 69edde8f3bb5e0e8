"""Contacts that the ledger does not know: looked up one by one, or found in the account's list.

A lookup costs a request for each contact, the list one for each hundred contacts of the account.
With `matching: auto` contacts are looked up until that has cost as many requests as the list, and
then the list is read, once, into an index. So it costs at most twice what the cheaper way costs.

The index is never older than `FRESH_FOR` seconds: what changed since is read again, from
`OVERLAP` seconds before, since API v2's list lags behind. So it is about as old as the answer to a
lookup whose record waits for the rate limit. What it cannot tell is looked up, as is a create
whose answer was lost, and an id that the vendor does not know any more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from singer_http.errors import Incomplete, Refused
from singer_http.exact_json import text_of
from singer_http.operations import JSON
from target_reisoftware.index import ContactIndex
from target_reisoftware.listing import ContactList
from target_reisoftware.matching import Identity, own_identity

AUTO, LOOKUP, LIST = "auto", "lookup", "list"
FIRST_LOOKUPS = 10
"""Lookups before the vendor is asked how long its list is, which costs a request too."""
FRESH_FOR = 30.0
"""Seconds."""
OVERLAP = 60_000
"""Milliseconds."""
REMEMBERED = 50_000
"""Contacts that a run remembers having looked up."""


class Vendor(Protocol):
    """The requests that a finder needs, counted for the stream that asks."""

    def find(self, identity: Identity) -> str | None:
        """Look a contact up."""

    def contact_list(self) -> ContactList:
        """The account's list of contacts."""


class Finder:
    """What all streams of a run know of the account's contacts. Any thread may ask."""

    def __init__(
        self,
        matching: str,
        logger: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        *,
        keep: bool = False,
    ) -> None:
        """Read nothing yet.

        Args:
            matching: `auto`, `lookup` or `list`.
            logger: is told when the list is read.
            clock: seconds.
            keep: the list's rows: contacts are read too, not only found.
        """
        self._keep = keep
        self._matching = matching
        self._logger = logger
        self._clock = clock
        self._lock = threading.Lock()
        self._lookups = 0
        self._cost: int | None = None
        """Requests that the list takes, once that was asked."""
        self._index: ContactIndex | None = None
        self._list: ContactList | None = None
        self._read_at = 0.0
        """Seconds at which the latest reading began."""
        self._read_from = 0
        """The same in the vendor's epoch milliseconds."""
        self._asked: OrderedDict[Identity, Future[str | None]] = OrderedDict()
        self._doubtful: set[Identity] = set()
        """Only the vendor itself is asked for these."""
        self._asked_lock = threading.Lock()
        self._found: OrderedDict[str, Identity] = OrderedDict()

    def find(self, vendor: Vendor, identity: Identity, *, look_up: bool = False) -> str | None:
        """The id of the contact that a record is about.

        Args:
            vendor: is asked.
            identity: of the contact.
            look_up: ask the vendor, whatever the index has.

        Raises:
            Rejection: several have that email, or the phone is another contact's.
        """
        if not look_up and self._uses_list(vendor):
            with self._lock:
                index = self._current_index(vendor)
                found = index.find(identity) if index is not None else None
            if found is not None and found.certain:
                shown = self._list is not None and self._list.shows_changes
                if found.contact is None or shown:
                    return found.contact
        with self._lock:
            self._lookups += 1
        return vendor.find(identity)

    def row(self, vendor: Vendor, contact: str) -> JSON | None:
        """A contact's row of the list; `None` if it has to be asked for alone.

        Where the list is read anyway, or costs less than a request for each contact.
        """
        uses_list = self._uses_list(vendor)
        with self._lock:
            index = self._current_index(vendor) if uses_list else None
            shown = self._list is not None and self._list.shows_changes
            found = index.row(contact) if index is not None and shown else None
            self._lookups += found is None
        return found

    def find_once(self, vendor: Vendor, identity: Identity) -> str | None:
        """The same, asked once in a run: the first to ask does it, the others wait for that."""
        key = identity.compared
        with self._asked_lock:
            future = self._asked.get(key)
            mine = future is None
            if future is None:
                future = self._asked[key] = Future()
                if len(self._asked) > REMEMBERED:
                    self._asked.popitem(last=False)
            look_up = key in self._doubtful
        if not mine:
            return future.result()
        try:
            future.set_result(self.find(vendor, identity, look_up=look_up))
        except BaseException as error:
            with self._asked_lock:
                self._asked.pop(key, None)
            future.set_exception(error)
            raise
        return future.result()

    def forget(self, identity: Identity) -> None:
        """Ask the vendor itself at the next use."""
        with self._asked_lock:
            self._asked.pop(identity.compared, None)
            self._doubtful.add(identity.compared)

    def note_found(self, contact: JSON) -> None:
        """A contact was looked up: these are its email and phone."""
        with self._asked_lock:
            self._found[text_of(contact["id"])] = own_identity(contact)
            if len(self._found) > REMEMBERED:
                self._found.popitem(last=False)

    def identity(self, contact: str) -> Identity:
        """The email and the phone of a contact that was found, as they are compared."""
        with self._asked_lock:
            found = self._found.get(contact)
        if found is None:
            with self._lock:
                found = self._index.identity(contact) if self._index is not None else None
        return found or Identity()

    def note(self, contact: JSON) -> None:
        """A contact is now as a write's answer shows it, if that has emails and phones."""
        with self._lock:
            if self._index is not None and not {"email", "phone"}.isdisjoint(contact):
                self._index.put([contact], written=True)

    def note_deleted(self, contact: str) -> None:
        """A contact was deleted."""
        with self._lock:
            if self._index is not None:
                self._index.drop(contact)

    # --- the list -----------------------------------------------------------------------------

    def _uses_list(self, vendor: Vendor) -> bool:
        with self._lock:
            # Another thread may just have given the list up.
            if self._matching != AUTO or self._index is not None:
                return self._matching != LOOKUP
            if self._lookups < max(FIRST_LOOKUPS, self._cost or 0):
                return False
            if self._cost is None:
                self._cost = self._ask_cost(vendor)
            return self._cost is not None and self._lookups >= self._cost

    def _ask_cost(self, vendor: Vendor) -> int | None:
        try:
            cost = vendor.contact_list().cost()
        except (Incomplete, Refused) as error:
            self._give_up(str(error))
            return None
        if cost is None:
            self._give_up("The vendor does not say how many contacts it has")
        return cost

    def _current_index(self, vendor: Vendor) -> ContactIndex | None:
        """The index, not older than `FRESH_FOR`; None if the list cannot be read (lock held)."""
        try:
            if self._index is None and self._matching != LOOKUP:
                self._read_all(vendor)
            if self._index is not None and self._clock() - self._read_at > FRESH_FOR:
                self._read_changes(vendor)
        except (Incomplete, Refused) as error:
            self._give_up(str(error))
        return self._index

    def _read_all(self, vendor: Vendor) -> None:
        size = "" if self._cost is None else f" (about {self._cost} requests)"
        self._logger.info("Reading the list of contacts%s instead of looking up each", size)
        contacts, index = vendor.contact_list(), ContactIndex(keep=self._keep)
        began, first = self._clock(), None
        try:
            for number, page in enumerate(contacts.all()):
                if self._cost is not None and number > 2 * self._cost:
                    message = "the list is much longer than the vendor said"
                    raise Incomplete(message)
                first = first or page.at
                index.put(page.rows)
        except BaseException:
            index.close()
            raise
        self._list, self._index = contacts, index
        self._read_at, self._read_from = began, first or 0

    def _read_changes(self, vendor: Vendor) -> None:
        contacts, index = vendor.contact_list(), self._index
        if self._list is None or index is None:
            return
        contacts.is_proved = self._list.is_proved
        began, first = self._clock(), None
        for page in contacts.changed(self._read_from - OVERLAP):
            first = first or page.at
            index.put(page.rows)
        if self._list.shows_changes and not contacts.shows_changes:
            self._logger.info(
                "It is not certain that the vendor sorts contacts by their changes: a contact that "
                "is found in its list is looked up too"
            )
        self._list = contacts
        self._read_at, self._read_from = began, first or self._read_from

    def _give_up(self, why: str) -> None:
        self._logger.warning("%s: each contact is looked up instead (setting matching)", why)
        self._matching = LOOKUP
        if self._index is not None:
            self._index.close()
            self._index = None
