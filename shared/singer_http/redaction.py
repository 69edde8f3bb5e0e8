"""No secret in any log line, exception text or traceback, whoever logs it.

Secrets are registered as soon as they are known (settings at start-up, tokens when they arrive).
Every log record of every logger passes through a LogRecord factory, which replaces each registered
secret. That holds for urllib3's debug lines too, where a secret can stand in the
path of a URL.

A secret is found in any escaping (JSON, URL, HTML, Python's repr, several of them in each other),
because text and secrets are compared without their escapes, and in base64, at any offset.
"""

from __future__ import annotations

import base64
import logging
import re
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import unquote_plus

from singer_http.escapes import ESCAPE, unescaped

MASK = "[secret]"


class Secrets:
    """Registered secrets, and the one pattern that finds any of them."""

    def __init__(self) -> None:
        """Know no secret yet."""
        self.pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()
        self._texts: set[str] = set()
        self._forms: set[str] = set()

    def __contains__(self, secret: str) -> bool:
        return secret in self._texts

    def add(self, secret: str) -> None:
        """Register a secret, in any thread."""
        with self._lock:
            for part in (secret, *_parts_of_url(secret)):
                self._forms |= _forms_of(part)
            self._texts.add(secret)
            # The longest first: a secret that is part of another must not cut the other in two.
            forms = sorted(self._forms, key=len, reverse=True)
            self.pattern = re.compile("|".join(map(_literal, forms)))


_registered = Secrets()


def add(secret: str | None) -> None:
    """Never show this text again. Nothing happens for None and for an empty text."""
    if secret and secret not in _registered:
        install()
        _registered.add(secret)


def add_address(address: str) -> None:
    """Never show the address of a webhook, nor a part of it that looks like a token.

    Libraries show it with another scheme than the one that was registered, or the path alone.
    """
    add(address)
    for piece in re.split(r"[/:@?&=#,;]+", address.partition("://")[2]):
        if _TOKEN.fullmatch(piece):
            add(piece)


def redact(text: str) -> str:
    """Replace every registered secret in a text by `[secret]`."""
    pattern = _registered.pattern
    if pattern is None:
        return text
    text = pattern.sub(MASK, text)
    if not ESCAPE.search(text):
        return text
    plain, starts, ends = unescaped(text)
    spans = [(starts[m.start()], ends[m.end() - 1]) for m in pattern.finditer(plain)]
    rest = len(text)
    for start, end in reversed(spans):
        if start < (end := min(end, rest)):  # several can stand in one run of escapes
            text = text[:start] + MASK + text[end:]
            rest = start
    return text


def install() -> None:
    """Pass every log record through redaction from now on. Can be called again."""
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _RedactingFactory):
        logging.setLogRecordFactory(_RedactingFactory(factory))
        threading.excepthook = _thread_failed


def _forms_of(secret: str) -> set[str]:
    """What a secret looks like: as it is, without its escapes, in base64."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {secret, unescaped(secret)[0]}
    if len(raw) >= 6:
        forms |= _base64_forms(raw)
    return forms - {""}


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
    # In the query of a URL a space can be a plus, and a plus can be read as a space.
    pattern = re.sub(r"\\ |\\\+", "[ +]", re.escape(form))
    return pattern if len(form) >= 4 else rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"


_TOKEN = re.compile(r"(?=.*[0-9A-Z]|.{16})[^.\s]{8,}")
"""No word and no host: 8 characters with a digit or a capital, or 16."""
_SECRET_NAME = re.compile("pass|pwd|secret|token|key|cred|auth|sig", re.IGNORECASE)


def _parts_of_url(secret: str) -> set[str]:
    """The secrets within a secret that is a URL (a database's).

    A password may hold characters that should have been encoded (`@`, `:`, `/`, `?`, `#`). Where it
    ends is not known then, and errors show the rest of it as a host or a port: each reading is a
    secret, and each piece of the password.
    """
    scheme, mark, rest = secret.partition("://")
    if not mark or not scheme:
        return set()
    parts: set[str] = set()
    at_signs = [found.start() for found in re.finditer("@", rest)]
    for query in (rest[found.end() :] for found in re.finditer(r"\?", rest)):
        for pair in re.split("[&;#]", query):
            name, _, value = pair.partition("=")
            if _SECRET_NAME.search(name):
                parts |= {value, unquote_plus(value)}
    if at_signs:
        # The host is what follows the last @ that stands before a query.
        before_query = [at for at in at_signs if not re.search(r"\?[\w.-]+=", rest[:at])]
        end = (before_query or at_signs)[-1]
        password = rest[:end].partition(":")[2]
        parts |= {password, unquote_plus(password)}
        if len(pieces := re.split("[@:/?#]", password)) > 1:
            parts |= {piece for piece in pieces if len(piece) > 1}
            parts |= {password[found.end() :] for found in re.finditer("[@:/?#]", password)}
    return parts - {""}


class _RedactingFactory:
    """Makes log records without secrets, from those of the factory that was there before."""

    def __init__(self, factory: Callable[..., logging.LogRecord]) -> None:
        self._factory = factory

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._factory(*args, **kwargs)
        if _registered.pattern is None:
            return record
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001  (logging itself reports a bad format, with the arguments)
            text = f"{record.msg} {record.args}"
            record.msg, record.args = redact(text), ()
            return record
        if (safe := redact(text)) != text:
            record.msg, record.args = safe, ()
        if record.exc_info and (error := record.exc_info[1]) is not None:
            _redact_exception(record, error, record.exc_info[2])
        return record


def _redact_exception(
    record: logging.LogRecord, error: BaseException, trace: TracebackType | None
) -> None:
    """Let the traceback of a record show no secret, in plain and in structured formatters."""
    text = "".join(traceback.format_exception(type(error), error, trace))
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
