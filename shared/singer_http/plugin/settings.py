"""The settings that every tap and every target has, and how settings are checked.

Each is declared once. A plugin adds its own:

    config_jsonschema = tap_settings(
        Property("api_key", StringType, required=True, secret=True, description="..."),
        rate_limit="100/10s",
    )
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from singer_http.plugin.validation import ALWAYS, EVERY_FIELD, is_secret, whole_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COMMON_SETTINGS: tuple[th.Property[Any], ...] = (
    th.Property(
        "timeout",
        th.NumberType(exclusive_minimum=0, maximum=86_400),
        default=30,
        description="Seconds to wait for a connection, then for the whole answer, of a request.",
    ),
    th.Property(
        "max_retries",
        th.IntegerType(minimum=0),
        default=5,
        description="Further tries of a request that may be repeated.",
    ),
    th.Property(
        "max_wait",
        th.IntegerType(minimum=0),
        default=300,
        description=(
            "The longest pause in seconds that is waited for: one that the vendor names "
            "(Retry-After), or one of more than a minute that rate_limit makes necessary. Beyond "
            "it the run stops and names the time to run it again. A tap that has begun to read, "
            "and a target that has sent requests but delivered nothing new, wait for rate_limit in "
            "any case: the next run would begin again."
        ),
    ),
    th.Property(
        "rate_limit",
        th.StringType,
        default="10/s",
        description=(
            "Requests per time as the vendor sees it, never more in any window of that length: "
            "'10/s', several with commas: '100/10s,200000/day'; empty for none. Shared by all "
            "threads, and by all processes of one account that share a work_dir or a database_url."
        ),
    ),
    th.Property(
        "concurrency",
        th.IntegerType(minimum=1, maximum=64),
        default=4,
        description="Requests in flight at once.",
    ),
    th.Property(
        "database_url",
        th.StringType,
        secret=True,
        description=(
            "SQLAlchemy URL of the database (SQLite or PostgreSQL) that holds everything that must "
            "outlive a run: ledger, rejects, reports, tokens, rate windows. Default: SQLite in "
            "work_dir. With PostgreSQL work_dir may be empty at each start."
        ),
    ),
    th.Property(
        "work_dir",
        th.StringType,
        description=(
            "Folder for the default database, and for the files that a run leaves for people. "
            "Default: $MELTANO_PROJECT_ROOT/.singer-http where that is set, else ./.singer-http."
        ),
    ),
    th.Property(
        "account",
        th.StringType(pattern=r".{1,200}"),
        description=(
            "Whose data this is. Default: made from the credentials. Set it to the old name after "
            "a key rotation, to a new one for another account."
        ),
    ),
)
"""What every plugin has."""

TARGET_SETTINGS: tuple[th.Property[Any], ...] = (
    th.Property(
        "sync",
        th.StringType(pattern=r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"),
        default="default",
        description=(
            "The name of this pipeline, part of every ledger row and file name: letters, digits, "
            "- and _. Two pipelines into one target need two names."
        ),
    ),
    th.Property(
        "source",
        th.StringType,
        description=(
            "The new name of the source stream, where the ledger knows another one for this sync."
        ),
    ),
    th.Property(
        "keys",
        th.ObjectType(additional_properties=th.ArrayType(th.StringType)),
        description=(
            "Stream → the columns that identify a record. Needed where the source has no key "
            "properties (a database view)."
        ),
    ),
    th.Property(
        "mode",
        th.StringType,
        default="upsert",
        allowed_values=["upsert", "update", "create", "mirror"],
        description=(
            "upsert; update (never create); create (never update); mirror (upsert, and remove the "
            "records that this sync wrote and that the source no longer has)."
        ),
    ),
    th.Property(
        "mirror_count",
        th.StringType,
        description=(
            "The column that holds the extract's row count (count(*) over () in the view), "
            "required by mode mirror: nothing is removed unless exactly that many rows came in. "
            "'trust' takes the end of input as complete: an extract that ended early can then "
            "remove too much."
        ),
    ),
    th.Property(
        "max_deletes",
        th.StringType,
        default="10%",
        description=(
            "The most that a mirror may remove, that --verify --repair may mark as gone, or that a "
            "run with overwrite creates again because the vendor's list lacks it: a number, or a "
            "share of the stream's rows (a share always allows 5). Beyond it the run stops."
        ),
    ),
    th.Property(
        "max_rejects",
        th.StringType,
        default="50%",
        description=(
            "The most rejected records of a run: a number, or a share of delivered and rejected "
            "ones (checked from 20 records on). Beyond it the run stops. Empty for no limit."
        ),
    ),
    th.Property(
        "retry_rejects",
        th.BooleanType,
        default=True,
        description="Send what an earlier run rejected again, unless something newer came.",
    ),
    th.Property(
        "uncertain",
        th.StringType,
        default="keep",
        allowed_values=["keep", "resend", "drop"],
        description=(
            "What to do with earlier uncertain rejects: keep them; resend them (checked at the "
            "vendor: none arrived); drop them (all arrived)."
        ),
    ),
    th.Property(
        "lookup_wait",
        th.NumberType(minimum=0),
        default=8,
        description=(
            "Seconds during which a create whose answer was lost is looked up, at growing "
            "intervals (0.5, 1, 2, ...), until it is found."
        ),
    ),
    th.Property(
        "nulls",
        th.StringType,
        default="omit",
        allowed_values=["omit", "send"],
        description="Where the source has null: omit leaves the vendor's value, send clears it.",
    ),
    th.Property(
        "overwrite",
        th.ObjectType(additional_properties=th.StringType),
        default={EVERY_FIELD: ALWAYS},
        description=(
            "Field (* for all others) → whether a value at the vendor is overwritten: always; "
            "if_empty (only where the vendor has none); if_unedited (only where the vendor still "
            "has what this sync wrote last, or none). For records that can be read: REI contacts, "
            "AutoReach members, Merlin contacts. See docs/how-to/edits-in-the-crm.md."
        ),
    ),
    th.Property(
        "unknown_fields",
        th.StringType,
        default="warn",
        allowed_values=["warn", "error", "send"],
        description=(
            "A column that is no vendor field, no custom field and no key: warn once and leave it "
            "out, error before anything is sent, or send it as it is."
        ),
    ),
    th.Property(
        "version_column",
        th.StringType,
        description=(
            "The column that tells one version of a row from another (a hash of the row, a time), "
            "of the source, before stream_maps. It is stored with the delivery, in the view "
            "singer_http_standing, and never sent; a change of it alone sends nothing."
        ),
    ),
    th.Property(
        "suppression",
        th.CustomType({"type": ["string", "array", "null"], "items": {"type": "string"}}),
        description=(
            "Files of emails and phones that must not be reached: one a line, or CSV with the "
            "columns email, phone, number or mobile. A path, or a list of paths. See also the "
            "stream suppressions."
        ),
    ),
    th.Property(
        "dry_run",
        th.BooleanType,
        default=False,
        description=(
            "Determine and report what a run would do. Nothing that changes the vendor is sent; no "
            "state, ledger or rejects are written."
        ),
    ),
    th.Property(
        "full_resync",
        th.BooleanType,
        default=False,
        description=(
            "Send unchanged rows too, for example after changes made at the vendor; never "
            "messages, calls and other at-most-once records."
        ),
    ),
    th.Property(
        "first_run",
        th.BooleanType,
        default=False,
        description=(
            "This really is the first run: messages, calls and the like are sent although the "
            "ledger is empty."
        ),
    ),
    th.Property(
        "notify",
        th.ArrayType(th.StringType),
        secret=True,
        description=(
            "Apprise URLs that get a short message when a run stops, fails or leaves rejects: "
            '["mailto://...", "slack://..."]. Needs the extra notify.'
        ),
    ),
    th.Property(
        "ledger_url",
        th.StringType,
        secret=True,
        description=(
            "Old name of database_url. 'none' keeps no ledger: every record is sent again. It is "
            "refused with mode mirror and with streams that are sent at most once."
        ),
    ),
    th.Property(
        "phone_region",
        th.StringType(pattern=r"[A-Za-z]{2}"),
        description="ISO country code (US); when set, phones are turned into E.164.",
    ),
)
"""What every target has besides."""

OPERATIONAL = frozenset(
    (
        *(item.name for item in COMMON_SETTINGS),
        "sync", "source", "keys", "mode", "mirror_count", "max_deletes", "max_rejects",
        "retry_rejects", "uncertain", "lookup_wait", "suppression", "dry_run", "full_resync",
        "first_run", "notify", "ledger_url", "batch_size_rows", "client_id", "auth_url", "audience",
        "page_param", "page_size_param", "page_size",
    )
)  # fmt: skip
"""Settings that do not change what is sent for a record: which records are sent, when and how.

