# SPDX-License-Identifier: Apache-2.0
"""The example ``connectif_activities_partitions`` in a real Airflow, two of whose tasks are killed.

A month is exported day by day, by a backfill, or partly as one export of several days that announces each of them.
Either way, one run follows for the month. ``make test-scale`` exports all days of a month one by one, and another month
as one export of 31 days.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import FINISHED, LocalAirflow, sandbox_connection, wait_for
from tests.leaks import words_before_a_secret

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "example_dags" / "connectif_activities_partitions.py"
BY_DAY, BY_RANGE, BY_MONTH = (f"connectif_activities_by_{what}" for what in ("day", "range", "month"))
MADRID = ZoneInfo("Europe/Madrid")

ALL_DAYS = "CONNECTIF_TEST_PARTITIONS" in os.environ
# The days that are exported one by one, and those that are exported at once. The clocks change on March 29.
ONE_BY_ONE = (date(2026, 4, 1) if ALL_DAYS else date(2026, 3, 28), date(2026, 4, 30) if ALL_DAYS else date(2026, 3, 31))
AT_ONCE = (date(2026, 3, 1), date(2026, 3, 31) if ALL_DAYS else date(2026, 3, 27))
MONTHS = {"2026-03": 31, "2026-04": 30} if ALL_DAYS else {"2026-03": 31}

# Appended to the example: one task is killed before it writes the manifest of its folder, and another one after that.
KILLS = """
import pathlib, signal
from airflow_provider_connectif.files.folder.held_folder import HeldFolder

write_manifest = HeldFolder._write_manifest

def kill_once(point):
    try:
        with pathlib.Path(os.environ["KILLED"], point).open("x") as file:
            file.write(os.environ["AIRFLOW_CTX_DAG_RUN_ID"])
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

def write_and_die(*arguments, **named):
    kill_once("before")
    result = write_manifest(*arguments, **named)
    kill_once("after")
    return result

