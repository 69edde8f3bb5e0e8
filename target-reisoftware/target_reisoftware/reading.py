"""Reading all contacts back: by the account's list, or one by its id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from typing_extensions import override

from singer_http.exact_json import text_of
from singer_http.identity import fold_email, fold_phone
from singer_http.operations import JSON
from singer_http.sink.reading import ListPage, Reading
from target_reisoftware.index import texts_of
from target_reisoftware.lookup import ReiClient
from target_reisoftware.matching import own_identity


class ContactReading(Reading):
    """The contacts of an account, in v1's form."""

    has_list = True

    def __init__(self, vendor: ReiClient) -> None:
        """Read nothing yet."""
        self._vendor = vendor

    @override
    def list_requests(self) -> int | None:
        return self._vendor.contact_list().cost()

    @override
    def pages(self, place: JSON) -> Iterator[ListPage]:
        for page in self._vendor.contact_list().walk(place.get("after")):
            rows = [self._vendor.api.contact(row) for row in page.rows if row.get("id")]
            yield ListPage(rows, {"after": page.cursor})

    @override
    def record(self, remote_id: str) -> JSON | None:
        return self._vendor.contact(remote_id)

    @override
    def id_of(self, record: JSON) -> str:
        return text_of(record["id"])

    @override
    def identities(self, record: JSON) -> Sequence[str]:
        # What was merged keeps its email as a further one.
        emails = map(fold_email, texts_of(record.get("additionalEmails"), "email"))
        phones = map(fold_phone, texts_of(record.get("additionalPhones"), "phone"))
        return tuple(filter(None, (*own_identity(record).folded, *emails, *phones)))
