"""What a sink may ask the ledger."""

from __future__ import annotations

from singer_http.store.ledger import Ledger


class LedgerView:
    """The ledger of one account, to read from, on the main thread."""

    def __init__(self, ledger: Ledger, account: str) -> None:
        self._ledger = ledger
        self._account = account

    def find(self, stream: str, identity: str) -> str | None:
        """The vendor's id of what another stream delivered, from any pipeline into this account.

        Args:
            stream: the target stream that delivered it.
            identity: one of the identities with which it was delivered.
        """
        return self._ledger.find(self._account, stream, self._ledger.hashed(identity))
