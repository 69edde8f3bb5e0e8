"""One call: an action out, its answer in."""

from __future__ import annotations

from typing import Any

from merlin_api import answers
from singer_http.errors import NotFound, Refused, RequestRejected
from singer_http.exact_json import encode
from singer_http.http.client import Client, Meter
from singer_http.operations import JSON, Effect


def carry_out(
    client: Client,
    url: str,
    action: JSON,
    *,
    effect: Effect = Effect.IDEMPOTENT,
    meter: Meter | None = None,
    setting: str = "api_url",
) -> tuple[Any, int]:
    """Carry out one action.

    Args:
        client: has the credentials.
        url: as it stands in the setting: a server may redirect where its last slash is missing.
        action: the second object of the body.
        effect: what the action does.
        meter: counts the requests.
        setting: the one with the address, for errors.

    Returns:
        The answer, which does not say no, and its HTTP status.

    Raises:
        NotFound: there is no such contact.
        Refused: Merlin says no, with whatever status.
        BadCredentials: it does not accept the key.
        RequestRejected: nobody is at the address.
        Uncertain: effect AT_MOST_ONCE, and the answer is neither a yes nor a clear no.
    """
    try:
        answer = client.request("POST", url, body=encode(action), effect=effect, meter=meter)
    except NotFound as error:
        if not answers.is_about_record(error):
            message = f"HTTP {error.status}: {error.reason}; check {setting}"
            raise RequestRejected(message) from None
        answers.check(error.data, error.status, nothing_was_done=error.nothing_was_done)
        raise
    except Refused as error:
        if answers.verdict(error.data) is answers.Verdict.YES:
            error.nothing_was_done = False  # its words contradict its status
        if not answers.lacks_contact(error):
            raise
        missing = NotFound(error.status, error.reason, error.data)
        missing.nothing_was_done = error.nothing_was_done
        raise missing from None
    if effect is Effect.AT_MOST_ONCE:
        answers.check_at_most_once(answer.data, answer.status)
    else:
        proven = not answer.earlier_maybe_done
        answers.check(answer.data, answer.status, nothing_was_done=proven)
    return answer.data, answer.status
