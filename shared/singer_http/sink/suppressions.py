"""The stream `suppressions` of every target: who must not be reached. Nothing goes to the vendor.

Its records are kept in the ledger. An email and a phone are the claims of their key, so that
`store.suppressions` finds them; several keys may have the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from singer_http.identity import fold_email
from singer_http.operations import JSON, Operation, Outcome, OutcomeKind, invalid
from singer_http.sink import columns as f
from singer_http.sink.kinds import BatchSink
from singer_http.sink.suppression_file import is_email, phone_of
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
        """The email and the phone; all other columns are ignored."""
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
        phone = phone_of(record.get("phone"), self.config.get("phone_region"))
        values = {"email": email if is_email(email) else "", "phone": phone}
        if not op.delete:
            self._check(record, values)
        op.body = {name: value for name, value in values.items() if value}

    def _check(self, record: JSON, values: JSON) -> None:
        wrong = [n for n, v in values.items() if not (v or f.is_null(record.get(n)))]
        if not any(values.values()):
            told = f" ({' and '.join(wrong)} cannot be read)" if wrong else ""
            raise invalid(f"it has neither an email nor a phone{told}")
        for name in {*wrong} - self._warned:
            self._warned.add(name)
            self.logger.warning(
                "%s: the %s of a record cannot be read: only the other of the two is suppressed",
                self.stream,
                name,
            )

    @override
    def deliver(self, ops: Sequence[Operation]) -> list[Outcome]:
        return [
            Outcome(OutcomeKind.UPSERTED, claims=tuple(map(str, op.body.values()))) for op in ops
        ]

    @override
    def remove(self, op: Operation) -> Outcome:
        return Outcome(OutcomeKind.DELETED)
