# SPDX-License-Identifier: Apache-2.0
"""The examples that start from the list of exports, in consecutive runs that store into a real S3 server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.dag_runner import DagRunResult, run_dags
from tests.leaks import words_before_a_secret
from tests.stores import S3_KEY, S3_SECRET, s3_server  # noqa: F401  fixture
from tests.test_example_dags import EXAMPLES

pytestmark = pytest.mark.system

MANIFEST = "_connectif_manifest.json"
REPORTS = ("rep-1", "rep-10")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, s3_server: tuple[str, Path]) -> list[DagRunResult]:  # noqa: F811
    """The outcomes of all runs, in one Airflow and with one sandbox: four of the mirror, then four of the reports."""
    endpoint, buckets = s3_server
    home = tmp_path_factory.mktemp("lists")
    (home / "dags").mkdir()
    for name in ("connectif_mirror", "connectif_weekly_reports"):
        shutil.copy(EXAMPLES / f"{name}.py", home / "dags")
    bucket = "lists"
    (buckets / bucket).mkdir()
    extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    aws = {"conn_type": "aws", "login": S3_KEY, "password": S3_SECRET, "extra": extra}
    with Sandbox(SandboxOptions(seconds_per_export=0.3, rows=5)).serve(port=0) as sandbox:
        outcome = run_dags(
            [*_mirror_steps(), *_report_steps()],
            home=home,
            dags=home / "dags",
            sandbox=sandbox,
            lake=buckets / bucket,
            environment={
                "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws),
                "CONNECTIF_LAKE": f"s3://{bucket}",
                "CONNECTIF_STORAGE_CONN_ID": "aws_default",
                "CONNECTIF_REPORT_IDS": ",".join(REPORTS),
            },
        )
    assert outcome.import_errors == {}
    assert words_before_a_secret(outcome.output) is None
    return outcome.runs


def _mirror_steps() -> list[dict[str, Any]]:
    def finished(day: str, **body: Any) -> dict[str, Any]:
        timestamp = f"2026-03-{day}:00Z"
        return {"export": {"createdAt": timestamp, "finishedAt": timestamp, **body}}

    report = {"reportId": "rep-1", "fromDate": "2026-03-01", "toDate": "2026-03-22"}
    return [
        finished("22T12:00"),  # too long ago
        finished("23T09:00"),
        finished("24T09:00", exportType="data-explorer", origin="api", filters=report),
        finished("24T10:00", fail=True),
        {"export": {"exportType": "activities", "options": {"seconds_per_export": 1e9}}},
        finished("25T11:59", exportType="banner-stats"),
        {"dag": "connectif_mirror", "at": "2026-03-25T12:30"},
        {"dag": "connectif_mirror", "at": "2026-03-25T13:30"},
        finished("25T14:15"),
        {"dag": "connectif_mirror", "at": "2026-03-25T14:30"},
        {"dag": "connectif_mirror", "at": "2026-04-25T12:30"},
    ]


def _report_steps() -> list[dict[str, Any]]:
    """Return two Mondays in March and the first two in April."""
    mondays = ("2026-03-16", "2026-03-23", "2026-04-06", "2026-04-13")
    return [{"dag": "connectif_weekly_reports", "at": f"{monday}T06:00"} for monday in mondays]


def folders(run: DagRunResult) -> dict[str, dict[str, Any]]:
    """Return the folders with a complete export, which are those with a manifest, and their files."""
    found = {}
    for path in run.files:
        folder, _, name = path.rpartition("/")
        if name == MANIFEST:
            found[folder] = {path: seen for path, seen in run.files.items() if path.startswith(f"{folder}/")}
    return found


class TestMirror:
    @pytest.fixture
    def runs(self, outcomes: list[DagRunResult]) -> list[DagRunResult]:
        return outcomes[:4]

    def test_each_export_that_finished_in_the_last_three_days_is_stored_in_its_own_folder(self, runs):
        first = runs[0]
        assert first.state == "success", first.output[-3000:]
        assert sorted(folder.split("/")[2] for folder in folders(first)) == [
            "banner-stats",
            "contacts",
            "data-explorer",
        ]
        assert len({folder.split("/")[3] for folder in folders(first)}) == 3
        assert first.requests_since(None) == {"GET /exports": 1, "GET /exports/{id}": 3, "files": 3}

    def test_the_second_run_requests_no_file_and_changes_nothing(self, runs):
        first, second = runs[:2]
        assert second.state == "success"
        assert second.requests_since(first) == {"GET /exports": 1, "GET /exports/{id}": 3}
        assert second.files == first.files

    def test_a_later_run_stores_only_what_has_finished_since(self, runs):
        second, third = runs[1:3]
        assert third.requests_since(second) == {"GET /exports": 1, "GET /exports/{id}": 4, "files": 1}
        assert len(folders(third)) == 4
        assert third.files.items() > second.files.items()

    def test_a_run_that_finds_nothing_succeeds_and_skips_storing(self, runs):
        last = runs[3]
        assert last.state == "success"
        assert last.tasks == {"finished[-1]": "success", "store[-1]": "skipped"}
        assert last.requests_since(runs[2]) == {"GET /exports": 1}


class TestWeeklyReports:
    @pytest.fixture
    def runs(self, outcomes: list[DagRunResult]) -> list[DagRunResult]:
        return outcomes[4:]

    @staticmethod
    def months(run: DagRunResult) -> dict[tuple[str, ...], dict[str, Any]]:
        """Return the stored files by report and month."""
        below = "connectif/weekly-reports/"
        stored = {path.removeprefix(below): files for path, files in folders(run).items() if path.startswith(below)}
        return {tuple(path.split("/")): files for path, files in stored.items()}

    @staticmethod
    def requested(run: DagRunResult, earlier: DagRunResult | None) -> list[tuple[str, str, str]]:
        """Return the exports that a run has created: report, first and last day."""
        known = len(earlier.stats["created"]) if earlier else 0
        filters = [each["body"]["filters"] for each in run.stats["created"][known:]]
        return sorted((each["reportId"], each["fromDate"], each["toDate"]) for each in filters)

    @staticmethod
    def all_differ(files: dict[str, Any], earlier: dict[str, Any]) -> bool:
        return all(seen != earlier.get(path) for path, seen in files.items())

    def test_the_first_run_stores_the_previous_month_and_the_current_month_to_date_of_each_report(self, runs, outcomes):
        first = runs[0]
        assert first.state == "success", first.output[-3000:]
        assert self.requested(first, None) == sorted(
            (report, *days)
            for report in REPORTS
            for days in (("2026-02-01", "2026-02-28"), ("2026-03-01", "2026-03-15"))
        )
        assert set(self.months(first)) == {(report, month) for report in REPORTS for month in ("2026-02", "2026-03")}
        assert first.requests_since(outcomes[3])["files"] == 2 * len(REPORTS)

    def test_one_sensor_waits_for_all_exports(self, runs):
        assert sum(task.startswith("wait[") for task in runs[0].tasks) == 1
        assert sum(task.startswith("store[") for task in runs[0].tasks) == 2 * len(REPORTS)

    def test_the_second_run_replaces_only_the_files_of_the_current_month(self, runs):
        first, second = runs[:2]
        assert second.state == "success"
        assert self.requested(second, first) == [(report, "2026-03-01", "2026-03-22") for report in REPORTS]
        before, after = self.months(first), self.months(second)
        assert set(before) == set(after)
        for (report, month), files in after.items():
            if month == "2026-02":
                assert files == before[report, month]
            else:
                assert len(files) == len(before[report, month]) == 2
                assert self.all_differ(files, before[report, month])
        assert second.requests_since(first)["files"] == len(REPORTS)

    def test_after_its_end_the_month_to_date_is_replaced_by_the_whole_month(self, runs):
        second, third = runs[1:3]
        assert third.state == "success"
        assert self.requested(third, second) == sorted(
            (report, *days)
            for report in REPORTS
            for days in (("2026-03-01", "2026-03-31"), ("2026-04-01", "2026-04-05"))
        )
        before, after = self.months(second), self.months(third)
        for report in REPORTS:
            assert after[report, "2026-02"] == before[report, "2026-02"]
            assert self.all_differ(after[report, "2026-03"], before[report, "2026-03"])

    def test_from_then_on_its_files_do_not_change(self, runs):
        third, fourth = runs[2:]
        assert self.requested(fourth, third) == [(report, "2026-04-01", "2026-04-12") for report in REPORTS]
        before, after = self.months(third), self.months(fourth)
        changed = {key for key, files in after.items() if files != before.get(key)}
        assert changed == {(report, "2026-04") for report in REPORTS}
