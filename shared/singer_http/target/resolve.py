"""`target-x --resolve STREAM KEY sent|unsent|drop`: settle one outstanding record."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from decimal import Decimal

import click

from singer_http.errors import SingerHTTPError, StopRun, one_line
from singer_http.exact_json import decode, text_of
from singer_http.identity import fold_email, fold_phone
from singer_http.operations import UNKNOWN, RejectionKind
from singer_http.sink.base import HTTPSink
from singer_http.sink.overwrite import restricts
from singer_http.store.rejects import MAIN, NEWER, shown_key
from singer_http.store.rows import Delivered, Reject, Scope
from singer_http.target.recovery import fields_of, prepared, settle_as_sent
from singer_http.target.router import Router
from singer_http.target.session import Session

RESOLVED = "resolved as unsent: it is sent with the next run"
NOT_READ = (
    " Its fields are not known ({why}), so `overwrite` keeps what the vendor has in them until the "
    "source has the same values."
)


def resolve(
    session: Session,
    router: Router,
    sinks: Sequence[type[HTTPSink]],
    words: tuple[str, str, str],
) -> bool:
    """Settle a record, and say what was done; whether there was one."""
    stream, key, how = words
    try:
        said = _resolve(session, router, sinks, stream, key, how)
    except StopRun as error:
        _say(one_line(str(error)))
        return False
    _say(said)
    return True


def _say(text: str) -> None:
    click.echo(text, err=True)  # stdout is for Singer messages


def _resolve(
    session: Session,
    router: Router,
    sinks: Sequence[type[HTTPSink]],
    stream: str,
    key: str,
    how: str,
) -> str:
    sink, scope, found = _outstanding(session, sinks, stream, key)
    stored = found[0].key
    main = next((reject for reject in found if reject.slot == MAIN), found[0])
    rejects, ledger = session.store.rejects, session.store.ledger
    note = ""
    if how == "unsent":
        rejects.mark(scope.id, stored, kind=str(RejectionKind.HELD), reason=RESOLVED, resent=False)
        newer = any(reject.slot == NEWER for reject in found)
        if newer:
            rejects.drop(scope.id, stored, slot=MAIN)
            rejects.promote(scope.id, stored)
        done = "it is sent with the next run"
    else:
        row = ledger.row(scope.id, stored)
        remote_id = row.remote_id if row else main.remote_id
        delivered = Delivered(stored, main.digest or UNKNOWN, b"", remote_id, None)
        if how == "sent":
            if sink.readable:
                note = _note_fields(session, router, scope, main, delivered)
            settle_as_sent(session.store, scope.id, delivered)
            done = "it counts as delivered"
        else:
            if sink.at_most_once:
                delivered.digest = UNKNOWN
                ledger.acknowledge(scope.id, delivered)
            rejects.drop(scope.id, stored)
            done = "it is given up"
    session.store.commit()
    session.export_rejects(even_unchanged=True)
    return f"{stream}: {key}: {done}.{note}"


def _outstanding(
    session: Session, sinks: Sequence[type[HTTPSink]], stream: str, key: str
) -> tuple[type[HTTPSink], Scope, list[Reject]]:
    """The stream, where its rows are in the ledger, and what is outstanding for the key.

    Raises:
        StopRun: there is no such stream, or nothing is outstanding.
    """
    sink = next((sink for sink in sinks if sink.stream == stream), None)
    if sink is None:
        known = ", ".join(sink.stream for sink in sinks)
        raise StopRun(f"There is no stream {stream!r}: this target has {known}.")
    scope = session.scope(stream)
    found = _find(session, scope.id, key) if scope else []
    if scope is None or not found:
        raise StopRun(
            f"{stream}: nothing is outstanding for the key {key!r} in this account and sync."
        )
    return sink, scope, found


def _note_fields(
    session: Session, router: Router, scope: Scope, reject: Reject, delivered: Delivered
) -> str:
    """Add what `overwrite` and `--verify` compare with; what is to be said, if that cannot be."""
    try:
        routes = router.of_stored(scope.schema_message or b"")
        route = next(route for route in routes if route.name == reject.route)
        item = prepared(session, route, reject.record)
        delivered.fields = fields_of(session.store, scope.id, item, delivered)
        why = "its mapping has changed since"
    except SingerHTTPError as error:
        why = one_line(str(error), 200)
    except (ValueError, StopIteration):
        why = "its mapping does not exist any more"
    told = delivered.fields is not None or not restricts(session.config.get("overwrite"))
    return "" if told else NOT_READ.format(why=why)


def _find(session: Session, scope: int, key: str) -> list[Reject]:
    """What is outstanding for a key, however it is spelled."""
    spellings = [key, key.strip(), fold_email(key), fold_phone(key)]
    with contextlib.suppress(ValueError):
        spellings.append(text_of(decode(key.encode())))
    ledger = session.store.ledger
    for spelling in dict.fromkeys(filter(None, spellings)):
        for personal in (False, True):
            stored = ledger.stored_key(spelling, personal=personal)
            if found := session.store.rejects.of_key(scope, stored):
                return found
    return session.store.rejects.of_key(scope, key) or _by_record(session, scope, key)


def _by_record(session: Session, scope: int, key: str) -> list[Reject]:
    """What is outstanding for a record that has a value as it stands in the rejects file.

    Raises:
        StopRun: several keys have it: `stream_maps` makes more of one row.
    """
    rejects = session.store.rejects
    keys = {reject.key for reject in rejects.all_of(scope) if _has(reject.record, key)}
    if len(keys) > 1:
        shown = ", ".join(sorted(filter(None, map(shown_key, keys)))[:10])
        raise StopRun(f"Several records have {key!r}: name one by its key ({shown}).")
    return rejects.of_key(scope, keys.pop()) if keys else []


def _has(line: bytes, value: str) -> bool:
    try:
        record = decode(line)["record"]
        return any(
            text_of(item) == value
            for item in record.values()
            if isinstance(item, str | int | Decimal)
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        return False
