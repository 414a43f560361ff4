# SPDX-License-Identifier: Apache-2.0
"""docs/guides/schedules.md: the date ranges of consecutive runs have no gaps and no overlaps."""

from __future__ import annotations

import functools
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.tasks.arguments import REQUEST_ARGUMENTS, ConnectifArgumentError
from tests.docs.pages import ROOT

MADRID = ZoneInfo("Europe/Madrid")
# Past both clock changes and the end of a year.
UNTIL = datetime(2027, 4, 2, tzinfo=timezone.utc)


@functools.cache
def intervals(dag):
    """Return the data intervals of the scheduled runs, from the timetable that the scheduler uses."""
    import pendulum
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction

    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    restriction = TimeRestriction(earliest=pendulum.instance(dag.start_date), latest=None, catchup=True)
    found, last = [], None
    while True:
        last = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction).data_interval
        if last.start >= UNTIL:
            return found
        found.append(last)


@functools.cache
def requests_of(dag):
    """Return the requests of all runs in order, with arguments rendered and checked as in the task."""
    (store,) = [
        task for task in dag.tasks if hasattr(task, "template_fields") and "destination" in task.template_fields
    ]
    environment = dag.get_template_env()
    requests = []
    for interval in intervals(dag):
        context = {"data_interval_start": interval.start, "data_interval_end": interval.end}
        windows = dag.task_dict["windows"].python_callable(**context) if "windows" in dag.task_dict else [{}]
        for window in windows:
            arguments = {**getattr(store, "partial_kwargs", {}), **window} if window else vars(store)
            rendered = {
                name: environment.from_string(value).render(context) if isinstance(value, str) else value
                for name, value in arguments.items()
                if name in REQUEST_ARGUMENTS
            }
            requests.append(ExportRequest.of(**rendered))
    return requests


def datetimes_of(dag):
    return [(_datetime(request.from_date), _datetime(request.to_date)) for request in requests_of(dag)]


