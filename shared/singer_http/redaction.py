"""No secret in any log line, exception text or traceback, whoever logs it.

Secrets are registered as soon as they are known (settings at start-up, tokens when they
arrive). Every log record of every logger passes through `_make_record` (a LogRecord factory),
which replaces each registered secret in each of its usual disguises: as it is, URL-encoded,
JSON-escaped, in base64. That holds for urllib3's debug lines too, where a secret can stand in
the path of a URL.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import traceback
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK = "[secret]"

_lock = threading.Lock()
_forms: set[str] = set()
_pattern: re.Pattern[str] | None = None
_plain_record = logging.getLogRecordFactory()


def add(secret: str | None) -> None:
    """Never show this text again. Nothing happens for None and for an empty text."""
    global _pattern  # noqa: PLW0603
    if not secret:
        return
    install()
    with _lock:
        _forms.update(_disguises(secret))
        if password := _password(secret):
            _forms.update(_disguises(password))
        # The longest first: a secret that is part of another must not cut the other in two.
        _pattern = re.compile("|".join(map(_literal, sorted(_forms, key=len, reverse=True))))


def redact(text: str) -> str:
    """The text with every registered secret replaced by `[secret]`."""
    return _pattern.sub(MASK, text) if _pattern else text


def install() -> None:
    """Pass every log record through redaction from now on. Can be called again."""
    global _plain_record  # noqa: PLW0603
    if logging.getLogRecordFactory() is not _make_record:
        _plain_record = logging.getLogRecordFactory()
        logging.setLogRecordFactory(_make_record)
        threading.excepthook = _thread_failed


def _disguises(secret: str) -> set[str]:
    """The forms in which a secret can turn up in a text."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {
        secret,
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        repr(raw)[2:-1],
    }
    forms |= {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in forms}
    if len(raw) >= 6:
        forms |= _base64_forms(raw)
    return forms


def _base64_forms(raw: bytes) -> set[str]:
    """In base64 a text looks different at each of three offsets (`user:secret`)."""
    forms = set()
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw)
        # The first and last group also hold bits of the neighbours.
        first = (offset * 8 + 5) // 6
        last = (offset + len(raw)) * 8 // 6
        part = coded[first:last].decode()
        forms |= {part, part.replace("+", "-").replace("/", "_")}
    return forms


def _literal(form: str) -> str:
    """A pattern for one form; a very short secret counts only where it stands alone."""
    pattern = re.escape(form)
    return pattern if len(form) >= 4 else rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"


def _password(secret: str) -> str | None:
    """The password in a secret that is a URL (a database's)."""
    if "://" not in secret:
        return None
    try:
        return unquote(urlsplit(secret).password or "")
    except ValueError:
        return None


def _make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _plain_record(*args, **kwargs)
    if _pattern is None:
        return record
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001  (logging itself reports a bad format, with the arguments)
        text = f"{record.msg} {record.args}"
        record.msg, record.args = redact(text), ()
        return record
    if (safe := redact(text)) != text:
        record.msg, record.args = safe, ()
    if record.exc_info and record.exc_info[1] is not None:
        _redact_exception(record)
    return record


def _redact_exception(record: logging.LogRecord) -> None:
    """Let the traceback of a record show no secret, in plain and in structured formatters."""
    kind, error, trace = record.exc_info  # type: ignore[misc]
    text = "".join(traceback.format_exception(kind, error, trace))
    if (safe := redact(text)) == text:
        return
    # Plain formatters take exc_text as it is; structured ones read the exception, so they get
    # another one, without the chain of causes.
    record.exc_text = safe.rstrip("\n")
    record.exc_info = (Exception, Exception(redact(str(error))), trace)


def _thread_failed(args: threading.ExceptHookArgs) -> None:
    """A thread's traceback goes through logging too, not straight to stderr."""
    if args.exc_type is SystemExit or args.exc_value is None:
        return
    logging.getLogger(__name__).error(
        "Thread %s failed", getattr(args.thread, "name", "?"), exc_info=args.exc_value
    )
