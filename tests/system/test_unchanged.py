# SPDX-License-Identifier: Apache-2.0
"""A real Airflow: an export whose files have the content that is already stored does not trigger other DAGs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, sandbox_connection, wait_for

DAGS = Path(__file__).parent / "dags"
TEXT = "id,total\n1,5.00\n2,7.50\n"
#: The contents of consecutive exports, and whether each is a change.
EXPORTS = ((TEXT, True), (TEXT, False), (TEXT.replace("7.50", "7.51"), True), (TEXT.replace("7.50", "7.51"), False))


class Runs:
    """The runs that stored the exports, one after the other, and those that their events triggered."""

    def __init__(self, airflow: LocalAirflow, vendor: Any) -> None:
        self.airflow = airflow
        self.vendor = vendor
        self.stored: list[str] = []

    def run(self) -> None:
        self.airflow.unpause("load_orders")
        self.airflow.unpause("store_orders")
        for text, _ in EXPORTS:
            export_id = self.vendor.create_in_app({"options": {"seconds_per_export": 3}})
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as file:
                file.writestr(f"export-{export_id}.csv", text)
            self.vendor.replace_file(export_id, archive.getvalue())
            body = {"logical_date": None, "conf": {"export_id": export_id}}
            run_id = self.airflow.api("POST", "/api/v2/dags/store_orders/dagRuns", json=body)["dag_run_id"]
            assert self.airflow.wait_for_run("store_orders", run_id, 240) == "success"
            self.stored.append(run_id)
        # The last export but one is a change: when its run has started, those before have started too.
        expected = sum(is_change for _, is_change in EXPORTS)
        wait_for("the triggered runs", lambda: len(self.triggered()) >= expected or None, 120)

    def triggered(self) -> list[dict[str, Any]]:
        return self.airflow.api("GET", "/api/v2/dags/load_orders/dagRuns")["dag_runs"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("unchanged")
    dags = folder / "dags"
    dags.mkdir()
    (dags / "unchanged.py").write_text((DAGS / "unchanged.py").read_text())
    with Sandbox(SandboxOptions(rows=5)).serve(port=0) as vendor:
        airflow = LocalAirflow(
            folder / "airflow",
            dags=dags,
            connections={"connectif_default": sandbox_connection(vendor.url, vendor.key)},
            environment={"CONNECTIF_LAKE": f"file://{folder / 'lake'}"},
        )
        with airflow:
            found = Runs(airflow, vendor)
            found.run()
            yield found


def test_the_result_says_whether_the_content_changed(runs):
    results = [runs.airflow.xcom("store_orders", run_id, "store") for run_id in runs.stored]
    assert [result["unchanged"] for result in results] == [not is_change for _, is_change in EXPORTS]


def test_only_changes_have_an_event(runs):
    events = runs.airflow.api("GET", "/api/v2/assets/events", params={"order_by": "timestamp"})["asset_events"]
    changes = [run_id for run_id, (_, is_change) in zip(runs.stored, EXPORTS, strict=True) if is_change]
    assert [event["source_run_id"] for event in events] == changes
    assert [event["extra"]["unchanged"] for event in events] == [False, False]


def test_only_changes_trigger_the_other_dag(runs):
    assert len(runs.triggered()) == 2
