"""One run of a target, put together: session, router, recovery; its stages and its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from singer_sdk.mapper import PluginMapper

from singer_http.delivery.delivery import Delivery
from singer_http.delivery.mirror import Mirror, removal
from singer_http.errors import StopRun
from singer_http.http.client import Client
from singer_http.operations import JSON, Outcome, OutcomeKind
from singer_http.report.counts import Report
from singer_http.report.notify import warn_if_missing
from singer_http.report.rejects_summary import Rejected, summarise
from singer_http.sink import suppression_file
from singer_http.sink.context import SinkContext
from singer_http.store.store import LedgerView
from singer_http.target.plan import Plan
from singer_http.target.recovery import Recovery
from singer_http.target.router import Router
from singer_http.target.session import Session
from singer_http.target.takeover import Takeover


class TargetRun:
    """Everything of one run.

    Raises:
        ConfigError: the database cannot be opened, or the key is not known.
    """

    def __init__(
        self,
        plan: Plan,
        report: Report,
        client: Client,
        mapper: Callable[[], PluginMapper],
        logger: logging.Logger,
    ) -> None:
        """Open the database under a lock."""
        self._plan = plan
        self._report = report
        self._client = client
        self._logger = logger
        self.session = session = Session(
            plan.config,
            report,
            logger,
            url=plan.database_url,
            name=plan.name,
            account=plan.ledger_account,
            rejects_path=plan.path("rejects.jsonl"),
        )
        try:
            self._guard_account()
            Takeover(
                session.store,
                plan.name,
                plan.ledger_account,
                session.sync,
                str(plan.config.get("account") or ""),
            ).carry_out(plan.earlier_api, logger)
            self._read_suppression()
        except BaseException:
            session.close()
            raise
        if plan.config.get("ledger_url") == "none":
            session.forget_delivered()
        self.context = SinkContext(
            config=plan.config,
            deciding=plan.deciding,
            client=client,
            logger=logger,
            api_url=plan.api_url,
            version=plan.version,
            ledger=LedgerView(session.store.ledger, plan.ledger_account),
            counts=lambda stream: report.stream(stream).counts,
            suppressed=session.suppressions,
        )
        self.router = Router(session, self.context, plan.sinks, mapper, self._opened)
        self._recovery = Recovery(session, self.router)

    def begin(self) -> None:
        """Note in the database that a run has begun."""
        warn_if_missing(self._plan.config.get("notify") or (), self._plan.name)
        self.session.store.begin_run(self._report.as_dict(), self._plan.ledger_account)

    def _read_suppression(self) -> None:
        """Read the files of the setting `suppression`, and say how many entries there are.

        Raises:
            ConfigError: a file cannot be read, or has a line that is no entry.
        """
        config, suppressions = self._plan.config, self.session.suppressions
        for path in suppression_file.paths(config.get("suppression")):
            entries = suppression_file.read([path], config.get("phone_region"))
            suppressions.add_file(path, (entry.value for entry in entries))
        numbers = suppressions.numbers()
        if numbers:
            self._logger.info("suppression: %s", suppression_file.described(numbers))

    def _guard_account(self) -> None:
        """Stop if the key is new where the ledger knows another one."""
        plan, scopes = self._plan, self.session.store.scopes
        if not plan.credential or plan.config.get("ledger_url") == "none":
            return
        if not plan.config.get("account"):
            scopes.guard_key(plan.name, plan.credential)
        scopes.remember_account(plan.name, plan.credential, plan.account)

    def _opened(self, delivery: Delivery) -> None:
        """Before the first record of a stream: what earlier runs left of it."""
        if not self._depends(delivery):
            self._recovery.begin(delivery)

    def _depends(self, delivery: Delivery) -> bool:
        spool = self.router.spools.get(delivery.stream)
        return spool is not None and spool.is_open

    # --- the end of the input -----------------------------------------------------------------

    def finish(self) -> None:
        """Stream by stream in the target's order: what waited, then what earlier runs left."""
        self._recovery.open_earlier()
        for delivery in self._in_order():
            self._finish_stream(delivery)
            # What depends on it reads what is committed.
            self.session.store.commit()
        if self.session.mirror is not None:
            for delivery in reversed(list(self._in_order())):
                self._remove_missing(delivery, self.session.mirror)

    def _in_order(self) -> Iterator[Delivery]:
        for sink in self._plan.sinks:
            if delivery := self.session.deliveries.get(sink.stream):
                yield delivery

    def _finish_stream(self, delivery: Delivery) -> None:
        delivery.flush()
        spool = self.router.spools.get(delivery.stream)
        if spool is not None:
            spool.is_open = False
        self._recovery.begin(delivery)
        # Where keys depend on each other, the older record is sent first.
        if delivery.sink_class.group_by_parent:
            self._recovery.retry_rejects(delivery)
        if spool is not None:
            self.router.refuse_useless_overwrite(delivery.sink_class)
            for route, line in spool.read():
                route.deliver_line(line)
            delivery.flush()
        if not delivery.sink_class.group_by_parent:
            self._recovery.retry_rejects(delivery)

    def _remove_missing(self, delivery: Delivery, mirror: Mirror) -> None:
        session, stream = self.session, delivery.stream
        route = next(self.router.routes_of(stream), None)
        scope = session.scope(stream)
        if route is None or scope is None or scope.source not in self.router.opened_sources:
            return
        if doubt := mirror.doubt(scope.source, stream):
            delivery.report.notes.append(f"mirror: nothing removed: {doubt}")
            self._logger.warning("%s: the mirror removed nothing: %s", stream, doubt)
            return
        for row in mirror.gone(session.store.ledger, delivery.scope, stream):
            item, failed = removal(route.intake.sink, row, session.next_seq())
            if failed is not None:
                delivery.dispatch.settle(item, Outcome(OutcomeKind.REJECTED, rejection=failed))
            elif session.dry_run:
                delivery.report.counts.removed += 1
                session.show(item)
            else:
                delivery.dispatch.remove(item)
        delivery.flush()

    # --- the end ------------------------------------------------------------------------------

    def settle(self) -> BaseException | None:
        """Process the answers that are due, and commit; the error of that, if any."""
        problem: BaseException | None = None
        for step in (
            self._client.stop,
            self.session.settle_in_flight,
            self.session.store.finish,
            lambda: self.session.export_rejects(even_unchanged=True),
        ):
            try:
                step()
            except Exception as error:
                if not isinstance(error, StopRun):
                    self._logger.debug("While ending the run", exc_info=error)
                problem = problem or error
        return problem

    def rejects_summary(self) -> JSON:
        """What is outstanding, by reason.

        Raises:
            StopRun: the database is gone.
        """
        return summarise(self._rejected(), self.session.rejects_path)

    def _rejected(self) -> Iterator[Rejected]:
        for number, entry in enumerate(self.session.reject_lines(), 1):
            if entry.stream:
                yield Rejected(entry.line, entry.stream, entry.key, number)

    def close(self) -> BaseException | None:
        """Close the database, release the lock; the error of that, if any."""
        problem: BaseException | None = None
        for step in (self.session.close, self._client.close):
            try:
                step()
            except Exception as error:  # noqa: BLE001 - both are closed
                problem = problem or error
        return problem
