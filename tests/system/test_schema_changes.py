# SPDX-License-Identifier: Apache-2.0
"""A real Airflow: columns are added between runs that are daily, triggered by hand without a logical date, or for
earlier days. Each change is reported once, by the task and by each index of two mapped tasks, of which one stores
versions of contacts and the other one reports with columns of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import FINISHED, LocalAirflow, sandbox_connection, wait_for

DAG = "store_contacts"
#: The reports: one that changes as the contacts do, one that never changes, and one with other columns.
LIKE_CONTACTS, UNCHANGED, OTHER = (f"5e8dcdcf5e0d0d0010d1a00{number}" for number in (1, 2, 3))


class Runs:
    """Runs of the DAG, one after the other, and the columns that each task instance reports as added."""

    def __init__(self, airflow: LocalAirflow, vendor: Any, lake: Path) -> None:
        self.airflow = airflow
        self.vendor = vendor
        self.lake = lake
        self.added: dict[str, dict[str, list[str]]] = {}
        self.failure = ""
        self.manifests = (0, 0)

    def run(self) -> None:
        self.airflow.unpause(DAG)
        self.set_columns()
        self.trigger("first", "2026-03-10")
        self.set_columns("level")
        self.trigger("changed", "2026-03-11")
        self.set_columns("level", "size")
        self.trigger("by hand", None)
        self.trigger("after that", "2026-03-12")
        self.backfill("2026-03-04", "2026-03-05")
        self.set_columns("level", "size", "color")
        self.backfill("2026-03-02", "2026-03-03")
        self.set_columns("level", "size", "color", "club")
        before = self.count_manifests()
        run_id = self.trigger("refused", "2026-03-13", on_schema_change="fail")
        self.failure = self.airflow.task_log(DAG, run_id, "store")
        self.manifests = before, self.count_manifests()
        self.trigger("accepted", "2026-03-14")
        self.trigger("last", "2026-03-15", on_schema_change="fail")

    def set_columns(self, *added: str) -> None:
        """Set the columns that contacts and two of the reports have besides those of the first run."""
        reports = {LIKE_CONTACTS: ["Date", *added], OTHER: ["Units", *map(str.upper, added)]}
        columns = [f"{report}={','.join(titles)}" for report, titles in reports.items()]
        self.vendor.set(contact_fields=added, report_columns=columns)

    def count_manifests(self) -> int:
        """Return the number of folders, except those of the report that does not change."""
        found = self.lake.rglob("_connectif_manifest.json")
        return sum(UNCHANGED not in path.parts for path in found)

    def trigger(self, name: str, day: str | None, **conf: str) -> str:
        body = {"logical_date": day and f"{day}T00:00:00Z", "conf": conf}
        run_id = str(self.airflow.api("POST", f"/api/v2/dags/{DAG}/dagRuns", json=body)["dag_run_id"])
        state = self.airflow.wait_for_run(DAG, run_id, 300)
        assert state == ("failed" if name == "refused" else "success"), self.airflow.task_log(DAG, run_id, "store")
        if state == "success":
            self.added[name] = self.read(run_id)
        return run_id

    def backfill(self, first: str, last: str) -> None:
        """Run two days that are earlier than all others, the later one first."""
        dates = {"from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z"}
        body = {"dag_id": DAG, **dates, "run_backwards": True, "max_active_runs": 1}
        started = self.airflow.api("POST", "/api/v2/backfills", json=body)

        def ended() -> list[dict[str, Any]] | None:
            parameters = {"run_type": "backfill", "logical_date_gte": dates["from_date"], "order_by": "-logical_date"}
            found = self.airflow.api("GET", f"/api/v2/dags/{DAG}/dagRuns", params=parameters)["dag_runs"]
            found = [run for run in found if run["logical_date"][:10] in (first, last)]
            return found if len(found) == 2 and all(run["state"] in FINISHED for run in found) else None

        later, earlier = wait_for("the backfill", ended, 300)
        path = f"/api/v2/backfills/{started['id']}"
        wait_for("the end of the backfill", lambda: self.airflow.api("GET", path)["completed_at"], 120)
        assert later["start_date"] < earlier["start_date"]
        for run in (later, earlier):
            assert run["state"] == "success"
            self.added[run["logical_date"][:10]] = self.read(run["dag_run_id"])

    def read(self, run_id: str) -> dict[str, list[str]]:
        """Return the added columns, by report for the reports."""
        found = {"contacts": self.read_task(run_id, "store")[1]}
        for index in range(3):
            found[f"contacts {index}"] = self.read_task(run_id, "each_version", index)[1]
            folder, added = self.read_task(run_id, "each_report", index)
            found[Path(folder).parent.name] = added
        return found

    def read_task(self, run_id: str, task_id: str, map_index: int = -1) -> tuple[str, list[str]]:
        """Return the folder and the added columns."""
        result = self.airflow.xcom(DAG, run_id, task_id, map_index=map_index)
        return result["destination"], [name for change in result["schema_changes"] for name in change["added"]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("schema")
    dags = folder / "dags"
    dags.mkdir()
    (dags / "schema_changes.py").write_text((Path(__file__).parent / "dags" / "schema_changes.py").read_text())
    with Sandbox(SandboxOptions(seconds_per_export=0, rows=5)).serve(port=0) as vendor:
        airflow = LocalAirflow(
            folder / "airflow",
            dags=dags,
            connections={"connectif_default": sandbox_connection(vendor.url, vendor.key)},
            environment={"CONNECTIF_LAKE": f"file://{folder / 'lake'}"},
        )
        with airflow:
            found = Runs(airflow, vendor, folder / "lake")
            found.run()
            yield found


def test_each_change_is_reported_once_by_each_task(runs):
    expected = {
        "first": [],
        "changed": ["level"],
        "by hand": ["size"],
        "after that": [],
        "2026-03-05": [],
        "2026-03-04": [],
        "2026-03-03": ["color"],
        "2026-03-02": [],
        "accepted": ["club"],
        "last": [],
    }
    assert runs.added == {
        name: {
            **dict.fromkeys(("contacts", "contacts 0", "contacts 1", "contacts 2", LIKE_CONTACTS), added),
            UNCHANGED: [],
            OTHER: [title.upper() for title in added],
        }
        for name, added in expected.items()
    }


def test_a_change_that_is_to_fail_the_task_does_so_before_anything_is_visible(runs):
    assert "added 'club'" in runs.failure
    assert "run the task once with on_schema_change='warn'" in runs.failure
    before, after = runs.manifests
    assert before == after
