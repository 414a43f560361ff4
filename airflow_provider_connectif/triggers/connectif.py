# SPDX-License-Identifier: Apache-2.0
"""The triggers, which wait in Airflow's triggerer without blocking its event loop."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_connectif.api.argument_checks import check_one_of
from airflow_provider_connectif.api.errors import ConnectifError, InvalidArgument
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import FINISHED
from airflow_provider_connectif.api.polling.event_loop import event_loop_time, run_in_thread
from airflow_provider_connectif.api.polling.event_stream import MIN_ROUND_INTERVAL, EndedExportStream
from airflow_provider_connectif.api.polling.poller import Poller
from airflow_provider_connectif.api.polling.wait import ExportWait
from airflow_provider_connectif.links.connectif import ReportLinks
from airflow_provider_connectif.tasks.arguments import (
    argument_errors,
    check_filter,
    check_seconds,
    check_string,
)
from airflow_provider_connectif.tasks.state_store import AssetCursorStore
from airflow_provider_connectif.tasks.waiting import error_event, finished_event, one_attempt, timeout_event

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

# Airflow restarts a watcher immediately when it fails, so one that cannot succeed waits before it fails.
_SECONDS_BEFORE_FAILING = 60.0

_ENDINGS = (FINISHED, "error")

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = WeakKeyDictionary()


class ConnectifExportTrigger(BaseTrigger):
    """Waits until exports are finished; used by the deferrable sensor and the deferrable transfer operator.

    All triggers of one connection in one triggerer share one poller. The event is a mapping with ``status``:
    ``finished`` (with ``export_ids``), ``timeout`` (with ``message`` and, for a wait by ids, ``export_ids``) or
    ``error`` (with ``kind``, ``arguments``, ``message`` and ``final``).

    :param connectif_conn_id: the id of the Airflow connection
    :param export_ids: the exports to wait for; or
    :param match: the arguments of an :class:`~airflow_provider_connectif.api.filters.ExportFilter`
    :param poke_interval: the maximum number of seconds between two polls
    :param deadline: the time at which the wait ends, in seconds since the epoch; None for no deadline
    """

    _clock = staticmethod(time.time)

    def __init__(
        self,
        connectif_conn_id: str,
        *,
        export_ids: Sequence[str] | None = None,
        match: Mapping[str, Any] | None = None,
        poke_interval: float = 60.0,
        deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.connectif_conn_id = connectif_conn_id
        self.export_ids = None if export_ids is None else list(export_ids)
        self.match = None if match is None else dict(match)
        self.poke_interval = poke_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which contain no secret."""
        return (
            "airflow_provider_connectif.triggers.connectif.ConnectifExportTrigger",
            {
                "connectif_conn_id": self.connectif_conn_id,
                "export_ids": self.export_ids,
                "match": self.match,
                "poke_interval": self.poke_interval,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        yield TriggerEvent(await self._wait())  # type: ignore[no-untyped-call]

    async def _wait(self) -> dict[str, Any]:
        export_wait = ExportWait(
            self.export_ids or (),
            ExportFilter.from_arguments(self.match) if self.match is not None else None,
            resumed=True,
            log=self.log,
            monotonic=event_loop_time,
        )
        remaining = None if self.deadline is None else max(0.0, self.deadline - self._clock())
        try:
            await asyncio.wait_for(_poller(self.connectif_conn_id).wait(export_wait, self.poke_interval), remaining)
        except asyncio.TimeoutError:
            return timeout_event(export_wait.describe(), self.export_ids)
        except ConnectifError as error:
            return error_event(error)
        return finished_event(export_wait.result)


class ConnectifExportFinishedEventTrigger(BaseEventTrigger):
    """Create an asset event for each export that finishes, or fails, when used in an ``AssetWatcher``.

    The event's payload has ``export_id``, ``export`` (the export as the API describes it, without its signed URL) and
    ``link`` (the URL of its report in the Connectif application, or None).
    All triggers of one connection in one triggerer share one poll of the list per round. See
    ``docs/guides/watch-for-exports.md`` for which exports have an event, and when one may be lost or repeated.

    :param connectif_conn_id: the id of the Airflow connection
    :param export_type: only exports of this type, such as ``data-explorer``
    :param origin: only exports of this origin, ``api`` or ``app`` (the application)
    :param report_id: only exports of this Data Explorer report
    :param file_name: only exports with this file name, either the full name or the name without the dates and the
        identifier that the vendor appends; ``*`` matches any text
    :param status: ``finished``, or ``error`` for an event for each export that fails or is cancelled
    :param consumer: a name for the consumer of the events, such as the name of the asset. It tells the triggers of two
        assets apart if they are equal otherwise
    :param poke_interval: seconds between two polls, at least 5, since each poll reads the whole list
    :raises ConnectifArgumentError: if an argument is not supported
    """

    def __init__(
        self,
        connectif_conn_id: str = "connectif_default",
        *,
        export_type: str | None = None,
        origin: str | None = None,
        report_id: str | None = None,
        file_name: str | None = None,
        status: Literal["finished", "error"] = "finished",
        consumer: str | None = None,
        poke_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.connectif_conn_id = connectif_conn_id
        self.export_type = export_type
        self.origin = origin
        self.report_id = report_id
        self.file_name = file_name
        self.status = status
        self.consumer = consumer
        self.poke_interval = poke_interval
        with argument_errors():
            check_one_of("status", status, _ENDINGS)
            for name, value in self._identity().items():
                check_string(name, value)
            check_filter({name: getattr(self, name) for name in ("export_type", "origin", "report_id")})
            check_seconds("poke_interval", poke_interval)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which contain no secret."""
        return (
            "airflow_provider_connectif.triggers.connectif.ConnectifExportFinishedEventTrigger",
            {**self._identity(), "poke_interval": self.poke_interval},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each export, from now on or from the stored cursor on."""
        accessors = getattr(self, "asset_state_store", None)
        store = None if accessors is None else AssetCursorStore(accessors, self._identity())
        export_filter = ExportFilter(
            export_type=self.export_type,
            origin=self.origin,
            report_id=self.report_id,
            file_name=self.file_name,
            **({"status": FINISHED} if self.status == FINISHED else {"failed": True}),
        )
        interval = max(self.poke_interval, MIN_ROUND_INTERVAL)
        stream = EndedExportStream(export_filter, store, interval=interval, log=self.log)
        lists = _poller(self.connectif_conn_id).lists
        links = ReportLinks(self.connectif_conn_id, self.log)
        try:
            with lists.subscribed(interval, first_within=MIN_ROUND_INTERVAL) as subscription:
                async for export in stream.new_exports(subscription.read):
                    payload = {"export_id": export.id, "export": export.describe(), "link": await links.find(export)}
                    yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
        except InvalidArgument as error:
            self.log.error("%s There are no events until then.", error)
            await asyncio.sleep(_SECONDS_BEFORE_FAILING)
            raise

    def _identity(self) -> dict[str, Any]:
        identity = {
            "connectif_conn_id": self.connectif_conn_id,
            "export_type": self.export_type,
            "origin": self.origin,
            "report_id": self.report_id,
            "file_name": self.file_name,
            "consumer": self.consumer,
        }
        # The cursor is stored under a name that depends on this: what was stored before this argument existed is found.
        return identity if self.status == FINISHED else {**identity, "status": self.status}


def _opener(connectif_conn_id: str) -> Callable[[], Awaitable[ConnectifClient]]:
    """Return a function that opens a client without blocking the triggerer's event loop."""

    async def open_client() -> ConnectifClient:
        # Importing these for the first time takes longer than the event loop may be blocked.
        await run_in_thread(_import_modules)
        from airflow_provider_connectif.hooks.connectif import ConnectifHook

        return await ConnectifHook(connectif_conn_id).open_client_async(retry_policy=one_attempt())

    return open_client


def _import_modules() -> None:
    for name in ("airflow_provider_connectif.hooks.connectif", "airflow_provider_connectif.api.client", "requests"):
        importlib.import_module(name)


def _poller(connectif_conn_id: str) -> Poller:
    """Return the poller of this connection in this event loop."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    if connectif_conn_id not in pollers:
        pollers[connectif_conn_id] = Poller(_opener(connectif_conn_id), connection=connectif_conn_id)
    return pollers[connectif_conn_id]
