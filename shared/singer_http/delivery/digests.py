"""Digests by which an unchanged record is recognised, kept in the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from singer_http.exact_json import canonical, encode_sorted
from singer_http.operations import JSON
from singer_http.sink.base import HTTPSink


class Digests:
    """Of one stream's records, and of what is sent for them."""

    mapping: bytes = b""
    """8 bytes of all that decides what is sent, beside a record; empty if something else does."""

    def __init__(self, sink: HTTPSink, schema: Mapping[str, Any]) -> None:
        """Include what affects the operations of a sink, beside the records.

        Args:
            sink: what the records are for.
            schema: the SCHEMA message's, after `stream_maps`.
        """
        context = sink.context
        # A message that was sent is the same one, whatever a later version makes of its record.
        sent = [sink.stream]
        if not sink.at_most_once:
            sent += [sink.revision, sink.meaning()]
        # Copied for each record: faster than a new one.
        self._sent = _begin(canonical(sent))
        self._source = None
        version_column = context.deciding.get("version_column")
        self._unread = sink.unread | ({version_column} if version_column else set())
        if sink.deterministic:
            # Includes more than it must: any change of it makes the run examine all records again.
            everything = [
                *(sent, schema, sink.keys, sink.description, dict(context.deciding)),
                *(context.version, version("singer-http")),
            ]
            text = json.dumps(everything, sort_keys=True, default=str).encode()
            self._source = _begin(text)
            self.mapping = hashlib.blake2b(text, digest_size=8).digest()

    @property
    def know_sources(self) -> bool:
        """Whether a record that is the same as before makes the same operation."""
        return self._source is not None

    def of_source(self, record: JSON) -> bytes:
        """Of a record, in any order of its columns; empty if the operation depends on more."""
        if self._source is None:
            return b""
        if self._unread:
            record = {name: value for name, value in record.items() if name not in self._unread}
        try:
            text = encode_sorted(record)
        except (TypeError, ValueError):
            return b""
        digest = self._source.copy()
        digest.update(text)
        return digest.digest()

    def of_sent(self, canonical_body: bytes, group: Any) -> bytes:
        """Of what is sent for a record, and of what it shares with others of its request."""
        digest = self._sent.copy()
        digest.update(canonical_body)
        if group is not None:
            digest.update(repr(group).encode())
        return digest.digest()


def _begin(text: bytes) -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16, key=hashlib.blake2b(text, digest_size=16).digest())
