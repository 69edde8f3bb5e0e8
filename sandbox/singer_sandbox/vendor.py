"""What the four vendors share: accounts with a state each, options, credentials, rate limits."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from singer_sandbox.account import Account, ControlError
from singer_sandbox.messages import BadJSON, Match, Refusal, Reply, Request, Router

COMMON_OPTIONS: Mapping[str, Any] = {
    "latency_ms": 0,
    "lookup_lag": 0,
    "page_size_cap": None,
    "rate_limit": None,
}


A = TypeVar("A", bound=Account)


class Vendor(ABC, Generic[A]):
    """Answers requests as one vendor would. Handlers never wait, so each of them is atomic."""

    name: ClassVar[str]
    """Also the first part of its addresses."""
    account_type: type[A]
    credential_fields: ClassVar[tuple[str, ...]]
    default_credentials: ClassVar[tuple[str, ...]]
    choices: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    """Option → what it may be; the first is the default."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Options that take any value."""

    def __init__(self) -> None:
        self.router = Router()
        self.options: dict[str, Any] = {}
        self.accounts: dict[str, A] = {}
        self.credentials: dict[tuple[str, ...], A] = {}
        self.routes()
        self.reset()

    def reset(self) -> None:
        """Empty state, default options, one account with the default credentials."""
        self.options = {**COMMON_OPTIONS, **self.defaults}
        self.options |= {name: values[0] for name, values in self.choices.items()}
        account = self.account_type("default")
        self.accounts = {"default": account}
        self.credentials = {self.default_credentials: account}

    def set_options(self, given: Mapping[str, Any]) -> None:
        """Change some options; unknown names and values are refused."""
        for name, value in given.items():
            if name not in self.options:
                raise ControlError(
                    f"{self.name} has no option {name!r}; there are {sorted(self.options)}"
                )
            if name in self.choices and value not in self.choices[name]:
                raise ControlError(f"{name} must be one of {list(self.choices[name])}")
        self.options.update(given)
        for account in self.accounts.values():
            account.changed()

    def set_account_options(self, account: A, given: Mapping[str, Any]) -> None:
        """Options of one account: a `rate_limit` of its own; null for the vendor's."""
        if set(given) - {"rate_limit"}:
            raise ControlError("an account has no options of its own but rate_limit")
        account.rate_limit = given.get("rate_limit")

    def register(self, name: str, given: Mapping[str, Any], *, replace: bool = False) -> None:
        """Let credentials into an account, which is made if new; `replace` revokes its others."""
        missing = [field for field in self.credential_fields if not given.get(field)]
        if missing:
            raise ControlError(f"{self.name} credentials need {list(self.credential_fields)}")
        account = self.accounts.setdefault(name, self.account_type(name))
        if replace:
            self.revoke(account)
        self.credentials[tuple(str(given[field]) for field in self.credential_fields)] = account

    def revoke(self, account: A) -> None:
        """Make an account's credentials invalid."""
        self.credentials = {k: a for k, a in self.credentials.items() if a is not account}

    def account(self, name: str | None) -> A:
        """The account of that name (`default` for None)."""
        try:
            return self.accounts[name or "default"]
        except KeyError:
            raise ControlError(
                f"{self.name} has no account {name!r}; there are {sorted(self.accounts)}"
            ) from None

    @abstractmethod
    def seed(self, account: A) -> None:
        """Put a little invented data in."""

    def fill(self, account: A, counts: Mapping[str, Any]) -> None:
        """Put much of it in, the same every time."""
        raise ControlError(f"{self.name} cannot be filled: {account.name}, {dict(counts)}")

    @abstractmethod
    def routes(self) -> None:
        """Fill the router."""

    @abstractmethod
    def who(self, request: Request, match: Match) -> A | None:
        """The account that the request's credentials open."""

    @abstractmethod
    def unauthorized(self) -> Reply:
        """The answer to credentials that open nothing."""

    @abstractmethod
    def error(self, status: int, text: str) -> Reply:
        """An error in the vendor's form."""

    def refuse(self, _request: Request, status: int, text: str) -> Reply:
        """An error in the form of the API that the request went to."""
        return self.error(status, text)

    def too_many(self, request: Request, wait: int) -> Reply:
        """The answer beyond a rate limit; `wait` in seconds."""
        answer = self.refuse(request, 429, "Too many requests.")
        answer.headers.append((b"retry-after", str(wait).encode()))
        return answer

    def keeps_answers(self, _request: Request) -> bool:
        """Whether the log keeps what the vendor answers to such a request."""
        return False

    @abstractmethod
    def identities(self, request: Request, match: Match) -> Sequence[str]:
        """Whom the request is about: `id:…`, `email:…`, to see whether one is there twice."""

    def writes(self, request: Request) -> bool:
        """Whether the request changes something."""
        return request.method != "GET"

    def shown_path(self, path: str, _match: Match | None) -> str:
        """The path as the log shows it, without what is secret in it."""
        return path

    def label(self, _request: Request, match: Match) -> str:
        """What the counts call the request."""
        return match.template

    def items(self, request: Request) -> int:
        """How many records the request carries."""
        return 1 if request.body else 0

    def handle(self, request: Request, match: Match | None) -> Reply:
        """Do the work and say what came of it."""
        if match is None:
            other = self.router.allows_other(request.method, request.path)
            return self.error(405 if other else 404, "No such address or method.")
        try:
            if match.public:
                return match.handler(request, *match.params)
            account = self.who(request, match)
            if account is None:
                return self.unauthorized()
            return match.handler(account, request, *match.params)
        except Refusal as refusal:
            return refusal.answer
        except BadJSON as error:
            return self.error(400, f"The body is not JSON: {error}")

    def limit_of(self, account: A | None) -> Any:
        """The rate limit of an account: its own, else the vendor's option."""
        own = account.rate_limit if account is not None else None
        return self.options["rate_limit"] if own is None else own

    def over_limit(self, account: A, at: float) -> int | None:
        """Seconds to wait when the account has used up a rate limit, else None."""
        limit = self.limit_of(account)
        if not limit:
            return None
        windows = limit if isinstance(limit[0], list) else [limit]
        longest = max(seconds for _, seconds in windows)
        arrivals = account.arrivals
        while arrivals and arrivals[0] <= at - longest:
            arrivals.popleft()
        for most, seconds in windows:
            # The arrival that must have left the window before another one fits in.
            if len(arrivals) >= most and arrivals[-most] > at - seconds:
                account.counters["rate_limited"] += 1
                return max(1, math.ceil(float(arrivals[-most] + seconds - at)))
        arrivals.append(at)
        return None

    def page_size(self, wanted: str | None, default: int, cap: int) -> int:
        """The size of a page: what was asked for, within what the vendor allows."""
        size = int(wanted) if wanted and wanted.isdigit() and int(wanted) else default
        return min(size, cap, int(self.options["page_size_cap"] or cap))


def number_of(counts: Mapping[str, Any], what: str, *others: str) -> int:
    """How many records a fill asks for; a ControlError says what a fill may ask for."""
    if not set(counts) <= {what, *others} or not isinstance(counts.get(what), int):
        raise ControlError(f"fill takes {{{what!r}: n}}" + "".join(f", {o!r}" for o in others))
    return int(counts[what])
