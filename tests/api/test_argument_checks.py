# SPDX-License-Identifier: Apache-2.0
"""Checks of arguments: what is accepted, and what the error message says otherwise."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pendulum
import pytest

from airflow_provider_connectif.api.argument_checks import parse_datetime_argument
from airflow_provider_connectif.api.errors import InvalidArgument

NOVEMBER = datetime(2026, 11, 1, tzinfo=timezone.utc)


class TestParseDatetimeArgument:
    @pytest.mark.parametrize(
        "value",
        [
            NOVEMBER,
            NOVEMBER.astimezone(timezone(timedelta(hours=14))),
            pendulum.datetime(2026, 11, 1, 1, tz="Europe/Madrid"),
            "2026-11-01T00:00:00Z",
            "2026-11-01 01:00:00+01:00",
        ],
    )
    def test_returns_a_plain_datetime_in_utc(self, value):
        parsed = parse_datetime_argument("created_after", value)
        assert parsed == NOVEMBER
        assert type(parsed) is datetime
        assert parsed.tzinfo is timezone.utc

    def test_keeps_microseconds(self):
        value = NOVEMBER + timedelta(microseconds=123456)
        assert parse_datetime_argument("created_after", value.isoformat()) == value

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("2026-11-01T00:00:00", "no time zone"),
            ("2026-11-01", "no time zone"),
            (datetime(2026, 11, 1), "no time zone"),  # noqa: DTZ001
            ("yesterday", "not an ISO 8601 date-time"),
            ("", "not an ISO 8601 date-time"),
            (5, "not a date-time"),
            (None, "not a date-time"),
            (date(2026, 11, 1), "not a date-time"),
            (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "out of range"),
        ],
    )
    def test_raises_an_error_that_names_the_argument(self, value, words):
        with pytest.raises(InvalidArgument, match=words) as raised:
            parse_datetime_argument("finished_after", value)
        assert raised.value.argument == "finished_after"
