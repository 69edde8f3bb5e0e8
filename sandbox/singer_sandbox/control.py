"""The control API under `/_sandbox/`, and the start page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from singer_sandbox.account import Account, ControlError
from singer_sandbox.journal import masked, most_in
from singer_sandbox.settings import plugin_settings
from singer_sandbox.vendor import Vendor
from singer_sandbox.world import World

Endpoint = Callable[[Request], Awaitable[Response]]
NEWEST = 8
SHOWN_ACCOUNTS = 10
"""Of each vendor on the start page; it is asked for every second."""
MOST_ACCOUNTS = 100_000
LATEST = 60


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    body = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, media_type="application/json")


def window_of(request: Request) -> float:
    """The window that a call asks for, in seconds."""
    try:
        return float(request.query_params.get("window", "10"))
    except ValueError:
        raise ControlError("window must be a number of seconds") from None


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of a control call; nothing sent is an empty one."""
    text = await request.body()
    try:
        value = orjson.loads(text) if text.strip() else {}
    except orjson.JSONDecodeError as error:
        raise ControlError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ControlError("expected a JSON object")
    return value


class Control:
    """The endpoints, each a thin cover over the world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def vendor(self, request: Request) -> Vendor[Any]:
        """The vendor in the address."""
        return self.world.vendor(request.path_params["vendor"])

    async def page(self, _request: Request) -> Response:
        """GET /"""
        html = files("singer_sandbox").joinpath("page.html").read_text("utf-8")
        # Nothing from elsewhere, whatever a record may hold.
        policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
        headers = {"content-security-policy": f"{policy}; connect-src 'self'"}
        return HTMLResponse(html, headers=headers)

    async def overview(self, _request: Request) -> Response:
        """GET /_sandbox/overview: what the start page shows."""
        journal = self.world.journal
        vendors = {
            name: {
                account.name: {
                    "sizes": account.sizes(),
                    "newest": masked(account.newest(NEWEST)),
                    "counters": dict(account.counters),
                }
                for account in self.last_used(vendor)
            }
            for name, vendor in self.world.vendors.items()
        }
        summary = journal.summary()
        summary["requests_by_vendor"] = summary.pop("requests")
        summary["latest"] = journal.latest(LATEST)
        summary["faults"] = [fault.as_json() for fault in self.world.faults]
        summary["accounts"] = {n: len(v.accounts) for n, v in self.world.vendors.items()}
        return answer({"vendors": vendors, **summary})

    def last_used(self, vendor: Vendor[Any]) -> Iterable[Account]:
        """The default account, and the others that were called last: as many as a page shows."""
        default, *others = vendor.accounts.values()
        times = self.world.journal.by_account

        def last(account: Account) -> float:
            return next(reversed(times.get((vendor.name, account.name), ())), 0.0)

        return [default, *sorted(others, key=last, reverse=True)[: SHOWN_ACCOUNTS - 1]]

    async def ready(self, _request: Request) -> Response:
        """GET /_sandbox/ready"""
        return answer({"ready": True, "vendors": list(self.world.vendors)})

    async def settings(self, request: Request) -> Response:
        """GET /_sandbox/settings: what points each plugin here."""
        version = request.query_params.get("api_version", "v1")
        account = request.query_params.get("account", "default")
        return answer(plugin_settings(str(request.base_url).rstrip("/"), version, account))

    async def reset(self, _request: Request) -> Response:
        """POST /_sandbox/reset"""
        self.world.reset()
        return answer({"reset": True})

    async def seed(self, _request: Request) -> Response:
        """POST /_sandbox/seed"""
        self.world.seed()
        return answer({name: v.account(None).sizes() for name, v in self.world.vendors.items()})

    async def fill(self, request: Request) -> Response:
        """POST /_sandbox/fill/{vendor}: many invented records, the same every time."""
        vendor = self.vendor(request)
        account = vendor.account(request.query_params.get("account"))
        vendor.fill(account, await body_of(request))
        return answer(account.sizes())

    async def get_state(self, request: Request) -> Response:
        """GET /_sandbox/state/{vendor}"""
        account = self.vendor(request).account(request.query_params.get("account"))
        if request.query_params.get("sizes"):
            return answer({"sizes": account.sizes(), "counters": dict(account.counters)})
        state = account.dump()
        return answer({"account": account.name, **state, "counters": dict(account.counters)})

    async def put_state(self, request: Request) -> Response:
        """POST /_sandbox/state/{vendor}"""
        account = self.vendor(request).account(request.query_params.get("account"))
        account.merge(await body_of(request))
        return answer(account.sizes())

    async def remove(self, request: Request) -> Response:
        """DELETE /_sandbox/state/{vendor}/{table}/{key}"""
        account = self.vendor(request).account(request.query_params.get("account"))
        table = request.path_params["table"]
        if table not in account.sizes() or table in account.journals:
            raise ControlError(f"no table {table!r}; there are {sorted(account.sizes())}")
        return answer({"removed": account.remove(table, request.path_params["key"])})

    async def get_options(self, request: Request) -> Response:
        """GET /_sandbox/options/{vendor}"""
        vendor = self.vendor(request)
        return answer({"options": vendor.options, "choices": vendor.choices})

    async def set_options(self, request: Request) -> Response:
        """POST /_sandbox/options/{vendor}, or of one account: `?account=`"""
        vendor = self.vendor(request)
        if (name := request.query_params.get("account")) is not None:
            vendor.set_account_options(vendor.account(name), await body_of(request))
        else:
            vendor.set_options(await body_of(request))
        return answer({"options": vendor.options})

    async def account(self, request: Request) -> Response:
        """POST /_sandbox/accounts/{vendor}"""
        vendor = self.vendor(request)
        given = await body_of(request)
        name = str(given.pop("account", "") or "default")
        vendor.register(name, given, replace=bool(given.pop("replace", False)))
        return answer({"accounts": sorted(vendor.accounts)})

    async def add_accounts(self, request: Request) -> Response:
        """POST /_sandbox/accounts: `{"count": n}`, numbered ones of each vendor"""
        count = (await body_of(request)).get("count")
        if not isinstance(count, int) or not 0 <= count <= MOST_ACCOUNTS:
            raise ControlError(f"count must be a number up to {MOST_ACCOUNTS}")
        return answer({"accounts": self.world.add_accounts(count)})

    async def accounts(self, request: Request) -> Response:
        """GET /_sandbox/accounts/{vendor}: sizes, counters, requests of each; `?window=`"""
        vendor, times = self.vendor(request), self.world.journal.by_account
        window = window_of(request)
        return answer(
            {
                name: {
                    "sizes": account.sizes(),
                    "counters": dict(account.counters),
                    "requests": len(own := times.get((vendor.name, name), ())),
                    "max": most_in(own, window),
                }
                for name, account in vendor.accounts.items()
            }
        )

    async def get_faults(self, _request: Request) -> Response:
        """GET /_sandbox/faults"""
        return answer([fault.as_json() for fault in self.world.faults])

    async def add_fault(self, request: Request) -> Response:
        """POST /_sandbox/faults"""
        return answer(self.world.add_fault(await body_of(request)).as_json(), 201)

    async def clear_faults(self, _request: Request) -> Response:
        """DELETE /_sandbox/faults"""
        self.world.faults.clear()
        return answer([])

    async def held(self, request: Request) -> Response:
        """GET /_sandbox/held/{name}"""
        name = request.path_params["name"]
        return answer({"name": name, "held": self.world.holds.held(name)})

    async def release(self, request: Request) -> Response:
        """POST /_sandbox/release/{name}"""
        return answer({"released": self.world.holds.release(request.path_params["name"])})

    async def expire_tokens(self, _request: Request) -> Response:
        """POST /_sandbox/expire_tokens"""
        self.world.autoreach.expire_tokens()
        return answer({"expired": True})

    async def requests(self, request: Request) -> Response:
        """GET /_sandbox/requests"""
        query = request.query_params
        limit = int(query["limit"]) if query.get("limit", "").isdigit() else None
        return answer(self.world.journal.requests(query.get("vendor"), limit))

    async def counts(self, _request: Request) -> Response:
        """GET /_sandbox/counts"""
        return answer(self.world.journal.summary())

    async def rates(self, request: Request) -> Response:
        """GET /_sandbox/rates"""
        vendor = request.query_params.get("vendor")
        return answer(self.world.journal.rate(vendor, window_of(request)))

    async def log(self, request: Request) -> Response:
        """POST /_sandbox/log: `enabled`, `bodies`, `clear`"""
        given = await body_of(request)
        if unknown := set(given) - {"enabled", "bodies", "clear"}:
            raise ControlError(f"unknown {sorted(unknown)}; there are enabled, bodies, clear")
        journal = self.world.journal
        if given.get("clear"):
            journal.clear()
        journal.enabled = bool(given.get("enabled", journal.enabled))
        journal.bodies = bool(given.get("bodies", journal.bodies))
        return answer({"enabled": journal.enabled, "bodies": journal.bodies})


async def _refused(_request: Request, error: Exception) -> Response:
    return answer({"error": str(error)}, 400)


def control_app(world: World) -> Starlette:
    """The Starlette application of all that is no vendor's."""
    control = Control(world)
    table: list[tuple[str, str, Endpoint]] = [
        ("GET", "/", control.page),
        ("GET", "/_sandbox/overview", control.overview),
        ("GET", "/_sandbox/ready", control.ready),
        ("GET", "/_sandbox/settings", control.settings),
        ("POST", "/_sandbox/reset", control.reset),
        ("POST", "/_sandbox/seed", control.seed),
        ("POST", "/_sandbox/fill/{vendor}", control.fill),
        ("GET", "/_sandbox/state/{vendor}", control.get_state),
        ("POST", "/_sandbox/state/{vendor}", control.put_state),
        ("DELETE", "/_sandbox/state/{vendor}/{table}/{key:path}", control.remove),
        ("GET", "/_sandbox/options/{vendor}", control.get_options),
        ("POST", "/_sandbox/options/{vendor}", control.set_options),
        ("POST", "/_sandbox/accounts", control.add_accounts),
        ("GET", "/_sandbox/accounts/{vendor}", control.accounts),
        ("POST", "/_sandbox/accounts/{vendor}", control.account),
        ("GET", "/_sandbox/faults", control.get_faults),
        ("POST", "/_sandbox/faults", control.add_fault),
        ("DELETE", "/_sandbox/faults", control.clear_faults),
        ("GET", "/_sandbox/held/{name}", control.held),
        ("POST", "/_sandbox/release/{name}", control.release),
        ("POST", "/_sandbox/expire_tokens", control.expire_tokens),
        ("GET", "/_sandbox/requests", control.requests),
        ("GET", "/_sandbox/counts", control.counts),
        ("GET", "/_sandbox/rates", control.rates),
        ("POST", "/_sandbox/log", control.log),
    ]
    routes = [Route(path, endpoint, methods=[method]) for method, path, endpoint in table]
    return Starlette(routes=routes, exception_handlers={ControlError: _refused})
