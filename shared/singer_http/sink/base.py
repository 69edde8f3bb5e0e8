"""What a vendor's sink says: which fields it has, how a record is prepared and found.

A sink knows the vendor and nothing of batches, retries, threads or the ledger: `delivery` does.
Its methods `send`, `find` and `before_send` are called from several threads at once. What it does
with a record at the vendor depends on its kind: see `kinds`.
"""

from __future__ import annotations

import abc
import datetime
import functools
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, ClassVar

from singer_http.errors import ConfigError
from singer_http.identity import dialled_phone, fold_email
from singer_http.operations import JSON, Operation, Outcome, Person, Rejection, invalid
from singer_http.sink import columns as f
from singer_http.sink.context import SinkContext
from singer_http.sink.formats import format_of, properties_of
from singer_http.sink.suppression_file import is_phone_column

Render = Callable[[datetime.datetime], Any]
"""A moment in UTC (naive) -> the vendor's form."""

UPSERT, UPDATE, CREATE, MIRROR = "upsert", "update", "create", "mirror"
ALL_MODES = (UPSERT, UPDATE, CREATE, MIRROR)


class HTTPSink(abc.ABC):
    """One stream of one target."""

    stream: ClassVar[str]
    depends_on: ClassVar[tuple[str, ...]] = ()
    """Streams whose records go first."""
    modes: ClassVar[tuple[str, ...]] = ALL_MODES
    fields: ClassVar[tuple[str, ...]] = ()
    """The vendor's writable fields, under its own names."""
    read_only: ClassVar[tuple[str, ...]] = ()
    """The vendor's own fields that are not written: left out without a warning."""
    identities: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Columns that can be the key where the source names none, in order of preference."""
    one_key_column_is_enough: ClassVar[bool] = False
    """A key of several columns may have empty ones, but for one."""
    personal: ClassVar[tuple[str, ...]] = ()
    """Columns with emails and numbers: as a key they are hashed in the ledger."""
    emails: ClassVar[tuple[str, ...]] = ("email",)
    """Columns with an email: sent without blanks around it; as a key, its spellings are one."""
    phones: ClassVar[tuple[str, ...]] = ("phone",)
    """Columns with a phone: `phone_region` makes it E.164; as a key, its spellings are one."""
    container: ClassVar[str | None] = None
    """The column that may hold custom fields as an object."""
    batch_limit: ClassVar[int] = 1
    """Rows in one request, at most."""
    no_delete: ClassVar[str | None] = None
    """Why a delete is rejected, where the vendor has none."""
    may_create: ClassVar[bool] = False
    """A request may make something that a second one would make twice."""
    at_most_once: ClassVar[bool] = False
    """Records are sent at most once."""
    has_lookup: ClassVar[bool] = False
    """`find` is asked for records whose id at the vendor is not known."""
    names_parent: ClassVar[bool] = False
    """`remote_id` is that of a parent record, which several keys may share."""
    reaches_people: ClassVar[bool] = False
    """What is sent reaches a person (`person`), who may be suppressed; deletes do not."""
    sends_nothing: ClassVar[bool] = False
    """No request leaves: a dry run carries it out, in its copy of the database."""
    group_by_parent: ClassVar[bool] = False
    """Operations on one parent record go in one call, in order (see `joins_parents`)."""
    examples: ClassVar[int] = 3
    """What a dry run prints of each kind of operation, at most."""
    deterministic: ClassVar[bool] = False
    """What `prepare` makes of a record depends on its columns that are not `unread`, the settings
    and `description` alone (`key_suffix` too), and `skip` and `is_current` are not its own: a
    record with the same columns as when it was delivered is unchanged."""
    supposed: ClassVar[tuple[str, ...]] = ()
    """Columns that `--check`, which reads no record, assumes."""
    readable: ClassVar[bool] = False
    """Its records can be read back (see `kinds.ReadableSink`)."""
    revision: ClassVar[str] = "1"
    """Part of the digest: raise it when the same body has another meaning."""

    def __init__(
        self, context: SinkContext, schema: Mapping[str, Any], keys: Sequence[str]
    ) -> None:
        """Resolve the columns.

        Args:
            context: settings, client, counts, a view of the ledger.
            schema: the SCHEMA, after `stream_maps`.
            keys: the columns that identify a record.
        """
        self.context = context
        self.config = context.config
        self.client = context.client
        self.logger = context.logger
        self.schema = schema
        self.properties: Mapping[str, Any] = properties_of(schema)
        self.keys = tuple(keys)
        self.meter = context.counts(self.stream)
        self.send_nulls = self.config["nulls"] == "send"
        self.setup()
        self.columns = columns = self.resolve_columns()
        self.plain_values = f.applier(columns.plain, send_nulls=self.send_nulls)
        """Record -> the vendor's own fields."""
        self.custom_columns = f.applier(columns.custom, send_nulls=self.send_nulls)
        """Record -> custom fields that have a column of their own."""
        self._warned: set[str] = set()

    def setup(self) -> None:  # noqa: B027 - a hook that most do without
        """Prepare what the stream needs, and refuse settings that cannot be (`ConfigError`)."""

    # --- columns ------------------------------------------------------------------------------

    def resolve_columns(self) -> f.Columns:
        """Resolve each column once; what to do with the unknown ones is the user's setting."""
        left_out = {*self.read_only, *self.extra_columns()}
        if count := self.config.get("mirror_count"):
            left_out.add(count)
        columns = f.resolve(
            self.properties,
            fields=self.writable(),
            left_out=left_out,
            keys=self.keys,
            custom_fields=self.account_fields if self.has_custom_fields else None,
            convert=self.converter,
        )
        if columns.unknown:
            columns = self._treat_unknown(columns)
        return columns

    def _treat_unknown(self, columns: f.Columns) -> f.Columns:
        names = ", ".join(columns.unknown)
        treatment = self.config["unknown_fields"]
        if treatment == "error":
            raise ConfigError(
                f"{self.stream}: the columns {names} are no field of the vendor, no custom field "
                "of the account and no key: drop them, or set `unknown_fields` to warn or send."
            )
        if treatment == "warn":
            self.logger.warning(
                "%s: left out, since the vendor knows no such field: %s (setting unknown_fields)",
                self.stream,
                names,
            )
            return columns
        sent = tuple(
            f.Column(name, name, self.converter(name, None, self.properties[name]))
            for name in columns.unknown
        )
        return f.Columns((*columns.plain, *sent), columns.custom, ())

    def writable(self) -> Sequence[str]:
        """The vendor's writable fields in this account."""
        return self.fields

    def extra_columns(self) -> Sequence[str]:
        """Columns that `prepare` reads itself."""
        return (self.container,) if self.container else ()

    @property
    def description(self) -> Any:
        """What the columns are to the vendor, and the account's custom fields; JSON values."""
        columns = [*self.columns.plain, *self.columns.custom]
        known = [(column.name, column.field, repr(column.custom)) for column in columns]
        inner = self.container in self.properties and self.has_custom_fields
        return [known, repr(self.account_fields().fields) if inner else None]

    @property
    def unread(self) -> frozenset[str]:
        """Columns that are not sent: a change in them makes no difference."""
        sent = {column.name for column in (*self.columns.plain, *self.columns.custom)}
        checked = {
            "_sdc_deleted_at",
            *self.keys,
            *self.extra_columns(),
            *sum(self.identities, ()),
        }
        return frozenset(self.properties) - sent - checked

    @property
    def has_custom_fields(self) -> bool:
        """The account can be asked for its custom fields."""
        return self.container is not None

    @functools.cached_property
    def _account_fields(self) -> f.CustomFields:
        return f.CustomFields(self.read_custom_fields())

    def account_fields(self) -> f.CustomFields:
        """The account's custom fields, asked for once per run."""
        return self._account_fields

    def read_custom_fields(self) -> Sequence[f.CustomField]:
        """Ask the vendor for the account's custom fields."""
        return ()

    def converter(
        self, name: str, custom: f.CustomField | None, schema: Mapping[str, Any]
    ) -> f.Convert | None:
        """How a column's values become the vendor's; `None`: as they are."""
        if custom is None and name in self.phones and (region := self.config.get("phone_region")):
            return f.phone(name, region, extension=True)
        if custom is None and name in self.emails:
            return f.email(name)
        format_ = format_of(schema)
        if format_ == "date-time":
            return f.date_time(name, type(self).render_date_time)
        if format_ == "date":
            return f.date_time(name, type(self).render_date)
        return None

    render_date_time: ClassVar[Render | None] = None
    """datetime (naive UTC) -> the vendor's form; `None` sends the text unchanged."""
    render_date: ClassVar[Render | None] = None
    """datetime (UTC midnight) -> the vendor's form; `None` sends the text unchanged."""

    def custom_values(self, record: JSON) -> JSON:
        """The record's custom fields: field id -> value, of its columns and its container.

        Raises:
            Rejection: a value does not fit, or the container is not an object.
        """
        values = self.custom_columns(record)
        if self.container and not f.is_null(inner := record.get(self.container)):
            for name, field, value in f.custom_members(self.unpack(inner), self.account_fields()):
                if value is None and not self.send_nulls:
                    continue
                if field is not None:
                    convert = self.converter(field.id, field, {})
                    values[field.id] = convert(value) if convert and value is not None else value
                else:
                    self._unknown_custom(name, value, values)
        return values

    def _unknown_custom(self, name: str, value: Any, values: JSON) -> None:
        treatment = self.config["unknown_fields"]
        if treatment == "error":
            raise invalid(f"{self.container}: the account has no custom field {name!r}")
        if treatment == "send":
            values[name] = value
        elif name not in self._warned:
            self._warned.add(name)
            self.logger.warning(
                "%s: left out, since the account has no custom field %r (setting unknown_fields)",
                self.stream,
                name,
            )

    def unpack(self, container: Any) -> JSON:
        """The container's custom fields by id, key or name."""
        if not isinstance(container, dict):
            raise invalid(f"{self.container}: {f.shortened(container)} is not an object")
        return container

    # --- a record -------------------------------------------------------------------------------

    def prepare(self, record: JSON, op: Operation) -> None:
        """Turn a record into the operation: body, id, identities, group.

        Raises:
            Rejection: it must not be sent.
        """
        op.body = self.plain_values(record)

    def key_suffix(self, record: JSON) -> str:
        """What is part of the key whatever the key is.

        Asked before anything else of a record, so that one that is rejected has the key that it has
        once it is corrected.
        """
        return ""

    def meaning(self) -> Any:
        """Settings that change what the vendor gets without changing a body; JSON values."""
        return None

    def skip(self, op: Operation) -> bool:
        """Whether a setting forbids that it is ever sent."""
        return False

    def is_current(self, op: Operation) -> bool:
        """Whether what the ledger knows of the key (`op.row`, of the same content) still holds.

        Asked on the main thread, in the order of the records.
        """
        return True

    def restore_id(self, op: Operation) -> None:  # noqa: B027 - only some know more
        """Correct `op.remote_id`, the ledger row's if it has one: the operation is sent next.

        Called on the main thread, in the order of the records; may read the ledger.
        """

    def person(self, op: Operation) -> Person:
        """Whom an operation reaches; any thread may ask."""
        region = self.config.get("phone_region")
        emails = [fold_email(op.body.get(name)) for name in self.emails]
        phones = [dialled_phone(op.body.get(name), region) for name in self.phones]
        return Person(tuple(filter(None, (*emails, *phones, *op.reached))))

    def custom_phones(self, values: Mapping[str, Any]) -> list[str]:
        """The phones among custom fields (by id), as they are compared; told by their names."""
        region = self.config.get("phone_region")
        return [
            dialled_phone(values[field.id], region)
            for field in (self.account_fields().fields if values else ())
            if field.id in values and any(map(is_phone_column, field.names))
        ]

    def precondition(self, op: Operation) -> Rejection | None:
        """Whether an operation whose record was looked up can be sent (main thread).

        Returns:
            Why it cannot.
        """
        return None

    def before_send(self, op: Operation) -> Rejection | None:
        """A guard at the last moment: after every wait, before a request leaves.

        Called in the thread that sends, before each try.

        Returns:
            Why the operation is kept back.

        Raises:
            StopRun: nothing more must be sent in this run.
        """
        return None

    def find(self, op: Operation) -> str | None:
        """Ask the vendor for the record's id; `None` if there is none.

        Raises:
            Rejection: there is one that must not be touched.
        """
        raise NotImplementedError

    def can_find(self, op: Operation) -> bool:
        """Whether `find` can tell."""
        return self.has_lookup

    def joins_parents(self, op: Operation) -> Hashable | None:
        """With `group_by_parent`: operations of several parents that share this may go in one call.

        `batch_limit` is the number of parents. None: a call for each parent.
        """
        return None

    @abc.abstractmethod
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        """Carry out operations that go together; the outcomes in the same order.

        Raises:
            Refused: the vendor refused the request (halved by the caller if there are several).
            Uncertain: a create or an at-most-once request may have arrived.
            StopRun: the run cannot go on.
        """

    def describe(self, op: Operation) -> str:
        """What would be sent, for a dry run: long texts and what is personal cut short."""
        shown = [
            f"{name}={f.masked(value) if name in self.personal else f.shortened(value)}"
            for name, value in op.body.items()
        ]
        return ", ".join([*([f"id {op.remote_id}"] if op.remote_id else []), *shown])

    def current(self, op: Operation) -> JSON | None:
        """The record `op.remote_id` in the form of `op.body`; `None` if it cannot be read."""
        return None

    def prepare_removal(self, op: Operation) -> None:  # noqa: B027 - only some need it
        """Prepare the removal of a ledger row's record (`mirror`), from `op.remote_id`."""

    def taken_away(self, op: Operation) -> Sequence[str]:
        """The claims (see `Outcome.claims`) that a delete would take away from the vendor's record.

        Nothing where a delete removes the whole record.
        """
        return ()

    def keep(self, op: Operation, kept: Collection[str]) -> bool:
        """Leave out of a delete what belongs to other keys of this sync too.

        Args:
            op: the delete.
            kept: claims out of `taken_away`.

        Returns:
            Whether anything is left to take away.
        """
        return False

    def forget_lookup(self, op: Operation) -> None:  # noqa: B027 - only some keep something
        """What was read from the vendor may have changed: `find` must ask again."""
