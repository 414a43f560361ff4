# SPDX-License-Identifier: Apache-2.0
"""HTTP headers in every form that servers send, invalid ones included."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_provider_connectif.http_headers import parse_http_date, parse_number, parse_wait, server_time

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["Sun, 01 Nov 2026 12:00:00 GMT", "Sun, 01 Nov 2026 12:00:00 -0000"])
def test_an_http_date_is_parsed(text):
    assert parse_http_date(text) == NOON


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "soon",
        "12",
        "Sun, 99 Nov 2026 12:00:00 GMT",
        "Sun, 01 Nov 99999 12:00:00 GMT",
        "Sun, 01 Nov 2026 99999999999999999999:00:00 GMT",
    ],
)
def test_an_invalid_http_date_is_none(text):
    assert parse_http_date(text) is None


@pytest.mark.parametrize(("text", "number"), [("12", 12.0), (" 1.5 ", 1.5), ("-3", -3.0)])
def test_a_number_is_parsed(text, number):
    assert parse_number(text) == number


@pytest.mark.parametrize("text", [None, "", "soon", "inf", "nan", "1e999"])
def test_an_invalid_or_infinite_number_is_none(text):
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12),
        ("0", 0),
        ("1.5", 1.5),
        ("-5", 0),
        ("Sun, 01 Nov 2026 12:01:30 GMT", 90),
        ("Sun, 01 Nov 2026 11:00:00 GMT", 0),
        ("86400", 86400),
        ("86401", None),
        ("100000", None),
        ("120000", None),
        (f"{NOON.timestamp() + 90:.0f}", 90),
        (f"{NOON.timestamp() + 90.5}", 90.5),
        (f"{NOON.timestamp() - 5:.0f}", 0),
        (f"{NOON.timestamp() * 1000 + 90500:.0f}", 90.5),
        ("soon", None),
        ("", None),
        (None, None),
        ("1e300", None),
        ("99999999999", None),
        (f"{NOON.timestamp() + 200_000:.0f}", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
    ],
)
def test_a_wait_is_parsed_in_every_form(text, seconds):
    assert parse_wait(text, now=NOON.timestamp()) == seconds


@pytest.mark.parametrize(("text", "seconds"), [("100000", 100), ("3600", 3600), ("86400001", None), ("1e300", None)])
def test_a_number_in_a_header_without_a_standard_may_be_milliseconds(text, seconds):
    assert parse_wait(text, now=NOON.timestamp(), standard=False) == seconds


def test_the_time_of_a_response_is_its_date():
    assert server_time({"Date": "Sun, 01 Nov 2026 12:00:00 GMT"}, default=5.0) == NOON.timestamp()
    assert server_time({"Date": "soon"}, default=5.0) == server_time({}, default=5.0) == 5.0
