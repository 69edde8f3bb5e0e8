"""How the records of a stream are read back from the vendor."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

from singer_http.operations import JSON


class ListPage(NamedTuple):
    """A page of the vendor's list."""

    records: Sequence[JSON]
    """As the vendor shows them."""
    place: JSON
    """Where the next page begins, for a later reading."""


class Reading(abc.ABC):
    """Reads a stream's records back: by the list that has all of them, by id, or by both.

    Errors of all methods are those of `Client.request`: a `StopRun` ends the reading.
    """

    has_list: ClassVar[bool] = False
    by_id: ClassVar[bool] = True
    """A record can be asked for by its id; else the list is read twice before one is gone."""
    absence: ClassVar[str | None] = None
    """Why a record that is not found by its id may exist all the same; None: it is gone."""

    def list_requests(self) -> int | None:
        """Requests that the whole list takes; `None` if that is not known."""
        return None

    def pages(self, place: JSON) -> Iterator[ListPage]:
        """The list, from the place at which an earlier reading ended; empty for its beginning.

        A record may come twice, and one may be missing: the list changes while it is read.
        """
        raise NotImplementedError

    def again(self) -> Iterator[Iterable[JSON]]:
        """The whole list, so that none is missing (without `by_id`).

        Raises:
            StopRun: records are missing.
        """
        raise NotImplementedError

    def record(self, remote_id: str) -> JSON | None:
        """The vendor's record with an id; `None` if there is none. Called from several threads.

        Raises:
            Refused: the vendor does not show it.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def id_of(self, record: JSON) -> str:
        """A record's id."""

    @abc.abstractmethod
    def identities(self, record: JSON) -> Sequence[str]:
        """What a record is known by at the vendor, in the form of `Operation.identities`."""
