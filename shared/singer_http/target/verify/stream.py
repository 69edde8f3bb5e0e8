"""The records of one stream: each compared with what the vendor has now.

The list comes first, where the vendor has one and it takes fewer requests than the records. It may
lag behind, and it changes while it is read: a record that differs in it, or is missing, is asked
for by its id before that is told. Where there is no such request, the list is read a second time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from singer_http.errors import NotFound, Refused
from singer_http.operations import JSON, UNKNOWN
from singer_http.sink.fields import is_read
from singer_http.sink.reading import Reading
from singer_http.store.store import Store
from singer_http.target.verify.notes import Known, Notes, Seen

ASKED = 100
"""Records that are asked for between two commits."""
TOLD = 60.0
"""Seconds between two lines that tell how far it is."""

NO_ID = "their id at the vendor is not known"
IN_DOUBT = "what the vendor has is not known: they are sent again when they come next"
PENDING = "a run that died was about to send them: the next run settles that"
NO_FIELDS = "the ledger does not know their fields: only that they exist was compared"
REFUSED = "the vendor does not show them"


class Compare(Protocol):
    """Compares a delivery with the vendor's record."""

    def __call__(self, fields: bytes, record: JSON) -> JSON:
        """The fields that differ: name -> the vendor's value, masked.

        Args:
            fields: what was delivered, as the ledger has it.
            record: as the vendor shows it.
        """


