from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_accounts import Query, accounts
from singer_accounts.accounts import Account, AccountsError, read

DALLAS = {"account": "dallas", "connection": "merlin_dallas"}


def listed(folder: Path, text: str) -> list[Account]:
    path = folder / "accounts.yml"
    path.write_text(text)
    return read(path)


def test_a_file_lists_accounts_with_variables_of_their_own(tmp_path: Path) -> None:
    text = """
accounts:
- {account: dallas, connection: merlin_dallas}
- {account: reno, connection: merlin_reno, TARGET_ACTIONAPI_MAX_MESSAGES: 50}
"""
    assert listed(tmp_path, text) == [
        Account("dallas", "merlin_dallas", {}),
        Account("reno", "merlin_reno", {"TARGET_ACTIONAPI_MAX_MESSAGES": "50"}),
    ]


def test_a_scalar_of_a_file_is_the_text_that_stands_there(tmp_path: Path) -> None:
    text = """
accounts:
- {account: 0123, connection: 0017, TARGET_X_QUIET_HOURS: 21:00, TARGET_X_FIRST_RUN: true}
- {account: 1.10, connection: no, TARGET_X_RATE_LIMIT: null, TARGET_X_SYNC:}
"""
    # YAML's numbers would make these accounts "83" and "1.1", with an empty ledger.
    assert listed(tmp_path, text) == [
        Account("0123", "0017", {"TARGET_X_QUIET_HOURS": "21:00", "TARGET_X_FIRST_RUN": "true"}),
        Account("1.10", "no", {}),
    ]


def test_accounts_may_share_a_connection_if_a_variable_tells_them_apart(tmp_path: Path) -> None:
    text = """
accounts:
- {account: a, connection: agency, TARGET_REISOFTWARE_LOCATION_ID: L1}
- {account: b, connection: agency, TARGET_REISOFTWARE_LOCATION_ID: L2}
"""
    assert [account.name for account in listed(tmp_path, text)] == ["a", "b"]


def test_an_object_is_given_to_meltano_as_json(tmp_path: Path) -> None:
    keys = "TARGET_X_KEYS: {contacts: [owner_id]}"
    (account,) = listed(tmp_path, f"accounts: [{{account: a, connection: c, {keys}}}]")
    assert account.variables == {"TARGET_X_KEYS": '{"contacts": ["owner_id"]}'}


def test_a_row_of_a_query_is_an_account_and_null_sets_no_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Cursor:
        description = (("account",), ("connection",), ("TARGET_ACTIONAPI_RATE_LIMIT",))

        def fetchall(self) -> list[tuple[Any, ...]]:
            return [("dallas", "merlin_dallas", None), ("reno", "merlin_reno", "5/s")]

    class Hook:
        def run(self, sql: str, handler: Any) -> Any:
            assert sql == "select 1"
            return handler(Cursor())

    monkeypatch.setattr(accounts, "hook", lambda connection: Hook())
    assert read(Query("warehouse", "select 1")) == [
        Account("dallas", "merlin_dallas", {}),
        Account("reno", "merlin_reno", {"TARGET_ACTIONAPI_RATE_LIMIT": "5/s"}),
    ]


def test_a_column_that_a_query_gives_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cursor:
        description = (("account",), ("connection",), ("connection",))

        def fetchall(self) -> list[tuple[Any, ...]]:
            return [("dallas", "merlin_dallas", "merlin_reno")]

    class Hook:
        def run(self, sql: str, handler: Any) -> Any:
            return handler(Cursor())

    # Of a join, for example: the account would get the credentials of the last one.
    monkeypatch.setattr(accounts, "hook", lambda connection: Hook())
    with pytest.raises(AccountsError, match="the query gives the column connection twice"):
        read(Query("warehouse", "select 1"))


@pytest.mark.parametrize(
    "variable",
    [
        "TARGET_ACTIONAPI_API_KEY",
        "TARGET_AUTOREACH_CLIENT_SECRET",
        "TARGET_EMAILMARKETING_SID",
        "TAP_POSTGRES_SQLALCHEMY_URL",
        "TARGET_AUTOREACH_DATABASE_URL",
        "TARGET_AUTOREACH_NOTIFY",
        "MELTANO_DATABASE_URI",
        "TAP_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
        "TAP_BIGQUERY_CREDENTIALS",
        "TAP_SHOP_AUTH",
        "TAP_SHOP_API_KEYS",
        "TAP_SHOP_REFRESH_TOKENS",
        "TAP_MSSQL_PWD",
        "AIRFLOW_CONN_MERLIN_DALLAS",
    ],
)
def test_the_list_has_no_place_for_a_credential(variable: str) -> None:
    with pytest.raises(AccountsError, match=f"{variable} may be a credential"):
        Account.of({**DALLAS, variable: "x"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TARGET_EMAILMARKETING_API_URL", "https://dallas.example.com"),
        ("TARGET_ACTIONAPI_KEYS", '{"sms": ["message_id"]}'),
    ],
)
def test_a_setting_that_looks_like_a_credential_by_its_name_is_none(
    variable: str, value: str
) -> None:
    row = {**DALLAS, variable: value}
    assert Account.of(row).row() == row


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "TARGET_EMAILMARKETING_API_URL"])
def test_an_address_with_a_password_is_a_credential(variable: str) -> None:
    with pytest.raises(AccountsError, match=f"{variable} may be a credential") as raised:
        Account.of({**DALLAS, variable: "https://ann:p4ss@proxy.example.com"})
    assert "p4ss" not in str(raised.value)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"connection": "c"}, "no account; it has connection"),
        ({"ACCOUNT": "a", "CONNECTION": "c"}, "no account; it has ACCOUNT, CONNECTION"),
        ({"account": "münchen", "connection": "c"}, "A-Z, a-z"),
        ({"account": "a", "connection": " c "}, "a character that no id"),
        ({"account": "a", "connection": ["c"]}, "a character that no id"),
        ({"account": "a b", "connection": "c"}, "'a b'"),
        ({"account": "../up", "connection": "c"}, "digits and _"),
        ({"account": "a"}, "connection is missing"),
        ({**DALLAS, "rate_limit": "1/s"}, "no name of a variable"),
    ],
)
def test_a_wrong_entry_is_named(row: dict[str, Any], says: str) -> None:
    with pytest.raises(AccountsError, match=says):
        Account.of(row)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            # The dash of the second one is missing: dallas would not run.
            "accounts:\n- account: dallas\n  connection: c\n  account: reno\n  connection: d",
            "account stands twice in one object, line 4",
        ),
        ("accounts: [{account: \x00, connection: p4ss}]", "has a control character"),
        ("accounts: {}", "expected `accounts:`"),
        ("accounts: []", "lists no account"),
        ("accounts:\n- {account: a, API: p4ss\n- x", "is not YAML: .*, line 3"),
        ("accounts:\n- !!python/name:os.system p4ss", "is not YAML: .*, line 2"),
        (
            "accounts:\n- {account: a, connection: c}\n- {account: A, connection: d}",
            "A is listed twice",
        ),
        (
            "accounts:\n- {account: a, connection: c}\n- {account: b, connection: c}",
            "accounts a and b have the same connection",
        ),
    ],
)
def test_a_wrong_list_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(AccountsError, match=says) as raised:
        listed(tmp_path, text)
    assert "p4ss" not in str(raised.value)


def test_a_list_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "accounts.yml"
    path.write_bytes("accounts:\n- {account: a, connection: é}".encode("latin-1"))
    with pytest.raises(AccountsError, match="is not YAML: it is not UTF-8 text"):
        read(path)
