"""What a person may look a record up by, beside its whole key and its id at the vendor."""

from __future__ import annotations

import orjson

from singer_http.delivery.item import Item
from singer_http.identity import fold_email, fold_phone


def names_of(item: Item, remote_id: str | None) -> list[str]:
    """Emails and phones as they are compared, the parts of the key, the parent at the vendor.

    Not what the ledger knows the record by anyway: its key, its identities.
    """
    sink, body = item.sink, item.body
    names = [fold_email(body[column]) for column in sink.emails if column in body]
    names += [fold_phone(body[column]) for column in sink.phones if column in body]
    if item.label:
        names.append(item.label)
    if len(sink.keys) > 1:
        names += orjson.loads(item.label or item.key)
    if sink.names_parent and remote_id:
        names.append(remote_id.partition("/")[0])
    known = item.identities
    return [name for name in names if name and name != item.key and name not in known]
