"""What people see: no secret, no Python, where the page is, and what stands outstanding."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from singer_sandbox import Sandbox
from tests.core.plugin.test_check import check, ticks
from tests.findings.inputs import PEOPLE, person, rows
from tests.front_door import JSON, Plugin, Result

KEY = "sk/live/ab+c=d&<x>'"
ESCAPINGS: dict[str, str] = {
    "plain": KEY,
    "PHP": json.dumps(KEY).strip('"').replace("/", "\\/"),
    "JSON": json.dumps(KEY).strip('"'),
    "URL": quote(KEY, safe=""),
    "HTML": html.escape(KEY),
    "HTML numbers": "".join(f"&#{ord(c)};" for c in KEY),
    "base64": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "upper \\u": "".join(f"\\u{ord(c):04X}" for c in KEY),
}


def everything(plugin: Plugin, result: Result) -> str:
    """All that a run shows and leaves."""
    files = [
        p.read_bytes().decode("utf-8", "replace") for p in plugin.work_dir.rglob("*") if p.is_file()
    ]
    return "\n".join([result.stdout, result.stderr, *files])


@pytest.mark.parametrize("form", ESCAPINGS)
@pytest.mark.parametrize("answer", ['{{"msg":"Key {} may not do that"}}', "Key {} may not do that"])
def test_a_key_that_the_vendor_echoes_stands_nowhere(
    rei: Plugin, sandbox: Sandbox, form: str, answer: str
) -> None:
    """H26"""
    sandbox.account("rei", "default", api_key=KEY)
    text = answer.format(ESCAPINGS[form])
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", status=422, answer=text)
    result = rei.run(rows("contacts", {"key": "1", "email": "a@example.com"}), api_key=KEY)
    assert len(result.rejects) == 1, result.stderr
    shown = everything(rei, result)
    assert not [name for name, secret in ESCAPINGS.items() if secret in shown]
    assert not re.search(r"\Wlive\W", shown)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:pa@ss-4711@127.0.0.1:1/db",
        "postgresql://user:4711/x@127.0.0.1:1/db",
        "postgresql://user:p%40ss-4711@127.0.0.1:1/db",
        "postgresql://user:4711#x@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?password=4711",
    ],
)
def test_a_password_in_a_database_url_is_never_shown(autoreach: Plugin, url: str) -> None:
    """H26"""
    result = autoreach.run([PEOPLE, person("a")], ledger_url=url)
    assert result.exit_code == 1
    assert "ledger_url" in result.error or "database_url" in result.error
    assert "4711" not in everything(autoreach, result)


LOST: list[JSON] = [{"drop": True}, {"cut": True}, {"status": 503}]


@pytest.mark.parametrize("fault", LOST, ids=str)
def test_a_reason_quotes_no_python(merlin: Plugin, sandbox: Sandbox, fault: JSON) -> None:
    """R11"""
    sandbox.fault(vendor="merlin", times=None, **fault)
    sms = {"id": "1", "number": "+16193596440", "text": "Hello"}
    result = merlin.run(rows("sms", sms, keys=("id",)))
    (reject,) = result.rejects
    reason = reject["rejection"]["reason"]
    for python in ("Error(", "('", "Traceback", "object at", "HTTPConnectionPool", "<class"):
        assert python not in reason
        assert python not in result.error


def test_a_runs_last_lines_name_the_reasons_and_the_files(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """R11"""
    bad = [person(f"x{i}", email="nonsense") for i in range(30)]
    result = autoreach.run(
        [PEOPLE, *bad, person("a", phone="letters"), person("b")], max_rejects=""
    )
    last = "\n".join(result.stderr.splitlines()[-15:])
    assert str(autoreach.path("rejects.jsonl")) in last
    assert str(autoreach.path("report.html")) in last
    assert "email" in last
    assert "30" in last


def test_the_page_says_whose_run_it_was(autoreach: Plugin, sandbox: Sandbox) -> None:
    """R11"""
    autoreach.config["account"] = "branch-seven"
    autoreach.run([PEOPLE, person("a")], mode="upsert", sync="nightly")
    (page,) = [p.read_text() for p in autoreach.work_dir.glob("*nightly.report.html")]
    for word in ("branch-seven", "nightly", "upsert", "people"):
        assert word in page


def test_a_page_over_rejects_is_not_simply_ok(autoreach: Plugin, sandbox: Sandbox) -> None:
    """R11"""

    def badge(messages: list[Any]) -> str:
        autoreach.run(messages, max_rejects="")
        page = autoreach.path("report.html").read_text()
        body = page[page.index("<body") :]
        return body[: body.index("</header>") if "</header>" in body else 1500]

    good = badge([PEOPLE, person("a")])
    bad = badge([PEOPLE, *(person(f"x{i}", email="nonsense") for i in range(56)), person("b")])
    assert "56 rejects" in bad
    assert "rejects" not in good


def test_the_next_runs_page_does_not_replace_another_accounts(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """R11"""
    sandbox.account("autoreach", "two", client_id="two", client_secret="two-secret")
    autoreach.run([PEOPLE, person("a")], account="one")
    autoreach.run([PEOPLE, person("b")], account="two", client_id="two", client_secret="two-secret")
    names = {path.name for path in autoreach.work_dir.glob("*.report.html")}
    assert names == {"target-autoreach.one.report.html", "target-autoreach.two.report.html"}


# --- R12 ----------------------------------------------------------------------------------------


def test_a_check_of_kasplo_without_a_list_does_not_pass(sandbox: Sandbox, tmp_path: Path) -> None:
    """R12"""
    result = check(Plugin("target-emailmarketing", sandbox, tmp_path))
    assert result.exit_code == 1
    assert any("list" in line for line in ticks(result).values() if line.startswith("✗"))


def test_a_check_of_kasplo_with_a_list_that_is_not_there_does_not_pass(kasplo: Plugin) -> None:
    """R12"""
    assert check(kasplo).exit_code == 0
    assert check(kasplo, list="Nowhere").exit_code == 1


def test_a_check_shows_custom_fields_by_name(rei: Plugin, sandbox: Sandbox, kasplo: Plugin) -> None:
    """R12"""
    shown = " ".join(ticks(check(rei)).values())
    assert "Parcel ID" in shown
    assert "Value" in shown
    shown = " ".join(ticks(check(kasplo)).values())
    assert "city" in shown
    assert "c1" not in shown
