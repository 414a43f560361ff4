# SPDX-License-Identifier: Apache-2.0
"""Many tasks at once succeed against a low rate limit, and few of their requests are rejected."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from airflow_provider_connectif.sandbox.options import RATE_LIMIT_STYLES
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from scripts.local_airflow import LocalAirflow, sandbox_connection
from tests.airflow_harness import FakeTask, FakeTaskInstance

# A small burst by default. `make test-scale` runs one of 50, and 200 tasks in a real Airflow, which takes minutes.
TASKS = int(os.environ.get("CONNECTIF_TEST_TASKS", "30"))
BURST = int(os.environ.get("CONNECTIF_TEST_BURST", "8"))


@pytest.fixture
def vendor() -> Iterator[Any]:
    options = SandboxOptions(rate_limit=10, queue_seconds=1, seconds_per_export=10, rows=5)
    with Sandbox(options).serve(port=0) as running:
        yield running


@pytest.fixture
def local(tmp_path: Path, vendor: Any) -> Iterator[LocalAirflow]:
    airflow = LocalAirflow(
        tmp_path / "airflow",
        dags=Path(__file__).parent / "dags",
        connections={"connectif_default": sandbox_connection(vendor.url, vendor.key)},
        environment={"CONNECTIF_LAKE": f"file://{tmp_path / 'lake'}", "AIRFLOW__CORE__PARALLELISM": "8"},
    )
    with airflow:
        yield airflow


@pytest.mark.skipif("CONNECTIF_TEST_TASKS" not in os.environ, reason="takes minutes: make test-scale runs it")
def test_mapped_deferred_tasks_succeed_with_ten_requests_per_second(local, vendor, tmp_path):
    local.unpause("many")
    body = {"logical_date": None, "conf": {"tasks": TASKS}}
    began = time.monotonic()
    run_id = local.api("POST", "/api/v2/dags/many/dagRuns", json=body)["dag_run_id"]
    state = local.wait_for_run("many", run_id, timeout=1500)
    took = time.monotonic() - began
    stats = vendor.stats
    print(
        f"{TASKS} deferred tasks in {took:.0f} s: {stats.requests} requests ({stats.file_requests} of files), "
        f"{stats.rate_limited} of them refused with 429; {dict(stats.by_route)}"
    )
    assert state == "success"
    assert stats.created_by_api == TASKS
    manifests = list((tmp_path / "lake").rglob("_connectif_manifest.json"))
    assert len(manifests) == TASKS
    assert {path.parent.name for path in manifests} == {export["id"] for export in stats.created}
    assert stats.rate_limited <= stats.requests * 0.2


class Burst:
    """Simultaneous tasks that wait in the worker, with one style of rate limit headers.

    They run the operator in threads, each with its own client.
    """

    def __init__(self, style: str, folder: Path) -> None:
        self.style = style
        self.folder = folder
        self.ended: Counter[str] = Counter()
        self.took = 0.0
        self.stats: Any = None

    def run(self) -> None:
        options = SandboxOptions(rate_limit=5, rate_limit_headers=self.style, seconds_per_export=1, rows=5)
        with Sandbox(options).serve(port=0) as vendor:
            os.environ[f"AIRFLOW_CONN_{self.conn_id.upper()}"] = vendor.connection_json
            threads = [threading.Thread(target=self._run, args=(number,)) for number in range(BURST)]
            began = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.took, self.stats = time.monotonic() - began, vendor.stats

    @property
    def conn_id(self) -> str:
        return f"burst_{self.style.replace('-', '_')}"

    def _run(self, number: int) -> None:
        operator = ConnectifExportToObjectStorageOperator(
            task_id="store",
            export_type="contacts",
            segment_id=f"{number:024x}",
            destination=f"file://{self.folder}/{{export_id}}",
            deferrable=False,
            poke_interval=5,
            timeout=900,
            connectif_conn_id=self.conn_id,
        )
        try:
            operator.execute(FakeTask(FakeTaskInstance(map_index=number)).context())
            self.ended["success"] += 1
        except Exception as error:
            self.ended[f"{type(error).__name__}: {error}"] += 1


@pytest.fixture(scope="module")
def bursts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Burst]:
    """The bursts of all styles, which run at the same time, each with its own sandbox."""
    bursts = {style: Burst(style, tmp_path_factory.mktemp(style)) for style in RATE_LIMIT_STYLES}
    threads = [threading.Thread(target=burst.run) for burst in bursts.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return bursts


@pytest.mark.parametrize("style", RATE_LIMIT_STYLES)
def test_a_burst_of_tasks_succeeds_with_five_requests_per_second(style, bursts):
    burst = bursts[style]
    print(
        f"{BURST} tasks, 5 requests a second, headers {style}: {burst.took:.0f} s, "
        f"{burst.stats.requests} requests, {burst.stats.rate_limited} of them refused with 429"
    )
    assert burst.ended == {"success": BURST}
    assert burst.stats.created_by_api == BURST
    manifests = burst.folder.rglob("_connectif_manifest.json")
    written = [json.loads(path.read_text())["export"]["id"] for path in manifests]
    assert sorted(written) == sorted(export["id"] for export in burst.stats.created)
