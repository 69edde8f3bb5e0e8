"""What Merlin's answers mean. Its page shows none of them ("ID DATA", "Status").

An answer says yes (an id, or a word for success), says no (an error, whatever the HTTP status), or
is not understood: then it is no success either, and the vendor's text is the reason.

About contacts, free text is searched for words of refusal (`says_no`). About what is sent at most
once it is not: there a wrong no means that a person is called or texted twice (`verdict`).
"""

from __future__ import annotations

import enum
import re
from typing import Any

from singer_http.errors import (
    BadCredentials,
    NotFound,
    Refused,
    SingerHTTPError,
    Uncertain,
    one_line,
    reason_of,
)
from singer_http.exact_json import encode
from singer_http.http.answers import is_web_page
from singer_http.operations import JSON

ID_NAMES = ("idcontact", "id")
"""Members that hold an id, whatever their case."""
STATUS_NAMES = ("status", "success", "result", "ok")
ERROR_NAMES = ("error", "errors")
LIST_NAMES = ("data", "contacts", "contact", "results", "result")
"""Members under which SEARCH may put what it found."""

YES = frozenset(
    {"true", "1", "200", "201", "202", "ok", "success", "successful", "successfully", "done"}
    | {"sent", "queued", "accepted", "created", "updated", "deleted", "added"}
)
NO = frozenset(
    {"false", "0", "-1", "no", "ko", "error", "errors", "fail", "failed", "failure", "invalid"}
    | {"denied", "refused"}
)
NO_WORDS = NO - {"0", "-1"}
NOTHING = frozenset(["", "0", "false", "none", "null", "no", "[]", "{}"])
"""An `error` that is one of these is none."""
DEEPEST = 20
"""Lists and objects within each other, beyond which an answer is not looked into."""

_DENIED = re.compile(
    r"\b(no|none|without|zero|0|not? any)\b.{0,20}\berrors?\b|\b(success\w*|sent|queued|accepted|"
    r"delivered|done|ok|none|nothing)\b",
    re.IGNORECASE,
)
"""Words within an error that may mean that there is none."""

