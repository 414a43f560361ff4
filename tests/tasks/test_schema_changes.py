# SPDX-License-Identifier: Apache-2.0
"""The columns of an export are compared with those that the same task stored in earlier runs."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest

from airflow_provider_connectif.files.tables.errors import ColumnsNotCompared, SchemaChanged
from airflow_provider_connectif.tasks.schema_changes import ColumnCheck
from tests.xcoms import FakeXComs

log = logging.getLogger(__name__)
OLD, NEW = ("a", "b"), ("a", "b", "c")
ADDED = [{"part": "", "added": ["c"], "removed": [], "renamed": {}, "moved": []}]


def export(day: int, hour: int = 0, **fields: Any) -> dict[str, Any]:
    """Return an export that was created on a day in November."""
    created = f"2026-11-{day:02}T{hour:02}:00:00+00:00"
    return {"id": f"{day}.{hour}", "exportType": "contacts", "version": "v5", "createdAt": created, **fields}


class Runs:
    """Runs of a task, each of which stores an export."""

    def __init__(self, xcoms: FakeXComs) -> None:
        self.xcoms = xcoms
        self.numbers = itertools.count(1)

    def run_id(self, day: int = 0, created: int = 0, **_: Any) -> str:
        """Return the id that Airflow gives to a run; if the day had its run, then it is triggered in December."""
        found = f"scheduled__2026-11-{day:02}T00:00:00+00:00" if day else f"manual__2026-11-{created:02}T12:00:00+00:00"
        return f"manual__2026-12-{next(self.numbers):02}T10:00:00+00:00" if found in self.xcoms.runs else found

    def store(
        self, described: dict[str, Any], columns: Any = OLD, *, on_schema_change: str = "warn", **run: Any
    ) -> list[Any]:
        """Return the changes."""
        task = self.xcoms.task(run.pop("run_id", None) or self.run_id(**run), **run)
        self.xcoms.clear(task.ti.run_id, task.ti.map_index)
        check = ColumnCheck(task.context(), on_schema_change, log)
        found = check(described, columns if isinstance(columns, dict) else {"": columns})
        assert check(described, {}) == found  # the second time it is not compared again
        check.remember()
        return found


@pytest.fixture
def xcoms(monkeypatch) -> FakeXComs:
    found = FakeXComs()
    found.install(monkeypatch)
    return found


@pytest.fixture
def runs(xcoms) -> Runs:
    return Runs(xcoms)


class TestChange:
    def test_is_reported_once(self, runs, caplog):
        assert runs.store(export(1), OLD, day=1) == []
        assert runs.store(export(2), OLD, day=2) == []
        assert not caplog.records
        assert runs.store(export(3), NEW, day=3) == ADDED
        assert "The columns differ from those of the previous export: added 'c'." in caplog.text
        assert "whatever the version" in caplog.text
        assert runs.store(export(4), NEW, day=4) == []

    def test_fails_every_run_until_one_accepts_it(self, runs):
        runs.store(export(1), day=1)
        for day in (2, 3):
            with pytest.raises(
                SchemaChanged, match=r"added 'c'.*whatever the version.*run the task once with on_schema_change='wa"
            ):
                runs.store(export(day), NEW, day=day, on_schema_change="fail")
        assert runs.store(export(4), NEW, day=4, on_schema_change="warn") == ADDED
        assert runs.store(export(5), NEW, day=5, on_schema_change="fail") == []

    def test_fails_again_if_the_task_is_cleared(self, runs):
        runs.store(export(1), day=1)
        for day in (2, 3):
            with pytest.raises(SchemaChanged):
                runs.store(export(day), NEW, run_id="cleared", day=2, on_schema_change="fail")

    def test_that_is_ignored_is_remembered(self, runs, caplog):
        runs.store(export(1), day=1)
        assert runs.store(export(2), NEW, day=2, on_schema_change="ignore") == []
        assert not caplog.records
        assert runs.store(export(3), NEW, day=3, on_schema_change="fail") == []

    def test_that_is_taken_back_on_the_same_day_is_another_one(self, runs):
        found = [runs.store(export(1, hour), columns, day=hour) for hour, columns in enumerate((OLD, NEW, OLD, OLD), 1)]
        assert [bool(changes) for changes in found] == [False, True, True, False]

    def test_is_found_again_by_a_retry(self, runs):
        runs.store(export(1), day=1)
        for _ in range(2):
            assert runs.store(export(2), NEW, run_id="retried", day=2) == ADDED

    def test_of_a_part_that_some_exports_lack_is_found(self, runs):
        runs.store(export(1), {"": OLD, "products": ("x",)}, day=1)
        assert runs.store(export(2), {"": OLD}, day=2) == []
        [found] = runs.store(export(3), {"": OLD, "products": ("x", "y")}, day=3)
        assert (found["part"], found["added"]) == ("products", ["y"])

    def test_needs_columns(self, runs, xcoms):
        assert runs.store(export(1), {}, day=1) == []
        assert runs.store(export(2), {"": None}, day=2) == []
        assert xcoms.requests == 0
        assert xcoms.content == {}


def no_response(self, *, key, dag_id, task_id, run_id, map_index=0, include_prior_dates=False):
    raise RuntimeError("no response")


class TestOtherExports:
    @pytest.mark.parametrize(
        "other",
        [
            {"exportType": "activities"},
            {"version": "v6"},
            {"version": None},
            {"exportType": "data-explorer", "filters": {"reportId": "r"}},
        ],
    )
    def test_are_not_compared(self, runs, other):
        runs.store(export(1), day=1)
        assert runs.store(export(2, **other), NEW, day=2) == []
        assert runs.store(export(3), NEW, day=3) == ADDED

    def test_with_other_filters_are_compared(self, runs):
        runs.store(export(1, filters={"segmentId": "a"}), day=1)
        assert runs.store(export(2, filters={"segmentId": "b"}), NEW, day=2) == ADDED


class TestMappedTasks:
    def test_are_compared_under_any_map_index_with_earlier_runs_only(self, runs):
        for index, report in enumerate("abc"):
            columns = [*OLD, report]
            assert (
                runs.store(export(1, filters={"reportId": report}), columns, run_id="1", day=1, map_index=index) == []
            )
        for index, report in enumerate("cab"):
            columns = [*OLD, report]
            assert (
                runs.store(export(2, filters={"reportId": report}), columns, run_id="2", day=2, map_index=index) == []
            )

    def test_of_one_run_all_report_a_change(self, runs):
        runs.store(export(1), day=1)
        for index in range(3):
            assert runs.store(export(2, index), NEW, run_id="2", day=2, map_index=index) == ADDED


class TestOrder:
    """The schema is that of the time at which an export was created, whatever its run is for."""

    @pytest.mark.parametrize("days", list(itertools.permutations((2, 3, 4))))
    @pytest.mark.parametrize("before", [range(1, 6), (1, 5), (5,)])
    def test_a_backfill_in_any_order_reports_a_change_at_most_once(self, runs, days, before):
        for day in before:
            runs.store(export(day), OLD, run_id=f"first {day}", day=day)
        found = [runs.store(export(20 + number), NEW, day=day) for number, day in enumerate(days)]
        assert [bool(changes) for changes in found] == [True, False, False]
        assert runs.store(export(25), NEW, day=6) == []

    def test_a_run_without_a_logical_date_is_one_like_the_others(self, runs):
        runs.store(export(1), OLD, day=1)
        assert runs.store(export(2), NEW, created=2) == ADDED
        assert runs.store(export(3), NEW, day=3) == []
        assert runs.store(export(4), OLD, created=4)
        assert runs.store(export(5), OLD, created=5) == []
        assert runs.store(export(6), OLD, day=6) == []

    def test_a_run_without_a_logical_date_that_is_cleared_later_sees_the_runs_since(self, runs):
        runs.store(export(1), OLD, day=1)
        runs.store(export(10), NEW, day=10)
        assert runs.store(export(20), NEW, created=5) == []

    def test_an_older_export_that_is_stored_later_is_compared_with_those_before_it(self, runs):
        runs.store(export(1), OLD, day=1)
        runs.store(export(5), NEW, day=5)
        assert runs.store(export(3), OLD, day=6) == []
        assert runs.store(export(6), NEW, day=7) == []

    def test_an_export_without_a_time_of_creation_is_compared_with_the_latest(self, runs):
        runs.store(export(1), OLD, day=1)
        runs.store(export(2), NEW, day=2)
        assert runs.store({"id": "3", "exportType": "contacts", "version": "v5"}, NEW, day=3) == []
        assert runs.store(export(4), NEW, day=4) == []

    @pytest.mark.parametrize("days", [(9, 10), (10, 11)])
    def test_a_run_of_the_schedule_sees_one_by_hand_that_is_later_than_its_logical_date(self, runs, days):
        runs.store(export(8), OLD, day=8)
        assert runs.store(export(10, 12), NEW, created=10) == ADDED
        for day in days:
            assert runs.store(export(day + 1, 13), NEW, day=day) == []

    def test_a_backfill_sees_a_run_by_hand_through_the_run_after_it(self, runs):
        runs.store(export(8), OLD, day=8)
        assert runs.store(export(10), NEW, created=10) == ADDED
        assert runs.store(export(10, 13), NEW, day=9, run_id="manual__2026-11-11T12:00:00+00:00") == []
        for hour, day in ((14, 3), (15, 2)):
            assert runs.store(export(10, hour), NEW, day=day) == []

    def test_runs_whose_ids_are_chosen_by_the_user_are_compared_too(self, runs):
        runs.store(export(1), OLD, day=1, run_id="mine")
        assert runs.store(export(2), NEW, day=2, run_id="my__own") == ADDED
        assert runs.store(export(3), NEW, day=3, run_id="") == []


class TestAirflow:
    def test_that_cannot_show_earlier_runs_is_named_in_the_log(self, runs, monkeypatch, caplog):
        runs.store(export(1), day=1)
        monkeypatch.setattr(FakeXComs, "get_all", lambda self, *, key, dag_id, task_id, run_id: [])  # some 3.0
        assert runs.store(export(2), NEW, day=2) == []
        monkeypatch.delattr(FakeXComs, "get_all")  # Airflow 3.0.0
        assert runs.store(export(3), NEW, day=3) == []
        assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]
        assert caplog.text.count("so the columns were not compared") == 2

    def test_that_cannot_show_earlier_runs_is_a_warning_if_changes_are_to_fail_the_task(
        self, runs, monkeypatch, caplog
    ):
        monkeypatch.delattr(FakeXComs, "get_all")
        assert runs.store(export(1), day=1, on_schema_change="fail") == []
        assert [record.levelname for record in caplog.records] == ["WARNING"]

    @pytest.mark.parametrize("method", ["get_all", "get_one"])
    def test_that_does_not_respond_does_not_fail_the_task_and_the_next_run_finds_the_change(
        self, runs, monkeypatch, caplog, method
    ):
        runs.store(export(1), day=1)
        with monkeypatch.context() as patch:
            patch.setattr(FakeXComs, method, no_response)
            assert runs.store(export(2), NEW, day=2) == []
        assert [record.getMessage() for record in caplog.records] == [
            "The columns were not compared with earlier ones: RuntimeError."
        ]
        assert runs.store(export(3), NEW, day=3) == ADDED

    @pytest.mark.parametrize("method", ["get_all", "get_one"])
    def test_that_does_not_respond_fails_a_task_that_changes_are_to_fail(self, runs, monkeypatch, method):
        runs.store(export(1), day=1)
        with monkeypatch.context() as patch:
            patch.setattr(FakeXComs, method, no_response)
            with pytest.raises(ColumnsNotCompared, match=r"RuntimeError.*Run the task again") as caught:
                runs.store(export(2), day=2, on_schema_change="fail")
        assert not caught.value.final
        assert caught.value.__suppress_context__
        assert runs.store(export(2), day=2, on_schema_change="fail") == []

    def test_that_does_not_store_xcoms_does_not_fail_the_task(self, runs, monkeypatch, caplog):
        def fail(*_):
            raise RuntimeError("no response")

        monkeypatch.setattr("tests.xcoms.XComTaskInstance.xcom_push", fail)
        assert runs.store(export(1), day=1) == []
        assert "Later runs cannot compare their columns with these: RuntimeError." in caplog.text

    @pytest.mark.parametrize("value", ["null", "5", '{"a": 1}', '[1, "run-1"]', '"text"', '["x", "run-1", -1, "y"]'])
    def test_with_unexpected_values_does_not_fail_the_task(self, runs, xcoms, value):
        runs.store(export(1), day=1)
        for place in xcoms.content:
            xcoms.content[place] = value
        runs.store(export(2), NEW, day=2)
        assert runs.store(export(3), OLD, day=3) != []

    def test_that_has_lost_the_columns_does_not_fail_the_task(self, runs, xcoms):
        runs.store(export(1), day=1)
        for place in [place for place in xcoms.content if place[3] == "connectif_columns"]:
            del xcoms.content[place]
        assert runs.store(export(2), NEW, day=2) == []

    def test_is_asked_little(self, runs, xcoms):
        for day in range(1, 4):
            runs.store(export(day), day=day)
        requests = xcoms.requests
        runs.store(export(4), day=4)
        assert xcoms.requests - requests == 3

    def test_stores_little_once_a_run_however_many_tasks_are_mapped(self, runs, xcoms):
        for day in (1, 2, 3):
            for index in range(20):
                columns = NEW if day == 3 else OLD
                assert bool(runs.store(export(day, index), columns, run_id=f"x__{day}", day=day, map_index=index)) == (
                    day == 3
                )
        assert sorted((run_id, index) for run_id, _, index, _ in xcoms.content) == [
            ("x__1", 0),
            ("x__1", 0),
            ("x__2", 0),
            ("x__2", 0),
            ("x__3", 0),
            ("x__3", 0),
        ]
        assert max(len(value) for place, value in xcoms.content.items() if place[3] != "connectif_columns") < 60
