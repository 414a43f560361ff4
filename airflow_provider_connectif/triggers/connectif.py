# SPDX-License-Identifier: Apache-2.0
"""The triggers: what waits in Airflow's triggerer, at a price that it does not feel."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_connectif.api.errors import ConnectifError, InvalidArgument
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import FINISHED
from airflow_provider_connectif.api.polling.event_stream import Announcer, rounds
from airflow_provider_connectif.api.polling.poller import Poller
from airflow_provider_connectif.api.polling.wait import Watch
from airflow_provider_connectif.tasks.arguments import check_seconds, check_strings
from airflow_provider_connectif.tasks.cursor_store import AssetCursorStore

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

# Airflow starts a watcher that has failed anew at once: one that can't do better takes its time to fail.
_PAUSE_BEFORE_FAILING = 60.0

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = WeakKeyDictionary()


class ConnectifExportTrigger(BaseTrigger):
    """Waits until exports are finished. What the deferrable sensor and the deferrable transfer use.

    All triggers of one connection in one triggerer share one poller. The event is a mapping with ``status``:
    ``finished`` or ``timeout`` (with ``export_ids``, of a wait by ids), or ``error`` (with ``message``, and whether it
    is ``final``); ``timeout`` has a ``message`` too.

    :param connectif_conn_id: the id of the Airflow connection.
    :param export_ids: the exports to wait for; or else
    :param match: the arguments of an :class:`~airflow_provider_connectif.api.filters.ExportFilter`, datetimes as ISO
        strings.
    :param poke_interval: seconds between two looks at the most.
    :param deadline: epoch seconds at which the waiting ends; None for never.
    """

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
        """Give what makes the same trigger elsewhere. It holds no secret."""
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
        """Wait, and yield the one event."""
        yield TriggerEvent(await self._wait())  # type: ignore[no-untyped-call]

    async def _wait(self) -> dict[str, Any]:
        watch = Watch(
            self.export_ids or (),
            ExportFilter.from_arguments(self.match) if self.match is not None else None,
            log=self.log,
            begun=True,
        )
        left = None if self.deadline is None else max(0.0, self.deadline - time.time())
        try:
            await asyncio.wait_for(_poller(self.connectif_conn_id).wait(watch, self.poke_interval), left)
        except asyncio.TimeoutError:
            return {"status": "timeout", "message": watch.describe(), "export_ids": self.export_ids}
        except ConnectifError as problem:
            return {
                "status": "error",
                "message": str(problem),
                "final": problem.final,
                "kind": type(problem).__name__,
            }
        return {"status": "finished", "export_ids": watch.result}


class ConnectifExportFinishedEventTrigger(BaseEventTrigger):
    """For an ``AssetWatcher``: an asset event for each export that finishes and fits, whoever made it.

    The event's payload is ``export_id`` and ``export``, the export as the API describes it, without its file's address.
    Triggers of one connection and one ``poke_interval`` share one look at the list for each round (Airflow 3.3 and
    later). What is announced, and what is lost or repeated where, is told in ``docs/events.md``.

    :param connectif_conn_id: the id of the Airflow connection.
    :param export_type: only this type, such as ``data-explorer``.
    :param origin: only this origin, ``api`` or ``app`` (the application).
    :param report_id: only this Data Explorer report.
    :param file_name: only files of this name: whole, or without the dates and the identifier that the vendor appends;
        ``*`` stands for any text.
    :param consumer: a name for who listens, such as the asset's. Two assets whose triggers are otherwise equal need
        one each.
    :param poke_interval: seconds between two looks; at least 5, for each look reads the whole list.
    :raises ConnectifArgumentError: where an argument is no text, or the interval no number.
    """

    def __init__(
        self,
        connectif_conn_id: str = "connectif_default",
        *,
        export_type: str | None = None,
        origin: str | None = None,
        report_id: str | None = None,
        file_name: str | None = None,
        consumer: str | None = None,
        poke_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.connectif_conn_id = connectif_conn_id
        self.export_type = export_type
        self.origin = origin
        self.report_id = report_id
        self.file_name = file_name
        self.consumer = consumer
        self.poke_interval = poke_interval
        check_strings(
            connectif_conn_id=connectif_conn_id,
            export_type=export_type,
            origin=origin,
            report_id=report_id,
            file_name=file_name,
            consumer=consumer,
        )
        check_seconds("poke_interval", poke_interval)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what makes the same trigger elsewhere. It holds no secret."""
        return (
            "airflow_provider_connectif.triggers.connectif.ConnectifExportFinishedEventTrigger",
            {**self._identity(), "poke_interval": self.poke_interval},
        )

    def shared_stream_key(self) -> Hashable | None:
        """Name the look at the list that all triggers of this connection and interval share."""
        return "connectif finished exports", self.connectif_conn_id, float(self.poke_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Any]:
        """Look at the list, for all that share it."""
        async for listed in rounds(_opener(kwargs["connectif_conn_id"]), kwargs["poke_interval"]):
            yield listed

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Make this trigger's events of what the shared look has found."""
        accessors = getattr(self, "asset_state_store", None)
        store = None if accessors is None else AssetCursorStore(accessors, self._identity())
        wanted = ExportFilter(
            export_type=self.export_type,
            origin=self.origin,
            report_id=self.report_id,
            status=FINISHED,
            file_name=self.file_name,
        )
        announcer = Announcer(wanted, store, log=self.log)
        try:
            async for export in announcer.follow(shared_stream):
                yield TriggerEvent({"export_id": export.id, "export": export.describe()})  # type: ignore[no-untyped-call]
        except InvalidArgument as problem:
            self.log.error("%s Nothing is announced until then.", problem)
            await asyncio.sleep(_PAUSE_BEFORE_FAILING)
            raise

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the list alone: what Airflow calls before 3.3, where triggers share no stream."""
        listed = rounds(_opener(self.connectif_conn_id), self.poke_interval, log=self.log)
        async for event in self.filter_shared_stream(listed):
            yield event

    def _identity(self) -> dict[str, Any]:
        return {
            "connectif_conn_id": self.connectif_conn_id,
            "export_type": self.export_type,
            "origin": self.origin,
            "report_id": self.report_id,
            "file_name": self.file_name,
            "consumer": self.consumer,
        }


def _opener(connectif_conn_id: str) -> Callable[[], Awaitable[ConnectifClient]]:
    """Give what opens a client for a triggerer's looks, without blocking its event loop."""

    async def open_client() -> ConnectifClient:
        # The first import of these takes longer than the event loop may stand still.
        await asyncio.to_thread(_load_what_works)
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.waiting import looking_patience

        return await ConnectifHook(connectif_conn_id).open_client_async(patience=looking_patience())

    return open_client


def _load_what_works() -> None:
    for name in ("airflow_provider_connectif.hooks.connectif", "airflow_provider_connectif.api.client", "requests"):
        importlib.import_module(name)


def _poller(connectif_conn_id: str) -> Poller:
    """Give the poller of this connection in this event loop."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    if connectif_conn_id not in pollers:
        pollers[connectif_conn_id] = Poller(_opener(connectif_conn_id))
    return pollers[connectif_conn_id]
