# SPDX-License-Identifier: Apache-2.0
"""Timestamps and dates in the formats of the API."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_connectif.api.timestamps import (
    format_timestamp,
    is_date,
    is_same_date_range,
    is_same_second,
    parse_timestamp,
    parse_timestamp_or_none,
)

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01T12:00:00Z",
        "2026-11-01T12:00:00z",
        " 2026-11-01T12:00:00.000Z ",
        "2026-11-01T12:00:00.0Z",
        "2026-11-01T12:00:00.000000000Z",
        "2026-11-01 13:00:00+01:00",
        "2026-11-01T13:00:00+0100",
        "2026-11-01T13:00:00.000+01",
        "2026-11-01T07:00:00-05:00",
        "2026-11-01T12:00+00:00",
    ],
)
def test_every_form_of_a_timestamp_is_parsed(text):
    assert parse_timestamp(text) == NOON


def test_a_timestamp_without_a_time_zone_is_naive():
    assert parse_timestamp("2026-11-01T12:00:00").tzinfo is None


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01T00:00:00Z", "2026-11-01T25:00:00Z"])
def test_an_invalid_timestamp_raises_an_error(text):
    with pytest.raises(ValueError):
        parse_timestamp(text)


@pytest.mark.parametrize("value", [None, 5, "", "soon", ["2026-11-01T12:00:00Z"]])
def test_an_invalid_reported_timestamp_is_none(value):
    assert parse_timestamp_or_none(value) is None


def test_a_reported_timestamp_without_a_time_zone_is_in_utc():
    assert parse_timestamp_or_none("2026-11-01T12:00:00") == NOON


@settings(max_examples=60, deadline=None)
@given(st.datetimes(timezones=st.timezones()))
def test_a_formatted_timestamp_is_parsed_back_to_the_millisecond(timestamp):
    try:
        formatted = format_timestamp(timestamp)
    except OverflowError:  # out of range in UTC
        return
    assert timedelta(0) <= timestamp - parse_timestamp(formatted) < timedelta(milliseconds=1)
    assert len(formatted) == len("2026-11-01T12:00:00.000Z")


@pytest.mark.parametrize(
    ("text", "expected"), [("2026-11-01", True), ("2026-11-01T00:00:00Z", False), ("2026-1-1", False)]
)
def test_a_date_is_recognized(text, expected):
    assert is_date(text) is expected


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ("2026-11-01T12:00:00.250Z", True),
        ("2026-11-01T12:00:00Z", True),
        ("2026-11-01T13:00:00+01:00", True),
        ("2026-11-01T12:00:01Z", False),
        ("2026-11-01T11:59:59.900Z", False),
        ("2026-11-01", False),
        (None, False),
    ],
)
def test_timestamps_are_compared_without_their_fraction(reported, expected):
    assert is_same_second("2026-11-01T12:00:00.250Z", reported) is expected


def as_reported(day: str, utc_offset: float, *, end: timedelta = timedelta(0)) -> str:
    zone = timezone(timedelta(hours=utc_offset))
    return format_timestamp(datetime.fromisoformat(day).replace(tzinfo=zone) + end)


END_OF_DAY = timedelta(hours=24) - timedelta(milliseconds=1)
ZONES = [-10, -8, -5, -3, 0, 1, 2, 5.5, 9, 12, 13]


class TestReportedDates:
    def test_as_dates(self):
        assert is_same_date_range(("2026-11-01", "2026-11-30"), ("2026-11-01", "2026-11-30"))
        assert not is_same_date_range(("2026-11-01", "2026-11-30"), ("2026-11-02", "2026-11-30"))
        assert not is_same_date_range(("2026-11-01", "2026-11-30"), ("2026-11-01", "2026-11-29"))

    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize("end", [timedelta(0), END_OF_DAY, timedelta(hours=23, minutes=59)])
    def test_as_timestamps_in_any_time_zone(self, zone, end):
        reported = as_reported("2026-11-01", zone), as_reported("2026-11-20", zone, end=end)
        assert is_same_date_range(("2026-11-01", "2026-11-20"), reported)

    @pytest.mark.parametrize("end", [timedelta(0), END_OF_DAY])
    def test_as_timestamps_with_a_daylight_saving_change_between_them(self, end):
        reported = as_reported("2026-10-20", 2), as_reported("2026-10-30", 1, end=end)
        assert is_same_date_range(("2026-10-20", "2026-10-30"), reported)
        reported = as_reported("2026-03-20", 1), as_reported("2026-03-30", 2, end=end)
        assert is_same_date_range(("2026-03-20", "2026-03-30"), reported)

    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize("end", [timedelta(0), END_OF_DAY])
    @pytest.mark.parametrize(
        "other",
        [
            ("2026-11-01", "2026-11-19"),
            ("2026-11-01", "2026-11-21"),
            ("2026-10-31", "2026-11-20"),
            ("2026-11-02", "2026-11-20"),
            ("2026-11-02", "2026-11-21"),
            ("2026-10-31", "2026-11-19"),
        ],
    )
    def test_an_adjacent_day_is_different(self, zone, end, other):
        reported = as_reported(other[0], zone), as_reported(other[1], zone, end=end)
        assert not is_same_date_range(("2026-11-01", "2026-11-20"), reported)

    @pytest.mark.parametrize("reported", [(None, None), ("2026-11-01", None), ("2026-11-01", 5), ("x", "y")])
    def test_missing_or_invalid_dates_are_different(self, reported):
        assert not is_same_date_range(("2026-11-01", "2026-11-01"), reported)