HeldFolder._write_manifest = write_and_die
"""


def days(first: date, last: date) -> list[str]:
    return [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]


def midnight(day: str) -> str:
    """Return the beginning of a day in Madrid in the form that is sent."""
    begin = datetime.fromisoformat(day).replace(tzinfo=MADRID).astimezone(timezone.utc)
    return begin.strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Partitions:
    """The results of the runs."""

    def __init__(self, airflow: LocalAirflow, vendor: Any, folder: Path) -> None:
        self.airflow = airflow
        self.vendor = vendor
        self.lake = folder / "lake"
        self.killed = folder / "killed"

    def run(self) -> None:
        for dag in (BY_MONTH, BY_RANGE):
            self.airflow.unpause(dag)
        self.scheduled = self.airflow.scheduled_run(BY_DAY)
        first, last = map(str, ONE_BY_ONE)
        # As in docs/guides/partitions.md.
        self.airflow.cli("backfill", "create", "--dag-id", BY_DAY, "--from-date", first, "--to-date", last)
        params = dict(zip(("first", "last"), map(str, AT_ONCE), strict=True))
        body = {"logical_date": None, "conf": params}
        self.range_run = self.airflow.api("POST", f"/api/v2/dags/{BY_RANGE}/dagRuns", json=body)["dag_run_id"]
        wait_for("the end of all runs", self._all_ended, 1200, interval=2)

    def _all_ended(self) -> bool | None:
        ended = [run for dag in (BY_DAY, BY_RANGE, BY_MONTH) for run in self.runs(dag) if run["state"] in FINISHED]
        expected = 1 + len(days(*ONE_BY_ONE)) + 1 + len(MONTHS)
        failed = any(run["state"] == "failed" for run in ended)
        return True if failed or len(ended) >= expected else None

    def runs(self, dag: str) -> list[dict[str, Any]]:
        return self.airflow.api("GET", f"/api/v2/dags/{dag}/dagRuns", params={"limit": 100})["dag_runs"]

    def run_of_month(self, month: str) -> dict[str, Any]:
        (run,) = [run for run in self.runs(BY_MONTH) if run["partition_key"] == month]
        return run

    def events(self) -> list[tuple[str, str, datetime, dict[str, Any]]]:
        """Return the DAG, the partition key, the time and ``extra`` of each asset event."""
        query = "select source_dag_id, partition_key, timestamp, extra from asset_event"
        found = self.rows(query)
        return [
            (dag, key, datetime.fromisoformat(time).replace(tzinfo=timezone.utc), json.loads(extra))
            for dag, key, time, extra in found
        ]

    def pending(self) -> list[str]:
        """Return the months of which some days are there, once for each count."""
        query = "select partition_key from asset_partition_dag_run where created_dag_run_id is null"
        return [key for (key,) in self.rows(query)]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(f"file:{self.airflow.home / 'airflow.db'}?mode=ro", uri=True, timeout=60) as database:
            return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def partitions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partitions]:
    folder = tmp_path_factory.mktemp("partitions")
    for name in ("dags", "killed"):
        (folder / name).mkdir()
    (folder / "dags" / EXAMPLE.name).write_text(EXAMPLE.read_text() + KILLS)
    with Sandbox(SandboxOptions(seconds_per_export=1, rows=5)).serve(port=0) as vendor:
        airflow = LocalAirflow(
            folder / "airflow",
            dags=folder / "dags",
            connections={"connectif_default": sandbox_connection(vendor.url, vendor.key)},
            environment={
                "CONNECTIF_LAKE": f"file://{folder / 'lake'}",
                "CONNECTIF_POKE_INTERVAL": "1",
                "KILLED": str(folder / "killed"),
                "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
            },
        )
        with airflow:
            found = Partitions(airflow, vendor, folder)
            found.run()
            yield found


def test_every_run_succeeds(partitions):
    states = Counter((dag, run["state"]) for dag in (BY_DAY, BY_RANGE, BY_MONTH) for run in partitions.runs(dag))
    expected = {(BY_DAY, "success"): 1 + len(days(*ONE_BY_ONE)), (BY_RANGE, "success"): 1}
    assert states == {**expected, (BY_MONTH, "success"): len(MONTHS)}


def test_the_tasks_that_were_killed_have_run_again(partitions):
    killed = {path.name: path.read_text() for path in partitions.killed.iterdir()}
    assert set(killed) == {"before", "after"}
    for run_id in killed.values():
        query = f"select state, try_number from task_instance where task_id = 'store' and run_id = '{run_id}'"
        ((state, try_number),) = partitions.rows(query)
        assert (state, try_number > 1) == ("success", True)


def test_the_scheduled_run_is_for_the_day_before(partitions):
    (run,) = [run for run in partitions.runs(BY_DAY) if run["dag_run_id"] == partitions.scheduled]
    started = datetime.fromisoformat(run["run_after"]).astimezone(MADRID)
    assert started.time().isoformat() == "00:00:00"
    assert run["partition_key"] == (started.date() - timedelta(days=1)).isoformat()
    assert (run["logical_date"], run["data_interval_start"]) == (None, None)


def test_each_day_is_exported_from_midnight_to_midnight_by_one_export(partitions):
    created = Counter(
        tuple(export["body"]["filters"][name] for name in ("fromDate", "toDate"))
        for export in partitions.vendor.stats.created
    )
    keys = [*days(*ONE_BY_ONE), *(run["partition_key"] for run in partitions.runs(BY_DAY))]
    following = {day: (date.fromisoformat(day) + timedelta(days=1)).isoformat() for day in keys}
    end_of_range = (AT_ONCE[1] + timedelta(days=1)).isoformat()
    assert created == {
        **{(midnight(day), midnight(following[day])): 1 for day in keys},
        (midnight(str(AT_ONCE[0])), midnight(end_of_range)): 1,
    }


def test_the_event_of_a_day_has_its_key_and_its_folder(partitions):
    by_day = {key: extra for dag, key, _, extra in partitions.events() if dag == BY_DAY}
    assert set(days(*ONE_BY_ONE)) < set(by_day)
    for day, extra in by_day.items():
        assert extra["destination"].endswith(f"/connectif/activities-by-day/{day}")
        manifest = json.loads(
            (partitions.lake / "connectif/activities-by-day" / day / "_connectif_manifest.json").read_text()
        )
        assert manifest["export"]["id"] == extra["export_id"]


def test_an_export_of_many_days_announces_each_of_them_with_its_folder(partitions):
    found = [(key, extra["destination"]) for dag, key, _, extra in partitions.events() if dag == BY_RANGE]
    folder = f"file://{partitions.lake}/connectif/activities-by-range/{AT_ONCE[0]}"
    assert sorted(found) == [(day, folder) for day in days(*AT_ONCE)]


def test_each_day_is_announced_once_although_tasks_were_killed(partitions):
    announced = Counter(key for _, key, _, _ in partitions.events())
    assert set(announced.values()) == {1}
    assert set(days(*ONE_BY_ONE)) | set(days(*AT_ONCE)) < set(announced)


@pytest.mark.parametrize("month", MONTHS)
def test_the_run_of_a_month_starts_once_when_all_its_days_are_there(partitions, month):
    run = partitions.run_of_month(month)
    times = [time for _, key, time, _ in partitions.events() if key.startswith(month)]
    assert len(times) == MONTHS[month]
    assert datetime.fromisoformat(run["run_after"]) >= max(times)
    assert month not in partitions.pending()


@pytest.mark.parametrize("month", MONTHS)
def test_the_run_of_a_month_gets_the_folders_of_all_its_days(partitions, month):
    folders = partitions.airflow.xcom(BY_MONTH, partitions.run_of_month(month)["dag_run_id"], "folders")
    folders = json.loads(folders) if isinstance(folders, str) else folders
    expected = {extra["destination"] for _, key, _, extra in partitions.events() if key.startswith(month)}
    assert folders == sorted(expected)
    assert all(Path(folder.removeprefix("file://"), "_connectif_manifest.json").exists() for folder in folders)


def test_a_day_that_is_exported_again_does_not_start_the_month_again(partitions):
    day = str(ONE_BY_ONE[1])
    body = {"logical_date": None, "partition_key": day}
    run = partitions.airflow.api("POST", f"/api/v2/dags/{BY_DAY}/dagRuns", json=body)["dag_run_id"]
    assert partitions.airflow.wait_for_run(BY_DAY, run) == "success"
    assert [key for _, key, _, _ in partitions.events()].count(day) == 2
    assert partitions.pending().count(day[:7]) == 1
    assert len(partitions.runs(BY_MONTH)) == len(MONTHS)


def test_no_log_contains_the_key_or_a_signed_url(partitions):
    for path, text in partitions.airflow.all_logs():
        assert not words_before_a_secret(text), path
