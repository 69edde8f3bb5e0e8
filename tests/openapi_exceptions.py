"""Where HighLevel's live API is known to differ from its OpenAPI documents, and who says so.

`#n` is an issue of GoHighLevel/highlevel-api-docs. Nango: traffic recorded in
NangoHQ/integration-templates, integrations/highlevel/tests. N1 to N5: public notes. The full
list of sources is the project's sheet about the API.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


def _anything(_value: Any) -> bool:
    return True


class Known(NamedTuple):
    """One exception. `call`, `place` and `text` are regular expressions."""

    side: str
    call: str
    place: str
    text: str
    source: str
    when: Callable[[Any], bool] = _anything
    """What the value there must be."""


def _custom_value(entry: Any) -> bool:
    """An id and a value of a kind that fields have."""
    values = [entry[k] for k in ("field_value", "value", "fieldValue") if k in entry]
    kinds = (str, int, float, list, type(None))
    return isinstance(entry.get("id"), str) and all(isinstance(v, kinds) for v in values)


EXCEPTIONS: tuple[Known, ...] = (
    # Requests
    Known(
        "request", ".*", "Version", "is not one of",
        "N2, N3: 2021-04-15 and 2023-02-21 are taken on all paths; the document names only its own",
    ),
    Known(
        "request", "(POST|PUT) /contacts.*", "dateOfBirth", "is not of type 'object'",
        "the document's own example and description: a text, YYYY-MM-DD and other forms",
        lambda value: isinstance(value, str),
    ),
    Known(
        "request", "(POST|PUT) /contacts.*", r"customFields\.\*", "not valid under any",
        "the document's own example of a number is 100, its type object; N4: null clears",
        _custom_value,
    ),
    Known(
        "request", "DELETE /contacts/{id}/workflow/{workflow}", "", "[Mm]issing.*body",
        "Nango: sent without a body and taken",
    ),
    Known(
        "request", "GET /calendars/events", "", "Path not found",
        "the vendor's calendars document, which is not among ours; N1",
    ),
    Known(
        "request", "GET /contacts", "contactId", "should be non-empty",
        "N2: gone from v3's document, still answering",
    ),
    Known(
        "request", "PUT /contacts/{id}", "", "'companyName' was unexpected",
        "#314 calls its absence a gap of the document",
    ),
    # Answers
    Known(
        "answer", ".*", r"contact(s\.\*)?\.\w+", "None (for not nullable|is not of type)",
        "Nango, #314: null where a contact has no value",
        lambda value: value is None,
    ),
    Known(
        "answer", ".*", r"contact(s\.\*)?\.customFields\.\*\.value", "is not of type 'string'",
        "the vendor's custom-fields document: lists and numbers, by the field's type",
    ),
    Known(
        "answer", "POST /contacts/bulk/tags/update/{type} 201", r"responses\.\*",
        "is not of type 'string'",
        "the document's own example: objects",
        lambda value: isinstance(value, dict),
    ),
    Known(
        "answer", ".* 422", "message", "is not of type 'array'",
        "many public repositories: the refusal of a contact without identity is a text",
        lambda value: isinstance(value, str),
    ),
    Known(
        "answer", ".* 403", "", "Unknown response http status",
        "N3: the token of another location",
    ),
    Known(
        "answer", ".* 404", "", "Unknown response http status",
        "not known: a contact or lookup without a hit; to be taken in every form",
    ),
    Known(
        "answer", ".* 429", "", "Unknown response http status",
        "the vendor's page about limits",
    ),
    Known(
        "answer", "POST /contacts/search 422", "", "Unknown response http status",
        "#31: without pageLimit and locationId",
    ),
    Known(
        "answer", "GET /contacts/search/duplicate 422", "", "Unknown response http status",
        "inferred from the other calls: without locationId",
    ),
    Known(
        "answer", "POST /contacts/bulk/tags/update/{type} 401", "", "Unknown response http status",
        "inferred from the other calls: a token that is not known",
    ),
    Known(
        "answer", "POST /contacts 200", "", "Unknown response http status",
        "inferred: to be taken beside 201",
    ),
    Known(
        "answer", "POST /contacts/{id}/workflow/{workflow} 201", "", "Unknown response http status",
        "Nango",
    ),
    Known(
        "answer", "GET /calendars/events 200", "", "Path not found",
        "the vendor's calendars document, which is not among ours; N1",
    ),
)  # fmt: skip