A sink's key columns are known apart from `keys`, and what it makes of `mode` is its `meaning`."""


def deciding(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that may change what is sent for a record: all but operational ones and secrets.

    Args:
        config: the plugin's settings.
        schema: its `config_jsonschema`.
    """
    declared = schema["properties"]
    return {
        name: value
        for name, value in config.items()
        if name not in OPERATIONAL and not is_secret(declared.get(name, {}))
    }


def client_credentials_settings(*, auth_url: str, audience: str) -> tuple[th.Property[Any], ...]:
    """The settings of `ClientCredentials.from_config`: an OAuth 2 client, its token endpoint.

    Args:
        auth_url: default of the setting, as `audience`.
    """
    return (
        th.Property("client_id", th.StringType, required=True, description="OAuth client id."),
        th.Property(
            "client_secret",
            th.StringType,
            required=True,
            secret=True,
            description="OAuth client secret.",
        ),
        th.Property("auth_url", th.URIType, default=auth_url, description="OAuth token endpoint."),
        th.Property(
            "audience",
            th.StringType,
            default=audience,
            description="The API that the token is for, exactly: a trailing slash matters.",
        ),
    )


def page_settings(
    *, page_param: str, page_size_param: str, page_size: int
) -> tuple[th.Property[Any], ...]:
    """The settings of numbered pages, where the vendor does not document its parameters.

    Args:
        page_param: default of the setting, as the others.
    """
    return (
        th.Property(
            "page_param",
            th.StringType,
            default=page_param,
            description="Query parameter of the page number; the vendor does not document it.",
        ),
        th.Property(
            "page_size_param",
            th.StringType,
            default=page_size_param,
            description="Query parameter of the page size; the vendor does not document it.",
        ),
        th.Property(
            "page_size",
            th.IntegerType(minimum=1),
            default=page_size,
            description="Rows in one page of a list that is read.",
        ),
    )


def tap_settings(*own: th.Property[Any], **defaults: Any) -> dict[str, Any]:
    """A tap's `config_jsonschema`: its own settings, then those of every plugin.

    Args:
        own: the tap's own settings; one with a common name replaces the common one.
        defaults: other defaults for common settings (`rate_limit="100/10s"`).
    """
    return _schema((*own, *COMMON_SETTINGS), defaults)


def database_settings(*own: th.Property[Any]) -> dict[str, Any]:
    """The `config_jsonschema` of a tap that reads the database, and no vendor."""
    places = [item for item in COMMON_SETTINGS if item.name in ("database_url", "work_dir")]
    return _schema((*own, *places), {})


def target_settings(*own: th.Property[Any], **defaults: Any) -> dict[str, Any]:
    """A target's `config_jsonschema`: its own settings, then those of every target and plugin."""
    return _schema((*own, *TARGET_SETTINGS, *COMMON_SETTINGS), defaults)


def _schema(properties: Iterable[th.Property[Any]], defaults: dict[str, Any]) -> dict[str, Any]:
    # A new dict every time: the SDK changes it in place. Built here rather than by
    # PropertiesList, which keeps the last of two properties of one name, not the first.
    schema: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for item in properties:
        if item.name in schema["properties"]:
            continue
        schema["properties"] |= item.to_dict()
        if not item.optional:
            schema["required"].append(item.name)
    for name, value in defaults.items():
        schema["properties"][name]["default"] = value
    for definition in schema["properties"].values():
        if "pattern" in definition:
            definition["pattern"] = whole_text(definition["pattern"])
    return schema
