# SPDX-License-Identifier: Apache-2.0
"""The example ``connectif_on_export_finished`` in a real Airflow, whose triggerer is stopped and killed.

Each export is announced, and stored exactly once.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, sandbox_connection, wait_for
from scripts.triggerer import Triggerer
from tests.leaks import words_before_a_secret
from tests.system.watching import ROUND, WatchedAirflow

ROOT = Path(__file__).parents[2]
DAG = "connectif_on_export_finished"
pytestmark = pytest.mark.skipif(
    "CONNECTIF_TEST_EXPORTS" not in os.environ, reason="takes minutes: make test-scale runs it"
)
EXPORTS = int(os.environ.get("CONNECTIF_TEST_EXPORTS", "100"))
INTERRUPTIONS = ("stop", "kill", "stop", "kill", "stop")


class Watched(WatchedAirflow):
    """The results of the run."""

    def __init__(self, airflow: LocalAirflow, vendor: Any, lake: Path) -> None:
        super().__init__(airflow, vendor, DAG)
        self.lake = lake
        self.created: list[str] = []

    def run(self) -> None:
        """Create exports that finish over time, and interrupt the triggerer meanwhile."""
        self.airflow.unpause(DAG)
        old = self.vendor.create_in_app()
        self.wait_for_cursor()
        rng = random.Random(6)
        share = EXPORTS // (2 * len(INTERRUPTIONS))
        with Triggerer(self.airflow) as triggerer:
            for number, how in enumerate(INTERRUPTIONS, start=1):
                self._create_exports(share, 8, rng)
                time.sleep(rng.uniform(4, 16))
                rest = share if number < len(INTERRUPTIONS) else EXPORTS - len(self.created)
                self.interrupt(triggerer, how, lambda rest=rest: self._create_exports(rest, 5, rng))
            self.wait_until_announced(self.created)
            wait_for("the files of every export", self._all_stored, 420, interval=2)
            self.wait_until_all_runs_ended()
        assert old not in self.announced()

    def _create_exports(self, count: int, seconds: float, rng: random.Random) -> None:
        """Create exports that finish within some seconds, in a different order than they were created."""
        begin = datetime.now(timezone.utc)
        finish_times = [begin + timedelta(seconds=rng.uniform(0, seconds)) for _ in range(max(count * 3 // 5, 1))]
        # Two in five finish in the same millisecond as another one.
        finish_times += [rng.choice(finish_times) for _ in range(count - len(finish_times))]
        for number, finished_at in enumerate(finish_times[:count]):
            body = {
                "exportType": ("contacts", "data-explorer")[number % 2],
                "createdAt": (begin - timedelta(seconds=number)).isoformat(),
                "finishedAt": finished_at.isoformat(),
            }
            if number % 2:
                body["filters"] = {"reportId": "rep-1", "fromDate": "2026-11-01", "toDate": "2026-11-02"}
            self.created.append(self.vendor.create_in_app(body))

    def manifests(self) -> list[Path]:
        return list(self.lake.rglob("_connectif_manifest.json"))

    def _all_stored(self) -> bool | None:
        return True if len(self.manifests()) >= EXPORTS else None


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    dags = folder / "dags"
    dags.mkdir()
    (dags / f"{DAG}.py").write_text((ROOT / "example_dags" / f"{DAG}.py").read_text())
    with Sandbox(SandboxOptions(seconds_per_export=0, rows=5)).serve(port=0) as vendor:
        connection = {
            **sandbox_connection(vendor.url, vendor.key),
            "extra": {"app_url": "https://app.example", "store_id": "store-1"},
        }
        airflow = LocalAirflow(
            folder / "airflow",
            dags=dags,
            connections={"connectif_default": connection},
            environment={
                "CONNECTIF_LAKE": f"file://{folder / 'lake'}",
                "CONNECTIF_POKE_INTERVAL": str(ROUND),
                "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
                "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "32",
            },
        )
        with airflow:
            found = Watched(airflow, vendor, folder / "lake")
            found.run()
            yield found


def test_each_finished_export_is_announced(watched):
    assert set(watched.announced()) == set(watched.created)


def test_only_exports_of_the_last_round_before_an_interruption_are_announced_again(watched):
    again, unexplained = watched.repeated()
    print(f"{EXPORTS} exports, {len(watched.events())} announcements; announced again after: {dict(again)}")
    assert unexplained == []


def test_no_export_is_announced_before_it_has_finished_or_with_its_signed_url(watched):
    for export_id, _, payload in watched.events():
        assert payload["export"]["id"] == export_id
        assert payload["export"]["status"] == "finished"
        assert payload["export"]["finishedAt"]
        assert words_before_a_secret(json.dumps(payload)) is None


def test_each_export_has_its_own_complete_folder(watched):
    found = {}
    for path in watched.manifests():
        manifest = json.loads(path.read_text())
        assert path.parent.name == manifest["export"]["id"]
        for file in manifest["files"]:
            assert (path.parent / file["path"]).stat().st_size == file["bytes"]
        found[path.parent.name] = path
    assert set(found) == set(watched.created)


def test_each_export_is_downloaded_once_even_if_it_was_announced_again(watched):
    stored: Counter[str] = Counter()
    for path, text in watched.airflow.all_logs():
        if "task_id=store" in str(path):
            stored.update(re.findall(r"Stored export (\w+):", text))
    assert stored == dict.fromkeys(watched.created, 1)


def test_every_run_succeeds(watched):
    runs = watched.runs()
    print(f"{len(runs)} runs")
    assert {run["state"] for run in runs} == {"success"}
    assert {run["run_type"] for run in runs} == {"asset_triggered"}


def test_a_task_that_has_stored_a_report_links_to_it(watched):
    run = watched.runs()[0]["dag_run_id"]
    path = f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances"
    tasks = watched.airflow.api("GET", path)["task_instances"]
    links = set()
    for run_of in watched.runs():
        path = f"/api/v2/dags/{DAG}/dagRuns/{run_of['dag_run_id']}/taskInstances"
        tasks = watched.airflow.api("GET", path, params={"limit": 200})["task_instances"]
        for task in tasks:
            if task["task_id"] == "store" and task["map_index"] >= 0:
                found = watched.airflow.api("GET", f"{path}/store/links", params={"map_index": task["map_index"]})
                links.add(found["extra_links"]["Connectif report"])
    assert links == {None, "https://app.example/store/store-1/data-explorer-report/rep-1"} or links == {
        "",
        "https://app.example/store/store-1/data-explorer-report/rep-1",
    }


def test_neither_key_nor_signed_url_is_in_any_log_or_in_the_database(watched):
    leaks = {str(path): words for path, text in watched.airflow.all_logs() if (words := words_before_a_secret(text))}
    database = b"".join(path.read_bytes() for path in watched.airflow.home.glob("airflow.db*")).decode("latin-1")
    assert watched.created[0] in database
    assert (leaks, words_before_a_secret(database)) == ({}, None)
