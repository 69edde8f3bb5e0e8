"""Reading contacts back: Merlin lists none, and SEARCH takes the id of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import override

from singer_http.exact_json import text_of
from singer_http.operations import JSON
from singer_http.sink.reading import Reading


class ContactReading(Reading):
    """Contacts, each by a SEARCH for its idContact."""

    absence = "SEARCH does not find them by their idContact"

    def __init__(
        self,
        search: Callable[[JSON], Sequence[JSON]],
        identities: Callable[[JSON], Sequence[str]],
    ) -> None:
        """Read nothing yet."""
        self._search = search
        self._identities = identities

    @override
    def record(self, remote_id: str) -> JSON | None:
        hits = self._search({"idContact": number(remote_id)})
        return next((hit for hit in hits if hit["idContact"] == remote_id), None)

    @override
    def id_of(self, record: JSON) -> str:
        return text_of(record["idContact"])

    @override
    def identities(self, record: JSON) -> Sequence[str]:
        return self._identities(record)


def number(value: Any) -> Any:
    """An id as Merlin's page shows it: a number where it is one."""
    text = text_of(value)
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,17}", text) else text
