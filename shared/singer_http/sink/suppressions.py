"""The stream `suppressions` of every target: who must not be reached. Nothing goes to the vendor.

Its records are kept in the ledger. An email and a phone are the claims of their key, so that
`store.suppressions` finds them; several keys may have the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from singer_http.identity import fold_email, fold_phone
from singer_http.operations import JSON, Operation, Outcome, OutcomeKind, invalid
from singer_http.sink import columns as f
from singer_http.sink.kinds import BatchSink
from singer_http.store.suppressions import STREAM


class Suppressions(BatchSink):
    """People who must not be reached."""

    stream = STREAM
    fields = ("email", "phone")
    identities = (("id",), ("email", "phone"), ("email",), ("phone",))
    one_key_column_is_enough = True
    personal = ("email", "phone")
    batch_limit = 1000
    sends_nothing = True
    deterministic = True

    @override
    def resolve_columns(self) -> f.Columns:
        """The email and the phone; all other columns are passed over."""
        others = [name for name in self.properties if name not in self.fields]
        return f.resolve(
            self.properties,
            fields=self.fields,
            left_out=others,
            keys=(),
            custom_fields=None,
            convert=lambda *_: None,
        )

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        email = fold_email(record.get("email"))
        phone = fold_phone(record.get("phone"), self.config.get("phone_region"))
        if not op.delete and not (email or phone):
            raise invalid("it has neither an email nor a phone")
        op.body = {name: value for name, value in (("email", email), ("phone", phone)) if value}

    @override
    def deliver(self, ops: Sequence[Operation]) -> list[Outcome]:
        return [
            Outcome(OutcomeKind.UPSERTED, claims=tuple(map(str, op.body.values()))) for op in ops
        ]

    @override
    def remove(self, op: Operation) -> Outcome:
        return Outcome(OutcomeKind.DELETED)
