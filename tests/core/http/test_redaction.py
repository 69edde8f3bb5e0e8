"""No secret in any log line, exception text or traceback."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
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


def php(text: str) -> str:
    """JSON as PHP writes it."""
    return json.dumps(text).replace("/", "\\/")


def twice(escape: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: escape(escape(text))


def based(encode: Callable[[bytes], bytes], offset: int) -> Callable[[str], str]:
    return lambda text: encode(b"u:x"[:offset] + text.encode() + b"!").decode()


ESCAPES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON of PHP": php,
    "JSON with \\u002f": lambda text: json.dumps(text).replace("/", "\\u002f"),
    "JSON with every letter escaped": lambda text: "".join(
        f"\\u{unit:04X}" for unit in memoryview(text.encode("utf-16-le")).cast("H")
    ),
    "JSON in JSON": twice(json.dumps),
    "PHP in PHP": twice(php),
    "URL": quote,
    "URL with / encoded": lambda text: quote(text, safe=""),
    "URL in lower case": lambda text: re.sub(
        "%..", lambda found: found[0].lower(), quote(text, safe="")
    ),
    "query": quote_plus,
    "URL with every letter encoded": lambda text: "".join(f"%{b:02x}" for b in text.encode()),
    "URL in a URL": twice(lambda text: quote(text, safe="")),
    "URL in JSON": lambda text: php(quote(text)),
    "HTML": html.escape,
    "HTML in HTML": twice(html.escape),
    "HTML in numbers": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "HTML in hexadecimal": lambda text: "".join(f"&#x{ord(character):X};" for character in text),
    "JSON in HTML": lambda text: html.escape(json.dumps(text)),
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "ASCII": ascii,
    "repr of repr": twice(repr),
    **{f"base64 at offset {offset}": based(base64.b64encode, offset) for offset in range(3)},
    **{
        f"URL-safe base64 at {offset}": based(base64.urlsafe_b64encode, offset)
        for offset in range(3)
    },
    "base64 in PHP": lambda text: php(base64.b64encode(text.encode()).decode()),
    "base64 in a URL": lambda text: quote_plus(base64.b64encode(text.encode()).decode()),
}
SECRETS = [
    SECRET,
    "sk/live/4eC39HqLyjW",
    "with 'quotes\" & <marks>",
    "ключ/🔑/schlüssel",
    "a+b c%2Fd==",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
def test_a_secret_is_known_in_every_escaping(escape: Callable[[str], str], secret: str) -> None:
    redaction.add(secret)
    escaped = escape(secret)
    safe = redact(f"before {escaped} after")
    assert redaction.MASK in safe
    assert safe.startswith("before ")
    assert safe.endswith(" after")
    # What is left are quotes around it, and base64 of its neighbours.
    left = safe.removeprefix("before ").removesuffix(" after").replace(redaction.MASK, "")
    assert not re.search("[A-Za-z0-9]{8}", left.replace("quot", "").replace("x27", ""))


def test_two_secrets_in_one_run_of_escapes_leave_what_follows() -> None:
    redaction.add("ключ-один")
    redaction.add("ключ-два")
    assert redact(
        "a " + quote("ключ") + "%2D" + quote("один" + "ключ") + "%2D" + quote("два") + " b"
    ) == ("a [secret] b")


def test_text_around_an_escaped_secret_stays_as_it_is() -> None:
    redaction.add("sk/live/1234")
    text = r'{"a\/b": "sk\/live\/1234", "c": "100%25 &amp; \u00e9"} %s \\ end\\'
    assert redact(text) == text.replace(r"sk\/live\/1234", redaction.MASK)


def test_a_secret_within_another_leaves_nothing_of_it() -> None:
    redaction.add("inner-secret")
    redaction.add("outer-inner-secret-outer")
    assert redact("x outer-inner-secret-outer y") == "x [secret] y"


def test_a_short_secret_counts_where_it_stands_alone() -> None:
    redaction.add("q7")
    assert redact("key=q7, q7up") == "key=[secret], q7up"


@pytest.mark.parametrize(
    ("url", "said", "hidden"),
    [
        ("postgresql://me:p%40ssw0rd-1@host/db", "password p@ssw0rd-1 is wrong", ["ssw0rd"]),
        ("postgresql://me:first@tail/x:y2@host/db", "no host tail/x:y2@host", ["tail", "y2"]),
        ("postgresql://me:first@tail@host/db", "could not find 'tail'", ["tail"]),
        ("postgresql://me:one:two/three@host/db", "port 'two' is no number", ["two"]),
        ("postgresql://me:one/three?four#five@host/db", "port 'one', four, five", ["one", "four"]),
        ("postgresql://host/db?password=quer%79&sslmode=on", "password query, on", ["query"]),
        ("postgresql://me:plainword@host/db?options=a@b", "plainword; host", ["plainword"]),
        ("mysql://h/d?user=u&ssl_key_password=abcdef#x", "no abcdef", ["abcdef"]),
        ("json://host/?token=tok1&token=tok2", "tok1 tok2", ["tok1", "tok2"]),
    ],
)
def test_the_secrets_in_a_url_are_secrets_too(url: str, said: str, hidden: list[str]) -> None:
    redaction.add(url)
    safe = redact(said)
    assert not [word for word in hidden if word in safe]
    for word in ("host", "sslmode", " on"):
        assert safe.count(word) == said.count(word)


def test_nothing_is_no_secret() -> None:
    redaction.add("")
    redaction.add(None)
    assert redact("any text") == "any text"


def test_log_lines_of_any_logger_are_redacted(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = log
    logger.debug('https://host:443 "GET /audience/v1/%s/list HTTP/1.1"', quote(SECRET))
    logger.info("%(key)s", {"key": SECRET})
    bad_format = f"bad format %d {SECRET}"
    logger.info(bad_format, "x")
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
