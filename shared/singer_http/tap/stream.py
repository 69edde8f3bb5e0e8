"""A stream of an HTTP API. A stream of a plugin takes about 7 lines:

class Lists(ExampleStream):
    \"""Lists of people.\"""

    name = "lists"
    path = "lists"
    primary_keys = ("id",)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from typing_extensions import override

from singer_http.errors import Refused, RequestRejected, reason_of
from singer_http.http.pages import NumberedPages, PageParams, key_of
from singer_http.tap.page_stream import PageStream, Record

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context

    from singer_http.http.client import Response

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class HTTPStream(PageStream):
    """Records from one address. A subclass gives the address and the kind of pages."""

    path: ClassVar[str]
    """Joined to the tap's `api_url`."""

    records_key: ClassVar[str] = "data"
    """The member of an answer that holds its rows."""

    address_settings: ClassVar[str] = "api_url"
    """The settings to check when the vendor refuses a page."""

    @property
    def address(self) -> str:
        """The path of the request; data in it is percent-encoded."""
        return self.path

    @property
    def page_params(self) -> PageParams | None:
        """How a numbered page is asked for; None where all rows come in one answer."""
        return None

    @property
    def params(self) -> dict[str, Any]:
        """The query of every request."""
        return {}

    def fetch(self, params: dict[str, Any] | None = None) -> Any:
        """Request the parsed JSON of an answer; in any thread. Errors as in `ask`."""
        return self.ask(params).data

    def ask(self, params: dict[str, Any] | None = None) -> Response:
        """Request an answer; in any thread.

        Args:
            params: the query.

        Raises:
            StopRun: there is no usable answer.
        """
        try:
            return self.send(params)
        except Refused as error:
            message = (
                f"{self.name}: the vendor refuses to list them: {error}; "
                f"check {self.address_settings}"
            )
            raise RequestRejected(message) from error

    def send(self, params: dict[str, Any] | None) -> Response:
        """Send the request for a page. Errors as in `Client.request`."""
        return self._tap.client.request("GET", self.address, params=params)

    def rows(self, answer: Any) -> list[Record]:
        """The rows of an answer.

        Raises:
            RequestRejected: it has none, not even an empty list.
        """
        rows = answer.get(self.records_key) if isinstance(answer, dict) else answer
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            said = reason_of(answer) or "no reason given"
            message = (
                f"{self.name}: the answer has no list of objects under {self.records_key!r} "
                f"({said}); check api_url"
            )
            raise RequestRejected(message)
        return rows

    def total(self, answer: Any) -> int | None:  # noqa: ARG002
        """The number of all rows, as an answer states it; None where it does not."""
        return None

    @override
    def pages(self, context: Context | None) -> Iterator[list[Record]]:
        page_params = self.page_params
        if page_params is None:
            yield self.rows(self.fetch(self.params))
        else:
            yield from self.numbered_pages(page_params, self.params)

    def numbered_pages(
        self, page_params: PageParams, params: dict[str, Any]
    ) -> Iterator[list[Record]]:
        """Read numbered pages to their end.

        Args:
            page_params: how a page is asked for.
            params: the rest of the query.

        Raises:
            StopRun: rows are missing, or there is no usable answer.
        """
        return NumberedPages(
            fetch=lambda number: self.fetch({**params, **page_params.query(number)}),
            rows=self.rows,
            total=self.total,
            key=key_of(*self.primary_keys),
            listed=self.name,
            params=page_params,
            map=self.prefetch,
        ).read()

    def prefetch(
        self, call: Callable[[Argument], Result], arguments: Iterable[Argument]
    ) -> Iterator[Result]:
        """Call with each argument, up to `concurrency` side by side; the results in order."""
        if self.ABORT_AT_RECORD_COUNT is not None:
            return map(call, arguments)  # a test run needs one record
        return self._tap.prefetcher.map(call, arguments)

    def chain(
        self, answer: Any, next_query: Callable[[Any], dict[str, Any] | None]
    ) -> Iterator[Any]:
        """Yield answers that each name the next request; it is made while this one is written.

        Args:
            answer: the first.
            next_query: an answer → the query of the next request, None after the last.
        """
        while True:
            query = next_query(answer)
            following = self._tap.prefetcher.submit(partial(self.fetch, query)) if query else None
            yield answer
            if following is None:
                return
            answer = following.result()


class ChildStream(HTTPStream):
    """Records that are requested for one parent at a time, several requests in flight."""

    def records_of(self, parent: Record) -> list[Record]:
        """Read the records of one parent; in any thread."""
        raise NotImplementedError

    @override
    def pages(self, context: Context | None) -> Iterator[list[Record]]:
        """Read nothing: the parent stream calls `pages_of_parents`."""
        return iter(())

    @override
    def pages_of_parents(self, parents: Sequence[Record]) -> Iterator[list[Record]]:
        return (page for page in self.prefetch(self.records_of, parents) if page)
