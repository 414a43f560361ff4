# SPDX-License-Identifier: Apache-2.0
"""Windows: without gaps, without overlaps, and not longer than the API allows."""

from __future__ import annotations

import itertools
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from airflow_provider_connectif.windows import export_windows

ZONES = st.sampled_from([timezone.utc, ZoneInfo("Europe/Madrid"), ZoneInfo("America/Sao_Paulo")])
DATETIMES = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=ZONES)  # noqa: DTZ001
DAYS = st.integers(1, 31)


@given(DATETIMES, st.timedeltas(timedelta(0), timedelta(days=900)), DAYS)
def test_datetimes_are_split_without_gaps_and_overlaps(start, length, days):
    end = start.astimezone(timezone.utc) + length
    windows = export_windows(start, end, days)
    edges = [(datetime.fromisoformat(w["from_date"]), datetime.fromisoformat(w["to_date"])) for w in windows]
    if not length:
        assert windows == []
        return
    # In UTC, because Python compares an ambiguous local time as unequal to any time in another zone.
    assert edges[0][0] == start.astimezone(timezone.utc)
    assert edges[-1][1] == end
    assert all(before[1] == after[0] for before, after in itertools.pairwise(edges))
    assert all(timedelta(0) < end - start <= timedelta(days=days) for start, end in edges)
    assert len(edges) == -(-length // timedelta(days=days))


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.integers(0, 900), DAYS)
def test_dates_are_split_so_that_each_is_in_one_window(start, length, days):
    end = start + timedelta(days=length)
    covered = []
    for window in export_windows(start.isoformat(), end, days):
        first, last = date.fromisoformat(window["from_date"]), date.fromisoformat(window["to_date"])
        inside = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        assert 1 <= len(inside) <= days
        covered += inside
    assert covered == [start + timedelta(days=number) for number in range(length + 1)]


@given(DATETIMES, st.timedeltas(timedelta(seconds=1), timedelta(days=100)))
def test_the_operators_accept_every_window(start, length):
    for window in export_windows(start, start.astimezone(timezone.utc) + length):
        ExportRequest.of("activities", **window)
    for window in export_windows(start.date(), start.date() + timedelta(days=length.days)):
        ExportRequest.of("data-explorer", report_id="r", **window)


def test_a_year_is_twelve_windows():
    windows = export_windows("2025-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z")
    assert len(windows) == 12
    assert windows[0] == {"from_date": "2025-01-01T00:00:00+00:00", "to_date": "2025-02-01T00:00:00+00:00"}
    assert windows[-1]["to_date"] == "2026-01-01T00:00:00+00:00"


def test_daylight_saving_time_makes_no_window_too_long():
    """In Madrid, 31 days that include the end of October are 31 days and one hour."""
    madrid = ZoneInfo("Europe/Madrid")
    windows = export_windows(datetime(2026, 10, 1, tzinfo=madrid), datetime(2026, 11, 1, tzinfo=madrid))
    assert [window["to_date"] for window in windows] == ["2026-10-31T22:00:00+00:00", "2026-10-31T23:00:00+00:00"]


def test_one_day_is_one_window():
    assert export_windows("2026-11-01", "2026-11-01") == [{"from_date": "2026-11-01", "to_date": "2026-11-01"}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("2026-11-01", "2026-11-02T00:00:00Z"), "end: .* have different types"),
        (("2026-11-02", "2026-11-01"), "end: 2026-11-01 is before start"),
        (("2026-11-01T00:00:00", "2026-11-02T00:00:00Z"), "start: .* has no time zone"),
        (("soon", "2026-11-02"), "start: 'soon' is not an ISO 8601 date-time; use a date-time with .* or a date"),
        (("2026-11-31", "2026-12-02"), "start: '2026-11-31' is not a day of the calendar"),
        ((5, "2026-11-02"), "start: '5' is not a date-time"),
        (("2026-11-01", "2026-11-02", 32), "days: 32 is out of range"),
        (("2026-11-01", "2026-11-02", 0), "days: 0 is out of range"),
        (("2026-11-01", "2026-11-02", 1.5), "days: 1.5 is out of range"),
        (("2026-11-01", "2026-11-02", True), "days: True is out of range"),
    ],
)
def test_invalid_arguments_are_named_and_not_retried(arguments, words):
    with pytest.raises(ConnectifArgumentError, match=words):
        export_windows(*arguments)


def test_the_datetimes_of_an_airflow_context_are_accepted():
    pendulum = pytest.importorskip("pendulum")
    start = pendulum.datetime(2026, 1, 1, tz="Europe/Madrid")
    assert export_windows(start, start.add(months=2)) == [
        {"from_date": "2025-12-31T23:00:00+00:00", "to_date": "2026-01-31T23:00:00+00:00"},
        {"from_date": "2026-01-31T23:00:00+00:00", "to_date": "2026-02-28T23:00:00+00:00"},
    ]
