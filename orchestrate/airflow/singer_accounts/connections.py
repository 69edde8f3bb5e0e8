"""Airflow connections, from whichever secrets backend: read inside a task only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.log import mask_secret
from sqlalchemy import URL

FIELDS = ("login", "password", "host", "schema")
OF_ADDRESS = ("host", "schema")
"""No secrets: a log in which each `https` is masked cannot be read."""
DIALECTS = {"postgres": "postgresql"}
"""Airflow's type of a connection -> SQLAlchemy's name, where they differ."""


OF_HOOKS = frozenset({
    "aws_conn_id", "azure_conn_id", "cluster-identifier", "cursor", "iam", "redshift",
    "redshift-serverless", "sqlalchemy_query", "sqlalchemy_scheme", "workgroup-name",
})  # fmt: skip
"""Extras that Airflow's own hook of PostgreSQL reads and does not pass on."""
OF_POSTGRES = frozenset({
    "application_name", "channel_binding", "client_encoding", "connect_timeout",
    "fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "hostaddr", "keepalives",
    "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname",
    "load_balance_hosts", "max_protocol_version", "min_protocol_version", "oauth_client_id",
    "oauth_client_secret", "oauth_issuer", "oauth_scope", "options", "passfile", "require_auth",
    "requirepeer", "scram_client_key", "scram_server_key", "service", "servicefile",
    "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcertmode",
    "sslcompression", "sslcrl", "sslcrldir", "sslkey", "sslkeylogfile", "sslmode",
    "sslnegotiation", "sslpassword", "sslrootcert", "sslsni", "target_session_attrs",
    "tcp_user_timeout",
})  # fmt: skip
"""Options of a connection that PostgreSQL's library (18) knows."""
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def hook(connection: str) -> Any:
    """The hook of a database's connection (of `common.sql`)."""
    return Connection.get(connection).get_hook()


def credentials(connection: str, parts: Mapping[str, str]) -> dict[str, str]:
    """An account's credentials, as variables.

    Args:
        connection: id of the connection.
        parts: variable -> the part of the connection: one of `FIELDS`, or a name in its extra.

    Raises:
        AirflowFailException: the connection has no such part.
    """
    found = Connection.get(connection)
    extra = _extra(found)
    values: dict[str, str] = {}
    for variable, part in parts.items():
        value = getattr(found, part) if part in FIELDS else extra.get(part)
        if not value:
            has = [f for f in FIELDS if getattr(found, f)] + sorted(extra)
            msg = f"Connection {connection} has no {part}, for {variable}; it has {', '.join(has)}"
            raise AirflowFailException(msg)
        values[variable] = text(value)
        # A plugin that is not ours may log it; Airflow itself masks what has a telling name.
        if part not in OF_ADDRESS:
            mask_secret(values[variable])
    return values


def text(value: Any) -> str:
    """A value as Meltano reads it from the environment."""
    return json.dumps(value) if isinstance(value, bool | list | dict) else str(value)


def database_url(connection: str, *, driver: str = "") -> str:
    """The URL of the database that outlives a task.

    `driver` is for programs that would take another one for PostgreSQL than they have.

    Raises:
        AirflowFailException: it is not PostgreSQL, or as of `sqlalchemy_url`.
    """
    url = sqlalchemy_url(connection)
    dialect, _, rest = url.partition("://")
    if dialect != "postgresql":
        msg = f"Connection {connection} is for {dialect}: it has to be PostgreSQL (type postgres)"
        raise AirflowFailException(msg)
    return f"{dialect}+{driver}://{rest}" if driver else url


def sqlalchemy_url(connection: str) -> str:
    """The SQLAlchemy URL of a database's connection, with its password.

    Raises:
        AirflowFailException: the connection has no type, or PostgreSQL does not know an option in
            its extra, or the value of one.
    """
    found = Connection.get(connection)
    if not found.conn_type:
        msg = f"Connection {connection} has no type: postgres, for example"
        raise AirflowFailException(msg)
    dialect = DIALECTS.get(found.conn_type, found.conn_type)
    extra = _extra(found)
    if dialect == "postgresql":
        extra = _options(connection, extra)
    url = URL.create(
        dialect,
        found.login,
        found.password,
        found.host,
        found.port,
        found.schema,
        {name: str(value) for name, value in extra.items()},
    )
    if found.password:  # as it stands in the URL; Airflow masks it as it is
        mask_secret(URL.create("x", "", found.password).render_as_string(hide_password=False)[5:-1])
    return url.render_as_string(hide_password=False)


def _extra(found: Any) -> dict[str, Any]:
    """The extra of a connection.

    Airflow takes one that it cannot read as empty: a connection would then lose its `sslmode`.

    Raises:
        AirflowFailException: it is no JSON object.
    """
    try:
        extra = json.loads(found.extra or "{}")
    except ValueError:
        extra = "no JSON"
    if not isinstance(extra or {}, dict):
        msg = f"Connection {found.conn_id}: its extra is no JSON object"
        raise AirflowFailException(msg)
    mask_secret(extra)
    return extra or {}


def _options(connection: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The options in a connection's extra that are passed on to PostgreSQL.

    A program that gets another option ends before it can write a report, so Airflow would retry
    it, without effect.

    Raises:
        AirflowFailException: PostgreSQL does not know an option, or its value.
    """
    options = {
        name: int(value) if isinstance(value, bool) else value  # `keepalives` is 0 or 1
        for name, value in extra.items()
        if name not in OF_HOOKS
    }
    if unknown := sorted(options.keys() - OF_POSTGRES):
        msg = (
            f"Connection {connection}: the extra {', '.join(unknown)} is no option of PostgreSQL: "
            "remove it, or correct its name (sslmode, sslrootcert, options, ...)"
        )
        raise AirflowFailException(msg)
    if (mode := options.get("sslmode", "prefer")) not in SSL_MODES:
        msg = f"Connection {connection}: sslmode {mode!r} is none of {', '.join(SSL_MODES)}"
        raise AirflowFailException(msg)
    return options