class StreamCheck:
    """Compares the records of one scope, and notes what it sees."""

    def __init__(
        self,
        stream: str,
        scope: int,
        store: Store,
        reading: Reading,
        compare: Compare,
        *,
        concurrency: int,
        check_signal: Callable[[], None],
        logger: logging.Logger,
    ) -> None:
        """Go on where an earlier comparison was interrupted, else begin.

        Args:
            stream: of the target.
            scope: its number in the ledger.
            store: the database.
            reading: of the vendor's records.
            compare: a delivery with a record.
            concurrency: requests in flight, where records are asked for one by one.
            check_signal: ends it, if a signal arrived.
            logger: for the user.
        """
        self.stream = stream
        self.scope = scope
        self.notes = notes = Notes(store.database, scope)
        self._progress = notes.resume() or notes.begin()
        self._store = store
        self._reading = reading
        self._compare = compare
        self._concurrency = concurrency
        self._check_signal = check_signal
        self._logger = logger
        self._told_at = time.monotonic()
        self._compared = 0
        self._unsettled = {key for entry in store.ledger.unfinished(scope) for key in entry.keys}

    def run(self) -> None:
        """Compare all records that were not compared since their delivery."""
        place = self._progress.place
        if place:
            self._logger.info("%s: goes on with an earlier comparison", self.stream)
        if self._reading.has_list and not place.get("listed"):
            if place or self._list_is_cheaper():
                self._read_list(place.get("list") or {})
            self._save({"listed": True})
            self._commit()
        if self._reading.by_id:
            self._ask_one_by_one()
        else:
            self._read_again()
        self._check_signal()

    def end(self) -> None:
        """All was compared and told: the next comparison begins anew."""
        self.notes.save(self._progress, ended=True)
        self.notes.forget_same()
        self._store.commit()

    def _read_list(self, place: JSON) -> None:
        for page in self._reading.pages(place):
            self._take_page(page.records)
            self._save({"list": page.place})
            self._commit()

    def _list_is_cheaper(self) -> bool:
        """Whether the list takes no more requests than asking for each record."""
        if not self._reading.by_id:
            return True
        requests, records = self._reading.list_requests(), self.notes.totals().delivered
        return requests is None or requests <= records

    def _save(self, place: JSON) -> None:
        self._progress = self._progress._replace(place=place)
        self.notes.save(self._progress)

    def _commit(self) -> None:
        self._store.commit()
        self._check_signal()
        if time.monotonic() - self._told_at >= TOLD:
            self._told_at = time.monotonic()
            self._logger.info("%s: %s records compared", self.stream, f"{self._compared:,}")

    # --- the list -----------------------------------------------------------------------------

    def _take_page(self, records: Iterable[JSON]) -> None:
        shown = {self._reading.id_of(record): record for record in records}
        owners = self._store.ledger.owners_of_ids(self.scope, list(shown))
        known = self.notes.of_keys([key for keys in owners.values() for key in keys])
        seen = []
        for one in known:
            if one.marked:
                continue  # it stays as it was noted until a run has sent it
            found = self._without_asking(one)
            if found is None and one.remote_id is not None:
                found = self._compared_with(one, shown[one.remote_id])
            if found is not None and (found.difference is None or not self._reading.by_id):
                seen.append(found)
        self._note(seen)
        self.notes.note_others(self._others(shown, known))

    def _others(self, shown: dict[str, JSON], known: Sequence[Known]) -> dict[str, str]:
        """The keys whose email or phone belongs to a record that they were not delivered to."""
        hashed = self._store.ledger.hashed
        claims = {
            hashed(identity): id_
            for id_, record in shown.items()
            for identity in self._reading.identities(record)
        }
        if not claims:
            return {}
        own = {one.key: one.remote_id for one in known}
        found = self._store.ledger.claimants(self.scope, list(claims))
        return {
            key: claims[claim]
            for claim, keys in found.items()
            for key in keys
            if own.get(key) != claims[claim]
        }

    def _read_again(self) -> None:
        """Make sure that what the list did not show is gone."""
        missing = next(self._unseen_by_request(), None)
        if missing is None:
            return
        for records in self._reading.again():
            self._take_page(records)
            self._commit()
        for page in self._unseen_by_request():
            self._note([Seen(one, _gone(one)) for one in page])
            self._commit()

    # --- one by one ---------------------------------------------------------------------------

    def _unseen_by_request(self) -> Iterator[list[Known]]:
        """The rows that the vendor has to be asked about; the others are noted."""
        for page in self.notes.unseen():
            told = [(one, self._without_asking(one)) for one in page if not one.marked]
            self._note([seen for _, seen in told if seen is not None])
            self._store.commit()
            if asked := [one for one, seen in told if seen is None]:
                yield asked

    def _ask_one_by_one(self) -> None:
        pool = ThreadPoolExecutor(self._concurrency)
        try:
            for page in self._unseen_by_request():
                for start in range(0, len(page), ASKED):
                    self._note(list(pool.map(self._ask, page[start : start + ASKED])))
                    self._commit()
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask(self, known: Known) -> Seen:
        """Ask for one record (in a thread)."""
        try:
            record = self._reading.record(known.remote_id or "")
        except NotFound:
            record = None
        except Refused:
            return Seen(known, skipped=REFUSED)
        if record is None:
            absence = self._reading.absence
            return Seen(known, skipped=absence) if absence else Seen(known, _gone(known))
        if (id_ := self._reading.id_of(record)) != known.remote_id:
            return Seen(known, _difference(known, "merged", into=id_))
        return self._compared_with(known, record)

    # --- one record ---------------------------------------------------------------------------

    def _without_asking(self, known: Known) -> Seen | None:
        """What is seen of a row whatever the vendor has; `None` if that counts."""
        if known.key in self._unsettled:
            return Seen(known, skipped=PENDING)
        if known.digest == UNKNOWN:
            return Seen(known, skipped=IN_DOUBT)
        if known.remote_id is None:
            return Seen(known, skipped=NO_ID)
        return None

    def _compared_with(self, known: Known, record: JSON) -> Seen:
        if known.fields is None or not is_read(known.fields):
            return Seen(known, skipped=NO_FIELDS)
        if edited := self._compare(known.fields, record):
            return Seen(known, _difference(known, "edited", fields=edited))
        return Seen(known)

    def _note(self, seen: Sequence[Seen]) -> None:
        self._compared += len(seen)
        self.notes.note(seen)


def _gone(known: Known) -> JSON:
    """The difference of a record that the vendor does not have."""
    if known.other is not None and known.other != known.remote_id:
        return _difference(known, "merged", into=known.other)
    return _difference(known, "gone")


def _difference(known: Known, kind: str, **more: JSON | str) -> JSON:
    return {"id": known.remote_id, "difference": kind, **more}