def _datetime(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def days_of(dag):
    return [
        (date.fromisoformat(request.from_date), date.fromisoformat(request.to_date)) for request in requests_of(dag)
    ]


ACTIVITIES = {
    "activities_daily": datetime(2026, 1, 1, tzinfo=MADRID),
    "activities_weekly": datetime(2026, 1, 5, tzinfo=MADRID),
    "activities_monthly_utc": datetime(2026, 1, 1, tzinfo=timezone.utc),
    "activities_monthly_madrid": datetime(2026, 1, 1, tzinfo=MADRID),
}
REPORTS = {
    "report_daily": date(2026, 1, 1),
    "report_weekly": date(2026, 1, 5),
    "report_monthly": date(2026, 1, 1),
}


@pytest.mark.parametrize("dag_id", ACTIVITIES)
def test_the_ranges_of_activities_have_no_gaps_and_no_overlaps(dag_bag, dag_id):
    ranges = datetimes_of(dag_bag.dags[dag_id])
    assert ranges[0][0] == ACTIVITIES[dag_id]
    assert ranges[-1][1] >= UNTIL
    assert [start for start, _ in ranges[1:]] == [end for _, end in ranges[:-1]]


@pytest.mark.parametrize("dag_id", REPORTS)
def test_reports_include_each_day_once(dag_bag, dag_id):
    days = [
        start + timedelta(days=number)
        for start, end in days_of(dag_bag.dags[dag_id])
        for number in range((end - start).days + 1)
    ]
    first = REPORTS[dag_id]
    assert days == [first + timedelta(days=number) for number in range(len(days))]
    assert days[-1] >= UNTIL.date() - timedelta(days=1)


def test_a_day_in_madrid_starts_and_ends_at_midnight_in_madrid(dag_bag):
    ranges = datetimes_of(dag_bag.dags["activities_daily"])
    assert {time.astimezone(MADRID).time().isoformat() for pair in ranges for time in pair} == {"00:00:00"}
    assert {end - start for start, end in ranges} == {timedelta(hours=hours) for hours in (23, 24, 25)}


def test_a_month_in_madrid_is_one_window_except_for_october(dag_bag):
    starts = [start.astimezone(MADRID) for start, _ in datetimes_of(dag_bag.dags["activities_monthly_madrid"])]
    assert [start.strftime("%m-%d") for start in starts if start.year == 2026 and start.day != 1] == ["10-31"]


def test_october_in_madrid_as_one_export_is_rejected(dag_bag):
    monthly = dag_bag.dags["activities_monthly_madrid"]
    october = next(each for each in intervals(monthly) if each.start.in_timezone("Europe/Madrid").month == 10)
    with pytest.raises(ValueError, match="more than 31 days"):
        ExportRequest.of("activities", from_date=october.start.isoformat(), to_date=october.end.isoformat())


def test_a_report_is_created_after_its_last_day_in_the_account_is_over(dag_bag):
    for dag_id in REPORTS:
        dag = dag_bag.dags[dag_id]
        ends = [interval.end.astimezone(MADRID).date() for interval in intervals(dag)]
        assert all(last < end for (_, last), end in zip(days_of(dag), ends, strict=True))


def test_the_windows_of_the_backfill_cover_the_year(dag_bag):
    (task,) = dag_bag.dags["report_backfill"].tasks
    windows = task.expand_input.value
    assert windows[0]["from_date"] == "2025-01-01"
    assert windows[-1]["to_date"] == "2025-12-31"
    assert len(windows) == 12


def test_the_warnings_on_the_page_are_true(dag_bag):
    from airflow.sdk import DAG

    from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator

    with DAG("bare_cron", schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as bare:
        pass
    with DAG("late_start", schedule=dag_bag.dags["activities_monthly_madrid"].schedule,
             start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as late:  # fmt: skip
        pass
    first = intervals(bare)[0]
    assert first.start == first.end
    with pytest.raises(ConnectifArgumentError, match="CronDataIntervalTimetable"):
        ConnectifCreateExportOperator(
            task_id="create", export_type="activities", from_date=first.start, to_date=first.end
        )
    assert intervals(late)[0].start.astimezone(MADRID).month == 2
    assert intervals(dag_bag.dags["activities_daily"])[0].start.utcoffset() == timedelta(0)


@functools.cache
def partitions(dag):
    """Return the key and the request of each partition of more than a year, rendered and checked as in the task."""
    from airflow.serialization.serialized_objects import DagSerialization

    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    (store,) = dag.tasks
    environment, found = dag.get_template_env(), []
    for info in timetable.iter_partition_dagrun_infos(earliest=datetime(2026, 1, 1, tzinfo=timezone.utc), latest=UNTIL):
        context = {"partition_key": info.partition_key, "partition_date": info.partition_date.in_timezone("UTC")}
        dates = {
            name: environment.from_string(getattr(store, name)).render(context) for name in ("from_date", "to_date")
        }
        found.append((info.partition_key, ExportRequest.of(store.export_type, **dates)))
    return found


@pytest.fixture(scope="module", params=["page", "example"])
def partitioned(request, dag_bag):
    from airflow.dag_processing.dagbag import DagBag

    if request.param == "page":
        return dag_bag.dags["purchases_by_day"]
    example = ROOT / "example_dags" / "connectif_activities_partitions.py"
    return DagBag(str(example)).dags["connectif_activities_by_day"]


def test_the_ranges_of_partitions_have_no_gaps_and_no_overlaps(partitioned):
    ranges = [(_datetime(request.from_date), _datetime(request.to_date)) for _, request in partitions(partitioned)]
    assert ranges[0][0] == datetime(2026, 1, 1, tzinfo=MADRID)
    assert [start for start, _ in ranges[1:]] == [end for _, end in ranges[:-1]]
    assert {end - start for start, end in ranges} == {timedelta(hours=hours) for hours in (23, 24, 25)}


def test_the_key_of_a_partition_is_its_day_in_madrid(partitioned):
    for key, request in partitions(partitioned):
        assert key == _datetime(request.from_date).astimezone(MADRID).date().isoformat()


def test_a_scheduled_run_is_for_the_partition_that_has_just_ended(partitioned):
    import pendulum
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction

    timetable = DagSerialization.from_dict(DagSerialization.to_dict(partitioned)).timetable
    restriction = TimeRestriction(
        earliest=pendulum.datetime(2026, 3, 30, tz="Europe/Madrid"), latest=None, catchup=True
    )
    info = timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    assert info.run_after == datetime(2026, 3, 30, tzinfo=MADRID)
    assert (info.partition_key, info.data_interval) == ("2026-03-29", None)
    assert info.partition_date == datetime(2026, 3, 29, tzinfo=MADRID)
