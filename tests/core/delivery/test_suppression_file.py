"""A file of people who must not be reached is read in every form that exports have."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_http.errors import ConfigError
from singer_http.sink.suppression_file import Entry, read

ANN, BOB = Entry("email", "ann@example.com"), Entry("email", "bob@example.com")
PHONE = Entry("phone", "5551234567")


def entries(tmp_path: Path, content: str | bytes) -> list[Entry]:
    path = tmp_path / "suppressed.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read([str(path)]))


@pytest.mark.parametrize(
    "content",
    [
        "ann@example.com\nbob@example.com\n+15551234567\n",
        "Ann@Example.com \r\n\r\n# left in May\r\nBOB@example.com\r\n(555) 123-4567",
        '"ann@example.com"\n"bob@example.com"\n"5551234567"\n',
        "ann@example.com\nbob@example.com,unsubscribed\n15551234567,2026-01-31\n",
        "ann@example.com;bob@example.com;5551234567\n",
        "ann@example.com\tx\nbob@example.com\ty\n5551234567\tz\n",
        "Email,Phone\nann@example.com,\nbob@example.com,+1 555 123-4567\n",
        'id;E-MAIL;Note;Mobile\n1;"ann@example.com";"a;b\nc";\n2; bob@example.com ;;555.123.4567\n',
        "\ufeffemail\nann@example.com\nbob@example.com\n5551234567\n",
        "number\nann@example.com\nbob@example.com\n5551234567\n".encode("utf-16"),
        "Email Address\tPhone Number\nann@example.com\t\nbob@example.com\t5551234567\n",
    ],
)
def test_bare_lines_and_csv_are_read(tmp_path: Path, content: str | bytes) -> None:
    assert entries(tmp_path, content) == [ANN, BOB, PHONE]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("ann@example.com\nbob\n", 2),
        ("ann@example.com\n\nbob@example@com\n", 3),
        ("Ann <ann@example.com>\n", 1),
        ("name,state\nann,gone\n", 1),
        ("email\nann@example.com\n\nunsubscribed\n", 4),
        ("email,name\n,Ann\n", 2),
        ("ann@example.com|bob@example.com\nx\n", 1),
        ("2026-01-31\n", 1),
        ("bob@,5551234567\n", 1),
        ('ann@example.com\n"bob@example.com\nx@example.com\n', 3),
        ("call Ann 5551234567\n", 1),
        ("\x00\x01\n", 1),
    ],
)
def test_a_line_that_is_neither_stops_the_run_with_its_number(
    tmp_path: Path, content: str, line: int
) -> None:
    with pytest.raises(ConfigError, match=rf"suppressed\.csv, line {line}\b.*Nothing was sent"):
        entries(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        "Phone 1,Phone 2,Email 1\n5551234567,,\n,(555) 222-3333,ann@example.com\n",
        "name;cell;telephone;mail\nSmith, Ann, Jr;5551234567;555.222.3333;ann@example.com\n",
        "5551234567.0\n(555) 222-3333 x12\nann@example.com\n",
    ],
)
def test_lists_as_spreadsheets_and_crms_write_them_are_read(tmp_path: Path, content: str) -> None:
    found = {entry.value for entry in entries(tmp_path, content)}
    assert found == {"5551234567", "5552223333", "ann@example.com"}


@pytest.mark.parametrize("content", [None, b"m\xfcller@example.com\n"])
def test_a_file_that_cannot_be_read_stops_the_run(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "suppressed.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        list(read([str(path)]))


def test_several_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    for name, text in (("a", "ann@example.com"), ("b", "bob@example.com\n5551234567")):
        (tmp_path / name).write_text(text)
    assert list(read([str(tmp_path / "a"), str(tmp_path / "b")])) == [ANN, BOB, PHONE]
    assert list(read([])) == []


def test_national_phones_are_of_the_region(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("030 1234567\n+49301234567\n")
    assert len(set(read([str(tmp_path / "a")], "DE"))) == 1


def test_an_empty_file_suppresses_nobody(tmp_path: Path) -> None:
    assert entries(tmp_path, "") == []


def test_a_long_file_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("".join(f"person{n}@example.com\n" for n in range(20_000)) + "nobody\n")
    found = read([str(path)])
    assert next(found) == Entry("email", "person0@example.com")
    with pytest.raises(ConfigError, match="line 20001"):
        list(found)
