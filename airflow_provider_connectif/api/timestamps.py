# SPDX-License-Identifier: Apache-2.0
"""Timestamps and dates in the formats of the API."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# Before Python 3.11, datetime.fromisoformat accepts neither "Z", nor "+0100", nor fractions with a number of digits
# other than 3 or 6.
_FRACTION = re.compile(r"\.(\d+)")
_ZONE = re.compile(r"(:\d\d(?:\.\d+)?)([+-]\d\d):?(\d\d)?$")

# The time zones that an account may have, from UTC+13 to UTC-10. With all of them, from +14 to -12, the same timestamp
# could be the midnight of two different days.
EASTERNMOST = timedelta(hours=13)
WESTERNMOST = timedelta(hours=10)


def is_date(text: str) -> bool:
    """Return whether a string is ``YYYY-MM-DD`` and nothing else."""
    return _DATE.fullmatch(text) is not None


def parse_timestamp(text: str) -> datetime:
    """Parse an ISO 8601 date-time.

    :param text: such as ``2026-11-01T00:00:00.000Z``
    :return: a datetime, naive if the string has no time zone
    :raises ValueError: if it is not a date-time
    """
    text = text.strip()
    if text[-1:] in "zZ":
        text = text[:-1] + "+00:00"
    text = _FRACTION.sub(lambda found: "." + found[1][:6].ljust(6, "0"), text, count=1)
    text = _ZONE.sub(lambda found: f"{found[1]}{found[2]}:{found[3] or '00'}", text)
    return datetime.fromisoformat(text)


def parse_timestamp_or_none(value: object) -> datetime | None:
    """Parse a timestamp that the API reports; return ``None`` if it is missing or invalid.

    A timestamp without a time zone is in UTC, as the API's own timestamps are.
    """
    if not isinstance(value, str):
        return None
    try:
        timestamp = parse_timestamp(value)
    except ValueError:
        return None
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=timezone.utc)


def format_timestamp(timestamp: datetime) -> str:
    """Format an aware datetime as the API does: UTC, milliseconds, ``Z``."""
    utc = timestamp.astimezone(timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def is_same_date_range(requested: tuple[str, str], reported: tuple[object, object]) -> bool:
    """Return whether the API reports the first and the last day that were requested.

    The list resource documents these fields as date-times, and the account's time zone is not known: a day may be
    reported as its midnight in any zone, and the last day also as its end (a timestamp *before* midnight).

    :param requested: the two days, each ``YYYY-MM-DD``
    :param reported: the two values that the API reports
    """
    start, end = _since_midnight(requested[0], reported[0]), _since_midnight(requested[1], reported[1])
    if start is None or end is None or not -EASTERNMOST <= start <= WESTERNMOST:
        return False
    # Daylight saving time may begin or end between the two days.
    shift = end - start
    if shift % timedelta(minutes=30):
        return abs(shift - timedelta(days=1)) <= timedelta(hours=1, minutes=1)
    return abs(shift) <= timedelta(hours=1)


def _since_midnight(day: str, reported: object) -> timedelta | None:
    """Return the time from a day's midnight in UTC to a reported timestamp, ``None`` for any other date."""
    if not isinstance(reported, str):
        return None
    if is_date(reported):
        return timedelta(0) if reported == day else None
    timestamp = parse_timestamp_or_none(reported)
    midnight = parse_timestamp_or_none(f"{day}T00:00:00Z")
    return None if timestamp is None or midnight is None else timestamp - midnight


def is_same_second(requested: str, reported: object) -> bool:
    """Return whether two timestamps are in the same second (the API may drop the fraction)."""
    first, second = parse_timestamp_or_none(requested), parse_timestamp_or_none(reported)
    return first is not None and second is not None and first.replace(microsecond=0) == second.replace(microsecond=0)
