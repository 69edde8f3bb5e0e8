"""A vendor's new API has the same accounts: their ledger is taken over, and nothing is sent again.

An account is known by its server too, so a ledger that was written through an earlier API belongs
to another account. Before the first record it becomes this account's, once some of the records that
it names were read through the new API.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from singer_http.errors import ConfigError
from singer_http.store.runs import lock_name
from singer_http.store.store import Store

SAMPLE = 5
"""Newest records of a ledger that are read; as many of the oldest if none of those is known."""


@dataclass(frozen=True, slots=True)
class EarlierAPI:
    """How a target tells that a ledger was written through an earlier API of its vendor."""

    is_server: Callable[[str], bool]
    """Whether an API at this address (host and path) is an earlier one."""
    knows: Callable[[str, str], bool]
    """(stream, remote id in the ledger) -> whether this account has that record.

    Raises `StopRun` if it cannot be told.
    """


@dataclass(frozen=True, slots=True)
class Takeover:
    """Finds the ledger of this account and sync that was written through an earlier API."""

    store: Store
    plugin: str
    account: str
    """With the server, as in `scopes`."""
    sync: str
    named: str
    """The setting `account`; empty if it is not set."""

    def carry_out(self, earlier: EarlierAPI | None, logger: logging.Logger) -> None:
        """Take the ledger over, if there is one and this account has none yet.

        Raises:
            ConfigError: there is one, but none of its records is known to this account; or it
                cannot be taken over now.
        """
        scopes = self.store.scopes
        if scopes.streams(self.account, self.sync):
            return
        candidates = self._candidates(earlier) if earlier is not None else []
        written = [former for former in candidates if scopes.streams(former, self.sync)]
        if earlier is None or not written:
            self._warn(logger)
            # Whom another sync suppressed there is not reached here.
            if earlier is not None and not scopes.has_account(self.account):
                for former in candidates:
                    if self._proof(former, earlier):
                        scopes.note_same(former, self.account)
                        return
            return
        for former in written:
            if proof := self._proof(former, earlier):
                self._hold(former)
                scopes.move(former, self.account, self.sync)
                logger.info("The ledger of account %s is taken over: %s.", former, proof)
                return
        self._refuse(written)

    def _warn(self, logger: logging.Logger) -> None:
        """Say that the account is known at another address, where one would not expect it."""
        name, _, server = self.account.partition(" ")
        for other in self.store.runs.accounts(self.plugin):
            known_name, _, known_server = other.partition(" ")
            if known_name == name and self.store.scopes.streams(other, self.sync):
                logger.warning(
                    "The database has a ledger of account %s and sync %s for %s. For %s it begins "
                    "empty: check api_url if that is not what you want.",
                    name, self.sync, known_server, server,
                )  # fmt: skip

    def _proof(self, former: str, earlier: EarlierAPI) -> str:
        """What shows that a ledger is this account's, whichever sync wrote it; empty if nothing."""
        if self.store.scopes.are_same(former, self.account):
            return "it is known as this account's"
        read = 0
        for newest in (True, False):
            sample = self.store.sample(former, SAMPLE, newest=newest)
            known = sum(earlier.knows(stream, remote_id) for stream, remote_id in sample)
            read += len(sample)
            if known:
                return f"{known} of {read} records of it were read here"
        return "the setting account says so" if self.named and not read else ""

    def _hold(self, former: str) -> None:
        """Keep other processes from the former ledger: its records may be in flight.

        Raises:
            ConfigError: a run through the earlier API is under way.
        """
        if not self.store.lock(lock_name(self.plugin, self.sync, former)):
            raise ConfigError(
                f"A run of sync {self.sync!r} through the earlier API is under way, for account "
                f"{former}: wait for it to end, and do not start it again. Nothing was sent."
            )

    def _refuse(self, written: Sequence[str]) -> None:
        """Stop: the ledgers of this sync may be other accounts'."""
        what = (
            f"The ledger of sync {self.sync!r} was written through an earlier API, for account "
            f"{', '.join(written)}; none of its records could be read here. "
        )
        if any(self.store.sample(former, 1, newest=True) for former in written):
            raise ConfigError(
                f"{what}If this is the same account, check the credentials; if it is another "
                "one, set account to a new name. Nothing was sent."
            )
        raise ConfigError(
            f"{what}It names none that can be read. If this is the same account, set account to "
            f"{written[0].partition(' ')[0]}; if it is another one, set account to a new name. "
            "Nothing was sent."
        )

    def _candidates(self, earlier: EarlierAPI) -> list[str]:
        """The accounts of earlier APIs, the last one that ran first; those with the same name."""
        return [
            former
            for former in self.store.runs.accounts(self.plugin)
            if earlier.is_server(former.partition(" ")[2])
            and self.named in ("", former.partition(" ")[0])
            and self.store.scopes.has_account(former)
        ]
