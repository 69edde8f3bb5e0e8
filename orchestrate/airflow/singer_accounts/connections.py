"""Airflow connections, from whichever secrets backend: read inside a task only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowFailException
from sqlalchemy import URL

FIELDS = ("login", "password", "host", "schema")
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
    extra = found.extra_dejson
    values: dict[str, str] = {}
    for variable, part in parts.items():
        value = getattr(found, part) if part in FIELDS else extra.get(part)
        if not value:
            has = [f for f in FIELDS if getattr(found, f)] + sorted(extra)
            msg = f"Connection {connection} has no {part}, for {variable}; it has {', '.join(has)}"
            raise AirflowFailException(msg)
        values[variable] = str(value)
    return values


def sqlalchemy_url(connection: str, *, driver: str = "") -> str:
    """The SQLAlchemy URL of a database's connection, with its password.

    `driver` is for programs that would take another one for PostgreSQL than they have.

    Raises:
        AirflowFailException: PostgreSQL does not know an option in the extra, or its value.
    """
    found = Connection.get(connection)
    dialect = DIALECTS.get(found.conn_type, found.conn_type)
    extra = found.extra_dejson
    if dialect == "postgresql":
        extra = _options(connection, extra)
    url = URL.create(
        f"{dialect}+{driver}" if driver and dialect == "postgresql" else dialect,
        found.login,
        found.password,
        found.host,
        found.port,
        found.schema,
        {name: str(value) for name, value in extra.items()},
    )
    return url.render_as_string(hide_password=False)


def _options(connection: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The options in a connection's extra that are passed on to PostgreSQL.

    A program that gets another option ends before it can write a report, so Airflow would retry
    it, without effect.

    Raises:
        AirflowFailException: PostgreSQL does not know an option, or its value.
    """
    options = {name: value for name, value in extra.items() if name not in OF_HOOKS}
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
