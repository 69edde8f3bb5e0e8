"""Files of people who must not be reached: emails and phones, one a line, or as CSV.

A line that is neither stops the run: a list that is misread would suppress no one.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from singer_http.errors import ConfigError
from singer_http.identity import dialled_phone, fold_email

_EMAIL_COLUMN = re.compile(r"(e?mail|emailaddress)\d*")
_PHONE_COLUMN = re.compile(
    r"(number|mobile|cell|telephone|((mobile|cell|home|work)?phone|mobile|cell)(number)?)\d*"
)
"""Columns that are read where a file has a header (`Phone 2` too); case and marks aside."""
DELIMITERS = ",;\t"
SAMPLE = 64 * 1024
"""Characters at the beginning of a file from which its delimiter is found."""
FEWEST_DIGITS = 7
"""Digits of a phone number in a list; with fewer it is something else (a year, a count)."""

MOST_DIGITS = 15
"""Of a phone number in E.164; with more it is two (`619-359-6440/41...`)."""

_EMAIL = re.compile(r"[^@\s,;:<>\"()]+@[^@\s,;:<>\"()]+")
_NOT_A_DATE = re.compile(r"(?!\d{4}-\d\d-\d\d$).*", re.DOTALL)


class Entry(NamedTuple):
    """A person who must not be contacted."""

    kind: Literal["email", "phone"]
    value: str
    """As it is compared (see `identity`)."""


def paths(setting: Any) -> list[str]:
    """The files that the setting `suppression` names: a path, several, or their JSON text.

    Raises:
        ConfigError: it is something else.
    """
    given = setting
    if isinstance(given, str) and given.lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            given = json.loads(given)
    found = [given] if isinstance(given, str) else given or []
    if not isinstance(found, list) or not all(isinstance(path, str) for path in found):
        raise ConfigError("suppression takes the path of a file, or a list of paths.")
    return [path for path in found if path]


def described(numbers: Mapping[str, int]) -> str:
    """Entries by where they are from, for people."""
    total = sum(numbers.values())
    where = ", ".join(f"{name}: {number:,}" for name, number in numbers.items())
    return f"{total:,} entries ({where})"


def read(paths: Iterable[str], region: str | None = None) -> Iterator[Entry]:
    """The entries of the files, one after the other; a file is never in memory as a whole.

    Read are bare lines, and CSV with commas, semicolons or tabs, quoted or not. Of a file with a
    header, columns without emails or phones are ignored. So are blank lines, and those that
    begin with #. Text is UTF-8, or UTF-16 with a byte order mark.

    Args:
        paths: the files.
        region: ISO country of national phone numbers (`phone_region`).

    Raises:
        ConfigError: a file cannot be read, or a line has neither an email nor a phone; the text
            names file and line.
    """
    for path in paths:
        try:
            with Path(path).expanduser().open(encoding=_encoding(path), newline="") as file:
                yield from _entries(path, file, region)
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from None
        except UnicodeError:
            raise _unreadable(path, "it is not UTF-8 text: save it as UTF-8") from None


def _unreadable(path: str, why: str) -> ConfigError:
    return ConfigError(f"suppression: {path} cannot be read: {why}. Nothing was sent.")


def _encoding(path: str) -> str:
    with Path(path).expanduser().open("rb") as file:
        head = file.read(3)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def _entries(path: str, file: IO[str], region: str | None) -> Iterator[Entry]:
    sample = file.read(SAMPLE)
    file.seek(0)
    lines = (line for line in sample.splitlines() if line.strip() and not line.startswith("#"))
    first_line = next(lines, "")
    # The first line decides: behind a header, names and addresses may have more commas.
    delimiter = max(DELIMITERS, key=lambda one: (first_line.count(one), sample.count(one)))
    rows = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
    columns: list[int] | None = None
    first = True
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if first:
                first = False
                columns = [n for n, cell in enumerate(cells) if is_entry_column(cell)] or None
                if columns:
                    continue
            chosen = cells if columns is None else [cells[n] for n in columns if n < len(cells)]
            found = [_entry(cell, region) for cell in chosen if cell]
            if None in found or not found:
                # Beside an email or a phone a line may have anything, where no header says what it
                # is; but never a mistyped email.
                strict = columns is not None
                odd = any(
                    entry is None and (strict or "@" in cell)
                    for cell, entry in zip(filter(None, chosen), found, strict=True)
                )
                if odd or not any(found):
                    raise _neither(path, rows.line_num)
            yield from filter(None, found)
    except csv.Error as error:
        raise ConfigError(
            f"suppression: {path}, line {rows.line_num}: {error}. Nothing was sent."
        ) from None


def _neither(path: str, line: int) -> ConfigError:
    return ConfigError(
        f"suppression: {path}, line {line} has neither an email nor a phone, or one that is "
        "mistyped. Nothing was sent."
    )


def is_entry_column(name: str) -> bool:
    """Whether a column of this name holds emails or phones."""
    return bool(_EMAIL_COLUMN.fullmatch(_plain(name))) or is_phone_column(name)


def is_phone_column(name: str) -> bool:
    """Whether a column of this name holds phones."""
    return bool(_PHONE_COLUMN.fullmatch(_plain(name)))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def is_email(text: str) -> bool:
    """Whether a text is one email address."""
    return "@" in text and bool(_EMAIL.fullmatch(text))


def phone_of(value: Any, region: str | None) -> str:
    """A phone number as it is compared; empty for what is none, or more than one."""
    phone = dialled_phone(value, region)
    return phone if len(phone.removeprefix("+")) <= MOST_DIGITS else ""


def _entry(cell: str, region: str | None) -> Entry | None:
    if is_email(cell):
        return Entry("email", fold_email(cell))
    if "@" in cell or not _NOT_A_DATE.fullmatch(cell):
        return None
    if cell.endswith(".0") and cell[:-2].isdecimal():
        cell = cell[:-2]  # what a spreadsheet has made of a phone: 15550000001.0
    phone = phone_of(cell, region)
    return Entry("phone", phone) if len(phone) >= FEWEST_DIGITS else None
