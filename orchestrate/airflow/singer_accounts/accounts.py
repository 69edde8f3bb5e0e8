"""The list of accounts: a YAML file, or a query of the warehouse. It has no credentials."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from singer_accounts.connections import hook, text

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
CONNECTION = re.compile(r"[\w#!()\-.:/\\]+")
"""What Airflow takes as the id of a connection. Another one would be looked for with each retry."""
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
SECRET = re.compile(
    r"(KEY|_API_KEYS|SECRETS?|TOKENS?|PASS|PASSWORDS?|PWD|PASSPHRASE|CREDENTIALS?|AUTH|AUTHORIZATION"
    r"|JWT|COOKIES?|_SID|_UR[IL]|_DSN|CONNECTION_STRING|NOTIFY)$|^AIRFLOW"
)
"""Variables that may have a credential; an address (`_API_URL`) may stand in the list."""
ADDRESS = re.compile(r"_(API|AUTH|AUTOMATION|MESSAGE)_URL$")
PASSWORD = re.compile(r"://[^/]*@")
"""An address with a user in it has a password too."""


class Texts(yaml.SafeLoader):
    """Reads a scalar as the text that stands there: `0123` is the name of an account, not 83."""

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The object, which must not have a name twice: the dash before `account` is missing."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                problem = f"{name} stands twice in one object"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


Texts.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag == "tag:yaml.org,2002:null"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class AccountsError(ValueError):
    """The list of accounts is wrong; the text says where, and what is accepted."""


@dataclass(frozen=True, slots=True)
class Query:
    """Accounts that are rows of a table.

    Args:
        connection: id of the Airflow connection of the database.
        sql: a SELECT with the columns `account` and `connection`. Each other column is a variable,
            named as such: `location as "TARGET_REISOFTWARE_LOCATION_ID"`. A null sets none.
    """

    connection: str
    sql: str


@dataclass(frozen=True, slots=True)
class Account:
    """One account.

    Args:
        name: the setting `account` of its plugins, and part of the id of its state.
        connection: id of the Airflow connection with its credentials.
        variables: settings of its own, as Meltano reads them from the environment.
    """

    name: str
    connection: str
    variables: Mapping[str, str]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Account:
        """Check one entry of the list.

        Args:
            row: `account`, `connection`, and variables by their names.

        Raises:
            AccountsError: a name is missing or not accepted, or a variable may be a credential.
        """
        name, connection = str(row.get("account") or ""), str(row.get("connection") or "")
        if not name:
            msg = f"an entry has no account; it has {', '.join(map(str, row)) or 'nothing'}"
            raise AccountsError(msg)
        if not NAME.fullmatch(name):
            msg = f"account {name!r}: a name has letters (A-Z, a-z), digits and _.-, at most 60"
            raise AccountsError(msg)
        given = {k: v for k, v in row.items() if k not in ("account", "connection")}
        for variable in given:
            if not VARIABLE.fullmatch(variable):
                msg = f"account {name}: {variable!r} is no name of a variable (TARGET_X_SETTING)"
                raise AccountsError(msg)
            named = SECRET.search(variable) and not ADDRESS.search(variable)
            if named or PASSWORD.search(str(given[variable])):
                msg = (
                    f"account {name}: {variable} may be a credential, and has no place in the "
                    "list: put it into the account's connection, and name it in `credentials`"
                )
                raise AccountsError(msg)
        if not connection:
            msg = f"account {name}: connection is missing (the id of an Airflow connection)"
            raise AccountsError(msg)
        if not CONNECTION.fullmatch(connection):
            msg = f"account {name}: connection has a character that no id of a connection has"
            raise AccountsError(msg)
        variables = {k: text(v) for k, v in given.items() if v is not None}
        return cls(name, connection, variables)

    def row(self) -> dict[str, str]:
        """The entry of the list again: what Airflow maps a task over."""
        return {"account": self.name, "connection": self.connection, **self.variables}


def read(source: Path | Query) -> list[Account]:
    """Read the list.

    Raises:
        AccountsError: it is not a list of accounts, or has an account twice, by its name or by its
            credentials.
    """
    rows = _rows_of_query(source) if isinstance(source, Query) else _rows_of_file(source)
    accounts = [Account.of(row) for row in rows]
    seen: set[str] = set()
    settings: dict[tuple[str, frozenset[tuple[str, str]]], str] = {}
    for account in accounts:
        # Its state and its ledger would be those of the other one.
        if account.name.casefold() in seen:
            msg = f"account {account.name} is listed twice"
            raise AccountsError(msg)
        seen.add(account.name.casefold())
        # One account at the vendor with two ledgers: its people would get the other one's messages.
        own = (account.connection, frozenset(account.variables.items()))
        if (other := settings.setdefault(own, account.name)) != account.name:
            msg = f"accounts {other} and {account.name} have the same connection and variables"
            raise AccountsError(msg)
    if not accounts:
        msg = f"{source} lists no account"
        raise AccountsError(msg)
    return accounts


def _rows_of_file(path: Path) -> Sequence[Mapping[str, Any]]:
    try:
        content = yaml.load(path.read_text("utf-8"), Texts)  # noqa: S506 - a SafeLoader
    except UnicodeDecodeError:
        msg = f"{path} is not YAML: it is not UTF-8 text"
        raise AccountsError(msg) from None
    except yaml.MarkedYAMLError as error:  # its own text shows the line, and so what is in it
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        msg = f"{path} is not YAML: {error.problem}{line}"
        raise AccountsError(msg) from None
    except yaml.YAMLError:
        msg = f"{path} is not YAML: it has a control character"
        raise AccountsError(msg) from None
    rows = content.get("accounts") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        msg = f"{path}: expected `accounts:`, a list of objects with account and connection"
        raise AccountsError(msg)
    return rows


def _rows_of_query(query: Query) -> Iterable[Mapping[str, Any]]:
    def rows(cursor: Any) -> list[dict[str, Any]]:
        names = [str(column[0]) for column in cursor.description]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            msg = f"the query gives the column {twice[0]} twice"
            raise AccountsError(msg)
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    found: list[dict[str, Any]] = hook(query.connection).run(query.sql, handler=rows)
    return found
