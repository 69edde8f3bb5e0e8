"""What differs between the versions of the vendor's API, as each of them has to say it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from reisoftware_api.writing import Call, Writing
from singer_http.errors import SingerHTTPError
from singer_http.http.urls import segment
from singer_http.operations import JSON

if TYPE_CHECKING:
    from singer_http.http.client import Client, Response


class Api(Writing, ABC):
    """One version of the API, for one location."""

    version: ClassVar[str]
    """As the setting `api_version` names it."""
    url: ClassVar[str]
    """The default of the setting `api_url`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Take what is needed from the plugin's settings."""
        self.location = str(config.get("location_id") or "").strip()

    # Addresses

    @property
    @abstractmethod
    def headers(self) -> Mapping[str, str]:
        """What every request has beside the key."""

    @abstractmethod
    def listing(self, name: str) -> Call:
        """The request for `custom_fields`, `tags`, `campaigns` or `workflows`, in one answer."""

    def contact_path(self, contact: str, *rest: str) -> str:
        """The path of a contact, and of what belongs to it; `rest` is encoded by the caller."""
        return "/".join(["contacts", segment(contact), *rest])

    @abstractmethod
    def appointments_path(self, contact: str) -> str:
        """The path of a contact's appointments."""

    @abstractmethod
    def list_contacts(self, client: Client, query: JSON | None) -> Response:
        """Request a page of contacts. Errors as in `Client.request`."""

    # What is read, in the form of v1

    def custom_fields(self, rows: list[JSON]) -> list[JSON]:
        """The custom fields of contacts among the rows of their list."""
        return rows

    def contact(self, row: JSON) -> JSON:
        """A contact, as it was listed or read alone."""
        return row

    def appointments(self, answer: Any) -> Any:
        """The rows of an answer; an empty list for a known form of none."""
        # Without appointments v1 answers {}. It is not known which of these two it has with some.
        return (answer or {}).get("appointments") or (answer or {}).get("events") or []

    def appointment(self, row: JSON) -> JSON:
        """An appointment."""
        return row

    def with_dates(self, contact: JSON, date_fields: Callable[[], Container[str]]) -> JSON:  # noqa: ARG002
        """A contact with the dates among its custom values as v1 has them: epoch milliseconds.

        Args:
            contact: of this class's `contact`; changed in place.
            date_fields: gives the ids of the custom fields that hold dates, if they are needed.
        """
        return contact

    # Refusals

    @abstractmethod
    def explain(
        self, method: str, path: str, status: int, words: str, data: Any
    ) -> SingerHTTPError | None:
        """The error for an answer that refuses more than a record; None: as its status says.

        Args:
            method: of the request.
            path: of the request, below `api_url`.
            status: 4xx.
            words: the vendor's reason, one line, without secrets; empty for none.
            data: the answer's body.
        """
