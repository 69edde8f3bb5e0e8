"""The setting `notify`: one short message about a run that needs a look, sent through Apprise."""

from __future__ import annotations

import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from singer_http.errors import ConfigError
from singer_http.operations import JSON, RejectionKind
from singer_http.redaction import redact
from singer_http.report.rejects_summary import general
from singer_http.report.table import DELIVERED, look_further, reasons

logger = logging.getLogger(__name__)

SECONDS = 10.0
"""For all addresses together; what has not answered by then is left behind."""
MISSING = (
    "notify needs the package apprise: install the plugin with its extra notify "
    "(%s[notify]). No message is sent."
)
CHATTY = ("apprise", "urllib3")
"""Loggers that show addresses in forms that no list of secrets foresees."""


def warn_if_missing(addresses: Sequence[str], plugin: str) -> None:
    """Say at the beginning of a run that its end cannot be told."""
    if addresses and importlib.util.find_spec("apprise") is None:
        logger.warning(MISSING, plugin)


def check_addresses(addresses: Sequence[str], plugin: str) -> str:
    """Whether a message could be sent, for `--check`. None is.

    Raises:
        ConfigError: the package is missing, or Apprise cannot read an address.
    """
    if importlib.util.find_spec("apprise") is None:
        raise ConfigError(MISSING % plugin)
    import apprise  # noqa: PLC0415 - an extra, and slow to import

    _silence()
    for number, address in enumerate(addresses, 1):
        if apprise.Apprise.instantiate(str(address)) is None:
            raise ConfigError(
                f"address {number} is no URL that Apprise knows: see the page of that service at "
                "https://github.com/caronc/apprise/wiki"
            )
    return f"{len(addresses)} address{'es' if len(addresses) > 1 else ''}, not tried"


def notify(addresses: Sequence[str], report: JSON, summary: JSON | None) -> None:
    """Tell the addresses of a run that stopped, failed or left rejects. Nothing here fails a run.

    Args:
        addresses: Apprise URLs, all of them secret.
        report: as in the report's file.
        summary: of its rejects; `None` if they are not known.
    """
    if not addresses or not _worth_it(report, summary):
        return
    if importlib.util.find_spec("apprise") is None:
        return
    _silence()
    title, body = message(report, summary)
    came = [threading.Event() for _ in addresses]
    for address, event in zip(addresses, came, strict=True):
        threading.Thread(
            target=_send, args=(str(address), title, body, event.set), daemon=True
        ).start()
    end = time.monotonic() + SECONDS
    for number, (address, event) in enumerate(zip(addresses, came, strict=True), 1):
        if not event.wait(max(0.0, end - time.monotonic())):
            logger.warning(
                "notify: address %d (%s) did not take the message: check it with the command "
                "apprise -vv",
                number,
                str(address).partition("://")[0][:20],
            )


def _silence() -> None:
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _send(address: str, title: str, body: str, came: Callable[[], None]) -> None:
    """Send to one address; `came` is called if it was taken."""
    try:
        import apprise  # noqa: PLC0415 - an extra, and slow to import

        service = apprise.Apprise.instantiate(address)
        if service is not None and service.notify(body=body, title=title):
            came()
    except Exception as error:  # noqa: BLE001 - a message is no reason for a run to fail
        # Not its text, which may hold the address.
        logger.debug("notify: %s", type(error).__name__)


def _worth_it(report: JSON, summary: JSON | None) -> bool:
    if report["dry_run"]:
        return False
    kinds = set(summary["kinds"]) if summary else set()
    # What is held is sent by a later run: nobody has to do anything.
    return report["outcome"] != "ok" or bool(kinds - {str(RejectionKind.HELD)})


def message(report: JSON, summary: JSON | None) -> tuple[str, str]:
    """Title and text, without a secret and without a value of a record."""
    name = report["plugin"] + ("" if report["sync"] == "default" else f" ({report['sync']})")
    outcome = report["outcome"]
    if outcome == "ok" and summary:
        number = summary["total"]
        outcome = f"{number:,} reject{'s' if number > 1 else ''}"
    lines = [
        f"Run {report['run']}, account {report['account']}",
        *_why(report),
        *_counts(report),
        *(reasons(report, summary) if summary else ()),
        look_further(report, summary),
    ]
    return redact(f"{name}: {outcome}"), "\n".join(redact(line) for line in lines)


def _why(report: JSON) -> Iterator[str]:
    if report["outcome"] == "stopped":
        yield f"Stopped: {general(report['error'] or '', {})}"
    elif report["outcome"] == "failed":
        # The text of an error that nobody foresaw may hold anything, a record too.
        yield "Failed: an unexpected error, which the report names."


def _counts(report: JSON) -> Iterator[str]:
    for stream, counts in report["streams"].items():
        delivered = sum(counts[name] for name in DELIVERED)
        yield (
            f"{stream}: {counts['received']:,} received, {delivered:,} delivered, "
            f"{counts['unchanged']:,} unchanged, {counts['rejected']:,} rejected"
        )
