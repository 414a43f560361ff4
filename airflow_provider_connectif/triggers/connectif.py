# SPDX-License-Identifier: Apache-2.0
"""The triggers: what waits in Airflow's triggerer, at a price that it does not feel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_connectif.api.errors import ConnectifError
from airflow_provider_connectif.api.poller import Poller
from airflow_provider_connectif.api.watch import Watch
from airflow_provider_connectif.api.watching import Match

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = WeakKeyDictionary()


class ConnectifExportTrigger(BaseTrigger):
    """Waits until exports are finished. What the deferrable sensor and the deferrable transfer use.

    All triggers of one connection in one triggerer share one poller. The event is a mapping with ``status``:
    ``finished`` (with ``export_ids``), ``timeout`` or ``error`` (with ``message``, and whether it is ``final``).

    :param connectif_conn_id: the id of the Airflow connection.
    :param export_ids: the exports to wait for; or else
    :param match: the fields of a :class:`~airflow_provider_connectif.api.watching.Match`, moments as ISO strings.
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
            Match.of(self.match) if self.match is not None else None,
            log=self.log,
            begun=True,
        )
        left = None if self.deadline is None else max(0.0, self.deadline - time.time())
        try:
            await asyncio.wait_for(_poller(self.connectif_conn_id).wait(watch, self.poke_interval), left)
        except asyncio.TimeoutError:
            return {"status": "timeout", "message": watch.describe()}
        except ConnectifError as problem:
            return {
                "status": "error",
                "message": str(problem),
                "final": problem.final,
                "kind": type(problem).__name__,
            }
        return {"status": "finished", "export_ids": watch.result}


def _poller(connectif_conn_id: str) -> Poller:
    """Give the poller of this connection in this event loop."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    if connectif_conn_id not in pollers:

        async def open_client() -> Any:
            from airflow_provider_connectif.hooks.connectif import ConnectifHook
            from airflow_provider_connectif.tasks.waiting import looking_patience

            return await ConnectifHook(connectif_conn_id).open_client_async(patience=looking_patience())

        pollers[connectif_conn_id] = Poller(open_client)
    return pollers[connectif_conn_id]
