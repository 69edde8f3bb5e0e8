"""The index of an account's contacts by email and phone."""

from __future__ import annotations

import pytest

from singer_http.operations import Rejection
from target_reisoftware.index import ContactIndex
from target_reisoftware.matching import Identity


def email(name: str) -> Identity:
    return Identity(f"{name}@example.com")


def test_a_contact_is_found_by_its_email_before_its_phone() -> None:
    index = ContactIndex()
    index.put(
        [
            {"id": "c1", "email": "A@example.com", "phone": "+15552010001"},
            {"id": "c2", "email": "b@example.com", "phone": "+15552010002"},
            {"id": "c3", "phone": "5552010003"},
            {
                "id": "c4",
                "email": "d@example.com",
                "additionalEmails": [{"email": "e@example.com"}],
            },
            {"id": "t1", "email": "twin@example.com"},
            {"id": "t2", "email": "Twin@example.com"},
        ]
    )
    assert index.find(Identity("a@example.com", "+15552010002")).contact == "c1"
    assert index.find(Identity("", "(555) 201-0002")).contact == "c2"
    assert index.find(Identity("new@example.com", "+15552010003")).contact == "c3"
    assert index.find(Identity("new@example.com", "+15552010009")) == (None, True)
    # Another one with this phone, or this email beside its own: the vendor is asked.
    assert not index.find(Identity("new@example.com", "+15552010002")).certain
    assert not index.find(Identity("e@example.com")).certain
    with pytest.raises(Rejection, match="t1, t2"):
        index.find(Identity("twin@example.com"))


def test_an_older_row_does_not_replace_what_a_write_has_shown() -> None:
    index = ContactIndex()
    index.put([{"id": "c1", "email": "new@example.com", "dateUpdated": "2026-01-02T00:00:00.000Z"}])
    index.put([{"id": "c1", "email": "old@example.com", "dateUpdated": "2026-01-01T00:00:00.000Z"}])
    assert index.find(email("new")).contact == "c1"
    assert index.find(email("old")).contact is None
    index.put([{"id": "c1", "email": "now@example.com"}])  # it does not say when
    assert index.find(email("now")).contact == "c1"
