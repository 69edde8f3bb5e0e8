"""A vendor's new API has the same accounts: their ledger is taken over, and nothing is sent again.

An account is known by its server too, so a ledger that was written through an earlier API belongs
to another account. Before the first record it becomes this account's, once some of the records that
it names were read through the new API.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from singer_http.errors import ConfigError
from singer_http.store.store import Store

SAMPLE = 5
"""Records of a ledger that are read, at most."""


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
            ConfigError: there is one, but none of its records is known to this account.
        """
        if self.store.scopes.streams(self.account, self.sync):
            return
        if earlier is None or not self._take_over(earlier, logger):
            self._warn(logger)

    def _warn(self, logger: logging.Logger) -> None:
        """Say that the account is known at another address, where one would not expect it."""
        name, _, server = self.account.partition(" ")
        for other in self._known():
            known_name, _, known_server = other.partition(" ")
            if known_name == name:
                logger.warning(
                    "The database has a ledger of account %s and sync %s for %s. For %s it begins "
                    "empty: look at api_url if that is not what you want.",
                    name, self.sync, known_server, server,
                )  # fmt: skip

    def _take_over(self, earlier: EarlierAPI, logger: logging.Logger) -> bool:
        scopes = self.store.scopes
        unknown: list[str] = []
        for former in self._candidates(earlier):
            sample = self.store.ledger.sample(former, self.sync, SAMPLE)
            known = sum(earlier.knows(stream, remote_id) for stream, remote_id in sample)
            if not known and (sample or not self.named):
                unknown.append(former)
                continue
            scopes.move(former, self.account, self.sync)
            logger.info(
                "The ledger of account %s is taken over: %d of %d records of it were read here.",
                former, known, len(sample),
            )  # fmt: skip
            return True
        if unknown:
            former = unknown[0].partition(" ")[0]
            raise ConfigError(
                f"The ledger of sync {self.sync!r} was written through an earlier API, for account "
                f"{', '.join(unknown)}; none of its records could be read here. If this is the "
                f"same account, look at the credentials and set account to {former}; if it is "
                "another one, set account to a new name. Nothing was sent."
            )
        return False

    def _candidates(self, earlier: EarlierAPI) -> list[str]:
        """The accounts of earlier APIs, the last one that ran first; those with the same name."""
        return [
            former
            for former in self._known()
            if earlier.is_server(former.partition(" ")[2])
            and self.named in ("", former.partition(" ")[0])
        ]

    def _known(self) -> list[str]:
        """The accounts that this plugin and sync have a ledger of."""
        return [
            account
            for account in self.store.runs.accounts(self.plugin, self.sync)
            if self.store.scopes.streams(account, self.sync)
        ]
