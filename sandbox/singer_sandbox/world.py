"""All that the sandbox holds: four vendors, the faults, the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singer_sandbox.account import ControlError
from singer_sandbox.autoreach.service import AutoReach
from singer_sandbox.faults import Fault, Holds
from singer_sandbox.journal import Journal
from singer_sandbox.kasplo.service import Kasplo
from singer_sandbox.merlin.service import Merlin
from singer_sandbox.rei.service import ReiSoftware
from singer_sandbox.settings import credentials, numbered
from singer_sandbox.vendor import Vendor


class World:
    """One sandbox; everything in it lives in memory and starts empty."""

    def __init__(self, accounts: int = 0) -> None:
        """With so many numbered accounts of each vendor, beside the default one."""
        self.autoreach = AutoReach()
        self.rei = ReiSoftware()
        self.kasplo = Kasplo()
        self.merlin = Merlin()
        self.vendors: dict[str, Vendor[Any]] = {
            vendor.name: vendor for vendor in (self.autoreach, self.rei, self.kasplo, self.merlin)
        }
        self.faults: list[Fault] = []
        self.holds = Holds()
        self.journal = Journal()
        self.era = 0
        """Goes up with each reset: a request of an earlier era must not touch the new state."""
        self._accounts = accounts
        self.add_accounts(accounts)

    def reset(self) -> None:
        """Back to the beginning: empty state, default options, no faults, an empty log."""
        self.era += 1
        for vendor in self.vendors.values():
            vendor.reset()
        self.faults.clear()
        self.holds.drop_all()
        self.journal.clear()
        self.add_accounts(self._accounts)

    def add_accounts(self, count: int) -> list[str]:
        """Make the numbered accounts 1 to `count` of each vendor, where they are not there yet.

        Returns:
            list[str]: their names.
        """
        names = [numbered(number) for number in range(1, count + 1)]
        for name in names:
            for vendor, given in credentials(name).items():
                for opening in given:
                    self.vendors[vendor].register(name, opening)
        return names

    def seed(self) -> None:
        """A little invented data in each default account."""
        for vendor in self.vendors.values():
            vendor.seed(vendor.account(None))

    def vendor(self, name: str) -> Vendor[Any]:
        """The vendor of that name; an unknown one is a ControlError."""
        try:
            return self.vendors[name]
        except KeyError:
            raise ControlError(f"no vendor {name!r}; there are {list(self.vendors)}") from None

    def add_fault(self, given: Mapping[str, Any]) -> Fault:
        """Append a fault; it applies from the next request on."""
        fault = Fault(given, tuple(self.vendors))
        self.faults.append(fault)
        return fault
