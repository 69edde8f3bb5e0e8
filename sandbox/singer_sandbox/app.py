"""The ASGI application: vendors on the short path, control and start page through Starlette."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from singer_sandbox.account import Account
from singer_sandbox.control import control_app
from singer_sandbox.faults import Fault
from singer_sandbox.journal import Entry
from singer_sandbox.messages import Match, Reply, Request, reply
from singer_sandbox.vendor import Vendor
from singer_sandbox.world import World

TRANSPORT = "singer_sandbox.transport"
"""Where the server puts the connection into the scope, so that a fault can break it."""


class _Dropped(Exception):
    """The connection is to be closed without an answer."""


class App:
    """Dispatches by the first piece of the path."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.control: ASGIApp = control_app(world)
        self.later: set[asyncio.Task[None]] = set()
        """Work that is done after its answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event, as ASGI has it."""
        if scope["type"] == "http":
            raw: str = scope["raw_path"].decode("latin-1")
            name, slash, path = raw[1:].partition("/")
            vendor = self.world.vendors.get(name)
            if vendor is not None and slash:
                await self.serve(vendor, "/" + path, scope, receive, send)
                return
        await self.control(scope, receive, send)

    async def serve(
        self, vendor: Vendor[Any], path: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer one request to a vendor, with whatever is to go wrong with it."""
        method: str = scope["method"]
        match = vendor.router.find(method, path)
        template = match.template if match else "(unknown)"
        shown = vendor.shown_path(path, match)
        query = scope["query_string"].decode("latin-1")
        entry = Entry(vendor.name, method, shown, template, query)
        body = await self.read(receive)
        if body is None:
            return
        request = Request(method, path, query, scope["headers"], body)
        world, era = self.world, self.world.era
        self.describe(entry, vendor, request, match)
        world.journal.arrive(entry, body)
        broken: Fault | None = None
        try:
            answer, broken = await self.work(vendor, request, match, entry)
            if era != world.era:
                raise _Dropped
        except _Dropped:
            if era == world.era:
                world.journal.leave(entry, 0)
            scope[TRANSPORT].abort()
            await self.gone(receive)
            return
        except asyncio.CancelledError:  # the server ends
            scope[TRANSPORT].abort()
            raise
        except Exception:
            world.journal.leave(entry, 500)
            raise
        world.journal.leave(entry, answer.status)
        await self.send(answer, broken, scope, send)

    @staticmethod
    async def read(receive: Receive) -> bytes | None:
        """The whole body; None when the client went away before its end: no request then."""
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part: bytes = message.get("body", b"")
            body = body + part if body else part
            if not message.get("more_body"):
                return body

    def describe(
        self, entry: Entry, vendor: Vendor[Any], request: Request, match: Match | None
    ) -> None:
        """Fill in what the journal wants to know; nothing more than a time when it is off."""
        if not self.world.journal.enabled:
            return
        entry.read_headers(request.headers)
        if vendor.keeps_answers(request):
            entry.keep_headers(request.headers)
        if match is None:
            return
        entry.template = vendor.label(request, match)
        entry.items = vendor.items(request)
        entry.write = vendor.writes(request)
        if not match.public:
            entry.identities = vendor.identities(request, match)

    async def work(
        self, vendor: Vendor[Any], request: Request, match: Match | None, entry: Entry
    ) -> tuple[Reply, Fault | None]:
        """The answer, and the fault that is to break it."""
        era = self.world.era
        account = vendor.who(request, match) if match and not match.public else None
        if account is not None:
            self.world.journal.belongs(entry, account.name)
            wait = vendor.over_limit(account, entry.at)
            if wait is not None:
                refusal = vendor.too_many(request, wait)
                self.keep(entry, vendor, request, refusal)
                return refusal, None
        struck: list[Fault] = []
        if self.world.faults:
            struck = [f for f in self.world.faults if f.strikes(vendor.name, request)]
        latency = vendor.options["latency_ms"]
        if latency:
            await asyncio.sleep(latency / 1000)
        for fault in struck:
            if fault.when == "before":
                if fault.late is not None:
                    self.work_later(fault.late, vendor, request, match)
                answer = await self.strike(fault, vendor, account, request, None)
                if answer is not None:
                    return answer, fault
        if self.world.era != era:
            raise _Dropped
        answer = vendor.handle(request, match)
        self.keep(entry, vendor, request, answer)
        broken: Fault | None = None
        for fault in struck:
            if fault.when == "after":
                answer = await self.strike(fault, vendor, account, request, answer) or answer
                broken = fault if fault.kind in ("cut", "cut_json", "drip") else broken
        return answer, broken

    def keep(self, entry: Entry, vendor: Vendor[Any], request: Request, answer: Reply) -> None:
        """Log the vendor's own answer, before a fault breaks or replaces it."""
        if vendor.keeps_answers(request):
            self.world.journal.keep_answer(entry, answer)

    def work_later(
        self, seconds: float, vendor: Vendor[Any], request: Request, match: Match | None
    ) -> None:
        """Do the work when the answer has long been given, unless a reset comes first."""
        era = self.world.era

        async def work() -> None:
            await asyncio.sleep(seconds)
            if self.world.era == era:
                vendor.handle(request, match)

        task = asyncio.create_task(work())
        self.later.add(task)
        task.add_done_callback(self.later.discard)

    async def strike(
        self,
        fault: Fault,
        vendor: Vendor[Any],
        account: Account | None,
        request: Request,
        answer: Reply | None,
    ) -> Reply | None:
        """Let a fault happen; an answer when it has one of its own."""
        value = fault.given[fault.kind]
        if fault.kind == "drop":
            raise _Dropped
        if fault.kind in ("delay", "late"):
            await asyncio.sleep(float(value))
        elif fault.kind == "hold":
            if not await self.world.holds.hold(str(value)):
                raise _Dropped
        elif fault.kind == "expire_tokens":
            self.world.autoreach.expire_tokens()
        elif fault.kind == "remove":
            (account or vendor.account(None)).remove(str(value["table"]), str(value["key"]))
        elif fault.kind == "put":
            (account or vendor.account(None)).merge(value)
        elif fault.kind in ("status", "html"):
            return self.refusal(fault, vendor, request)
        elif answer is None:  # a broken answer to work that was not done
            return reply(200, {"data": [], "meta": {"total": 0}, "contacts": [], "id": 0})
        elif fault.kind == "charset":
            fault.encoded(answer)
        return None

    @staticmethod
    def refusal(fault: Fault, vendor: Vendor[Any], request: Request) -> Reply:
        """The answer that a fault brings: its own body, or the vendor's form."""
        answer = vendor.refuse(request, int(fault.given[fault.kind]), "Refused on request.")
        body = fault.body()
        if body is not None:
            answer.body = body
        if (kind := fault.content_type()) is not None:
            answer.set_content_type(kind or None)
        answer.headers += [
            (name.lower().encode(), text.encode()) for name, text in fault.headers().items()
        ]
        return answer

    @staticmethod
    async def send(answer: Reply, broken: Fault | None, scope: Scope, send: Send) -> None:
        """Send an answer, whole, broken off, or byte by byte."""
        body = answer.body
        kind = broken.kind if broken is not None else None
        if kind == "cut_json":
            body = body[: max(1, len(body) // 2)]
        headers = answer.headers
        if answer.status != 204:
            headers = [*headers, (b"content-length", str(len(body)).encode())]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await send(start)
        if kind == "cut":
            half = body[: len(body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            scope[TRANSPORT].close()
            return
        if broken is not None and kind == "drip":
            for index in range(len(body) - 1):
                part = body[index : index + 1]
                await send({"type": "http.response.body", "body": part, "more_body": True})
                await asyncio.sleep(float(broken.given["drip"]))
                if scope[TRANSPORT].is_closing():
                    return
            body = body[-1:]
        await send({"type": "http.response.body", "body": body})

    @staticmethod
    async def gone(receive: Receive) -> None:
        """Wait until the server has noticed that the connection is closed."""
        while (await receive())["type"] != "http.disconnect":
            pass
