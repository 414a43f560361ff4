# SPDX-License-Identifier: Apache-2.0
"""A real Airflow with a DAG that a trigger for asset watchers starts, and whose triggerer is interrupted."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from scripts.local_airflow import LocalAirflow, wait_for
from scripts.triggerer import Triggerer

ROUND = 5.0
# The time until the cursor includes an announced export: the next round, and the waits and reads before it is stored.
LAST_ROUND = 2 * ROUND + 10


class WatchedAirflow:
    """What Airflow has recorded, and when its triggerer was interrupted.

    :param airflow: the Airflow
    :param vendor: the running sandbox
    :param dag: the id of the DAG
    """

    def __init__(self, airflow: LocalAirflow, vendor: Any, dag: str) -> None:
        self.airflow = airflow
        self.vendor = vendor
        self.dag = dag
        self.interrupted: list[tuple[str, float, float]] = []

    def wait_for_cursor(self) -> None:
        wait_for("the stored cursor", lambda: self._rows("select value from asset_state_store") or None, 120)

    def interrupt(self, triggerer: Triggerer, how: str, meanwhile: Callable[[], None]) -> None:
        """Stop or kill the triggerer, and start another one.

        :param how: ``stop`` or ``kill``
        :param meanwhile: called while no triggerer is running
        """
        began = time.time()
        getattr(triggerer, how)()
        self.interrupted.append((how, began, time.time()))
        meanwhile()
        requests = self._list_requests()
        triggerer.start()
        wait_for("a request of the new triggerer", lambda: self._list_requests() > requests or None, 120)

    def wait_until_announced(self, export_ids: list[str], timeout: float = 240) -> None:
        wait_for(
            "an announcement of every export",
            lambda: set(self.announced()) >= set(export_ids) or None,
            timeout,
            interval=2,
        )

    def wait_until_all_runs_ended(self, timeout: float = 240) -> None:
        def ended() -> bool | None:
            queued = self._rows("select * from asset_dag_run_queue")
            return True if not queued and all(run["state"] in ("success", "failed") for run in self.runs()) else None

        wait_for("the end of every run", ended, timeout, interval=2)

    def _list_requests(self) -> int:
        return self.vendor.stats.by_route.get("GET /exports", 0)

    def events(self) -> list[tuple[str, float, dict[str, Any]]]:
        """Return the export's id, the time and the payload of each asset event."""
        # From the database, because the API responds with 500 while a run that an event has created is queued.
        found = []
        for timestamp, extra in self._rows("select timestamp, extra from asset_event order by timestamp"):
            payload = json.loads(extra)["payload"]
            stored_at = datetime.fromisoformat(timestamp).replace(tzinfo=timezone.utc).timestamp()
            found.append((payload["export_id"], stored_at, payload))
        return found

    def announced(self) -> Counter[str]:
        return Counter(export_id for export_id, _, _ in self.events())

    def repeated(self) -> tuple[Counter[str], list[tuple[str, float]]]:
        """Return how many exports were announced again because of each kind of interruption, and those that were
        announced again for another reason, with the seconds since they were announced before."""
        announced: dict[str, float] = {}
        again: Counter[str] = Counter()
        unexplained = []
        for export_id, timestamp, _ in self.events():
            before, announced[export_id] = announced.get(export_id), timestamp
            if before is None:
                continue
            # A triggerer that is being stopped may still store events for some seconds, but no longer the cursor.
            causes = [
                how
                for how, began, ended in self.interrupted
                if began <= before + LAST_ROUND and before <= ended <= timestamp
            ]
            again[causes[0] if causes else "nothing"] += 1
            if not causes:
                unexplained.append((export_id, timestamp - before))
        return again, unexplained

    def runs(self) -> list[dict[str, Any]]:
        return self.airflow.api("GET", f"/api/v2/dags/{self.dag}/dagRuns", params={"limit": 500})["dag_runs"]

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(f"file:{self.airflow.home / 'airflow.db'}?mode=ro", uri=True, timeout=60) as database:
            return database.execute(query).fetchall()
