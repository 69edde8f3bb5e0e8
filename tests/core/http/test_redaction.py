"""No secret in any log line, exception text or traceback."""

from __future__ import annotations

import base64
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
from singer_sdk.logging import StructuredFormatter

from singer_http import redaction
from singer_http.redaction import redact

SECRET = 's3cr+et/"key\\é'


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger, and what it writes."""
    redaction.add(SECRET)
    logger = logging.getLogger("some.library")
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield logger, out
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    "disguise",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        repr(SECRET.encode()),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"u:{SECRET}".encode()).decode(),
        base64.b64encode(f"us:{SECRET}!".encode()).decode(),
        base64.urlsafe_b64encode(f"use:{SECRET}!".encode()).decode(),
    ],
)
def test_a_secret_is_known_in_every_disguise(disguise: str) -> None:
    redaction.add(SECRET)
    safe = redact(f"before {disguise} after")
    assert redaction.MASK in safe
    assert disguise not in safe
    assert safe.startswith("before ")
    assert safe.endswith(" after")


def test_a_secret_within_another_leaves_nothing_of_it() -> None:
    redaction.add("inner-secret")
    redaction.add("outer-inner-secret-outer")
    assert redact("x outer-inner-secret-outer y") == "x [secret] y"


def test_a_short_secret_counts_where_it_stands_alone() -> None:
    redaction.add("q7")
    assert redact("key=q7, q7up") == "key=[secret], q7up"


def test_the_password_in_a_database_url_is_a_secret_too() -> None:
    redaction.add("postgresql://me:p%40ssw0rd-1@host/db")
    assert redact("password p@ssw0rd-1 is wrong") == "password [secret] is wrong"


def test_nothing_is_no_secret() -> None:
    redaction.add("")
    redaction.add(None)
    assert redact("any text") == "any text"


def test_log_lines_of_any_logger_are_redacted(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = log
    logger.debug('https://host:443 "GET /audience/v1/%s/list HTTP/1.1"', quote(SECRET))
    logger.info("%(key)s", {"key": SECRET})
    logger.info(f"bad format %d {SECRET}", "x")  # noqa: G004
    assert out.getvalue().count("[secret]") == 3
    assert SECRET not in out.getvalue()


def test_tracebacks_are_redacted(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = log
    for formatter in (logging.Formatter(), StructuredFormatter()):
        logger.handlers[0].setFormatter(formatter)
        try:
            try:
                raise KeyError(SECRET)
            except KeyError as cause:
                raise RuntimeError(f"failed with {SECRET}") from cause
        except RuntimeError:
            logger.exception("It failed")
    text = out.getvalue()
    assert "failed with [secret]" in text
    assert "test_tracebacks_are_redacted" in text
    for form in (SECRET, repr(SECRET)[1:-1], json.dumps(SECRET)[1:-1]):
        assert form not in text


def test_a_clean_traceback_is_left_as_it_is(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = log
    try:
        raise ValueError("plain")
    except ValueError:
        logger.exception("It failed")
    assert "ValueError: plain" in out.getvalue()


def test_a_failing_thread_shows_no_secret() -> None:
    code = (
        "import threading\n"
        "from singer_http import redaction\n"
        "redaction.add('very-secret')\n"
        "def fail(): raise RuntimeError('with very-' + 'secret')\n"
        "t = threading.Thread(target=fail); t.start(); t.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "with [secret]" in done.stderr
    assert "very-secret" not in done.stderr.replace("redaction.add('very-secret')", "")


def test_secrets_can_be_added_while_others_log(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = log
    threads = [
        threading.Thread(target=lambda i=i: redaction.add(f"token-{i}-{i}")) for i in range(20)
    ]
    for thread in threads:
        thread.start()
        logger.info("a line")
    for thread in threads:
        thread.join()
    logger.info("token-19-19 and token-0-0")
    assert out.getvalue().endswith("[secret] and [secret]\n")