_NEGATIVE = re.compile(
    r"\b(error|fatal|exception|fail(s|ed|ure)?|invalid|den(y|ied)|missing|required|unknown|not|no|"
    r"cannot|can't|unable|refused|rejected|expired|wrong|must|insufficient|exceed(s|ed)?)\b",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(
    r"\b(invalid|wrong|bad|incorrect|unknown|missing|expired|revoked|no)\W+(\w+\W+){0,2}"
    r"(key|token|credentials?)\b(?! *[\"'\w])"
    r"|(\b(api|secret)[ _-]?|^\W*(error\W+)?(the )?)key\W+(\w+\W+){0,2}"
    r"(invalid|wrong|incorrect|unknown|missing|expired|revoked|required|not)\b"
    r"|^\W*(error\W+)?(un-?authori[sz]ed|not authori[sz]ed|forbidden|access denied)"
    r"(\W+(access|request))?\W*$",
    re.IGNORECASE,
)
_NO_CONTACT = re.compile(
    r"\bcontact\b(\W+[\w-]+)?\W+(was |is )?(not found|does(n't| not) exist|unknown)"
    r"|\b(unknown|no such|not found:?( the)?)[^\w.,;!]*contact\b",
    re.IGNORECASE,
)
_NONE_FOUND = re.compile(
    r"\bnot found\b|\b(no|0|zero) (contacts?|results?|records?|data|match(es)?)\b"
    r"|\bdoes(n't| not) exist\b|^\W*(none|nothing|nobody)( was)?( found)?\W*$",
    re.IGNORECASE,
)
_NOT_ABOUT_CONTACTS = re.compile(
    r"\b(access|account|action|column|connection|database|endpoint|exception|fatal|field|file|"
    r"function|host|key|limit|method|module|page|parameters?|permission|quota|received|route|"
    r"server|sql|syntax|table|time-?out|token|type|url)\b",
    re.IGNORECASE,
)
"""Words of another error: `Table contacts not found` does not say that there is no contact."""


def text_of(data: Any) -> str:
    """An answer in the vendor's words, as one line without secrets."""
    if data is None:
        return "an empty answer"
    if depth_of(data) > DEEPEST:
        return "an answer with too many brackets"
    return reason_of(data) or one_line(encode(data).decode())


def depth_of(data: Any) -> int:
    """How many lists and objects stand within each other; counted to `DEEPEST` + 1."""
    level, depth = [data], 0
    while depth <= DEEPEST and (level := [item for item in level if isinstance(item, dict | list)]):
        level = [
            inner for item in level for inner in (item.values() if isinstance(item, dict) else item)
        ]
        depth += 1
    return depth


class Verdict(enum.Enum):
    """What an answer to an at-most-once request says."""

    YES = "done"
    NO = "certainly not done"
    UNCLEAR = "may have been done"


def verdict(data: Any) -> Verdict:
    """What an answer with a 2xx says about what must not be done twice.

    A no has to be structured: `false`, one known word, or an object whose members all say no. Free
    text, a contradiction (`{"status": "sent", "error": "No error"}`) and a page are unclear.
    """
    if depth_of(data) > DEEPEST:
        return Verdict.UNCLEAR
    if isinstance(data, list):
        return verdict(data[0]) if len(data) == 1 else Verdict.UNCLEAR
    if isinstance(data, dict):
        return _verdict_of_object(folded(data))
    if data is False:
        return Verdict.NO
    if identifier(data) is not None or _word(data) in YES:
        return Verdict.YES
    # One word, but no number: a 0 may be a code that says that all went well.
    return Verdict.NO if isinstance(data, str) and _word(data) in NO_WORDS else Verdict.UNCLEAR


def _verdict_of_object(members: JSON) -> Verdict:
    says: set[Verdict] = set()
    for name in STATUS_NAMES:
        if name in members:
            says.add(_verdict_of_status(name, members[name]))
    for name in ERROR_NAMES:
        if name in members and _word(members[name]) not in NOTHING:
            says.add(_verdict_of_error(members[name]))
    if isinstance(words := members.get("message"), str) and _word(words) in YES:
        says.add(Verdict.YES)
    if any(identifier(members.get(name)) is not None for name in ID_NAMES):
        says.add(Verdict.YES)
    return says.pop() if len(says) == 1 else Verdict.UNCLEAR


def _verdict_of_status(name: str, value: Any) -> Verdict:
    word = _word(value)
    if word in YES:
        return Verdict.YES
    # `"success": 0` is a no; `"status": 0` may be a code that says that all went well. A status of
    # 500 and more says that something broke, and not what was done until then.
    zero = word == "0" and name in ("success", "ok")
    if value is False or zero or word in NO_WORDS or re.fullmatch(r"4\d\d", word):
        return Verdict.NO
    return Verdict.UNCLEAR


def _verdict_of_error(value: Any) -> Verdict:
    """An `error` member is a no, unless its own words may deny that."""
    words = value if isinstance(value, str) else encode(value).decode()
    return Verdict.UNCLEAR if _DENIED.search(words) else Verdict.NO


def says_no(data: Any) -> bool:
    """The answer is recognisably an error."""
    if depth_of(data) > DEEPEST:
        return False
    if isinstance(data, int):
        return data <= 0
    if isinstance(data, str):
        return _word(data) in NO or bool(_NEGATIVE.search(data))
    if isinstance(data, list):
        return len(data) == 1 and says_no(data[0])
    if not isinstance(data, dict):
        return False
    members = folded(data)
    if any(_word(members[name]) not in NOTHING for name in ERROR_NAMES if name in members):
        return True
    statuses = [_word(members[name]) for name in STATUS_NAMES if name in members]
    if statuses:
        return any(word in NO or re.fullmatch(r"[45]\d\d", word) for word in statuses)
    words = members.get("message")
    return isinstance(words, str) and identifier(data) is None and says_no(words)


def says_yes(data: Any) -> bool:
    """The answer is an id, or a known word for success."""
    if says_no(data):
        return False
    if isinstance(data, bool | str):
        return _word(data) in YES or identifier(data) is not None
    if isinstance(data, list):
        return len(data) == 1 and says_yes(data[0])
    if not isinstance(data, dict):
        return identifier(data) is not None
    members = folded(data)
    words = [_word(members[name]) for name in (*STATUS_NAMES, "message") if name in members]
    return any(word in YES for word in words) or identifier(data) is not None


def identifier(data: Any) -> str | None:
    """The one id that an answer is, or holds."""
    if isinstance(data, bool) or depth_of(data) > DEEPEST:
        return None
    if isinstance(data, int):
        return str(data) if data > 0 else None
    if isinstance(data, str):
        text = data.strip()
        return text if re.fullmatch(r"[1-9]\d*", text) else None
    if isinstance(data, list):
        return identifier(data[0]) if len(data) == 1 else None
    if isinstance(data, dict):
        members = folded(data)
        return next((i for name in ID_NAMES if (i := identifier(members.get(name)))), None)
    return None


def check(data: Any, status: int, *, nothing_was_done: bool) -> None:
    """Raise what an answer that says no means.

    Args:
        data: the answer.
        status: its HTTP status.
        nothing_was_done: what a no proves; earlier tries may have been carried out.

    Raises:
        BadCredentials: the key is not accepted.
        NotFound: there is no such contact.
        Refused: any other no.
    """
    if not says_no(data):
        return
    text = text_of(data)
    error: SingerHTTPError
    if _BAD_KEY.search(text):
        error = BadCredentials(f"Merlin: {text}; check api_key")
    else:
        error = (NotFound if _NO_CONTACT.search(text) else Refused)(status, text, data)
    error.nothing_was_done = nothing_was_done
    raise error


def check_at_most_once(data: Any, status: int) -> None:
    """Raise what an answer to an at-most-once request means, unless it says yes.

    Raises:
        BadCredentials: the key is not accepted. Only a structured no proves that nothing was done.
        NotFound: there is no such contact.
        Refused: any other clear no.
        Uncertain: the answer is neither a yes nor a clear no.
    """
    says = verdict(data)
    if says is Verdict.YES:
        return
    text = text_of(data)
    error: SingerHTTPError
    if _BAD_KEY.search(text):
        error = BadCredentials(f"Merlin: {text}; check api_key")
    elif says is Verdict.UNCLEAR:
        error = Uncertain(status, f"the answer was not understood: {text}", 1)
    else:
        error = (NotFound if _NO_CONTACT.search(text) else Refused)(status, text, data)
    error.nothing_was_done = says is Verdict.NO
    raise error


def is_about_record(error: NotFound) -> bool:
    """A 404 is the vendor's own word about a record, and not a server's about an address."""
    if lacks_contact(error):
        return True
    return isinstance(error.data, dict) and says_no(error.data) and found_none(error)


def lacks_contact(error: Refused) -> bool:
    """The vendor says that there is no such contact; a web page is not the vendor's."""
    return bool(_NO_CONTACT.search(error.reason)) and not is_web_page(error.data)


def found_none(error: Refused) -> bool:
    """SEARCH says no because it found nothing."""
    if lacks_contact(error) or error.data in (False, "false", "0"):
        return True
    return says_none(error.data, error.reason)


def says_none(data: Any, text: str) -> bool:
    """An answer without contacts says that there are none.

    Args:
        data: the answer.
        text: the same, in the vendor's words.
    """
    if is_web_page(data) or _NOT_ABOUT_CONTACTS.search(text):
        return False
    if isinstance(data, dict):
        members = folded(data)
        named = [members[name] for name in LIST_NAMES if name in members]
        if any(isinstance(value, dict | list) and value for value in named):
            return False
        # `{"status": false, "data": []}`: an empty list, and no word about an error.
        if [] in named and not reason_of(data):
            return True
    return bool(_NONE_FOUND.search(text))


def folded(data: JSON) -> JSON:
    """The members of an object by their names in lower case."""
    return {str(name).lower(): value for name, value in data.items()}


def _word(value: Any) -> str:
    """A value as a bare word."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return "some" if value else ""
    return str(value).strip().strip(".!").casefold()
