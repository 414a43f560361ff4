# SPDX-License-Identifier: Apache-2.0
"""Moments and dates as the API writes them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

_BARE_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# Before Python 3.11, datetime.fromisoformat knows neither "Z", nor "+0100", nor fractions of other than 3 or 6
# digits.
_FRACTION = re.compile(r"\.(\d+)")
_ZONE = re.compile(r"(:\d\d(?:\.\d+)?)([+-]\d\d):?(\d\d)?$")

# The time zones that are told apart: from UTC+13 to UTC-10. With all of them, from +14 to -12, one moment would
# be the midnight of two days.
EASTERNMOST = timedelta(hours=13)
WESTERNMOST = timedelta(hours=10)


def is_bare_date(text: str) -> bool:
    """Tell whether the text is ``YYYY-MM-DD`` and nothing else."""
    return _BARE_DATE.fullmatch(text) is not None


def parse_moment(text: str) -> datetime:
    """Read an ISO 8601 date-time.

    :param text: such as ``2026-11-01T00:00:00.000Z``.
    :return: the moment; naive where the text names no zone.
    :raises ValueError: where the text is no date-time.
    """
    tidy = text.strip()
    if tidy[-1:] in "zZ":
        tidy = tidy[:-1] + "+00:00"
    tidy = _FRACTION.sub(lambda found: "." + found[1][:6].ljust(6, "0"), tidy, count=1)
    tidy = _ZONE.sub(lambda found: f"{found[1]}{found[2]}:{found[3] or '00'}", tidy)
    return datetime.fromisoformat(tidy)


def read_moment(value: object) -> datetime | None:
    """Read a moment that the API reports, forgiving: None where it is missing or unreadable.

    A moment without a zone is taken as UTC, as the API's own are.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = parse_moment(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def write_moment(moment: datetime) -> str:
    """Write an aware moment as the API does: UTC, milliseconds, ``Z``."""
    utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def read_http_date(text: str | None) -> datetime | None:
    """Read an HTTP date (``Date``, ``Retry-After``); None where it is missing or unreadable."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def same_dates(asked: tuple[str, str], reported: tuple[object, object]) -> bool:
    """Tell whether the API reports back the first and the last day that were asked.

    The list resource documents these fields as date-times, and the account's time zone is not known: a day may
    be reported as its beginning in any zone, the last day also as its end (a moment *before* midnight).

    :param asked: the two days, each ``YYYY-MM-DD``.
    :param reported: what the API reports.
    """
    begins, ends = _since_midnight(asked[0], reported[0]), _since_midnight(asked[1], reported[1])
    if begins is None or ends is None or not -EASTERNMOST <= begins <= WESTERNMOST:
        return False
    # Summer time may begin or end between the two days.
    late = ends - begins
    if late % timedelta(minutes=30):
        return abs(late - timedelta(days=1)) <= timedelta(hours=1, minutes=1)
    return abs(late) <= timedelta(hours=1)


def _since_midnight(day: str, reported: object) -> timedelta | None:
    """Tell how long after the day's midnight in UTC a reported moment is; a bare date is that day or none."""
    if not isinstance(reported, str):
        return None
    if is_bare_date(reported):
        return timedelta(0) if reported == day else None
    moment = read_moment(reported)
    midnight = read_moment(f"{day}T00:00:00Z")
    return None if moment is None or midnight is None else moment - midnight


def same_moment(asked: str, reported: object) -> bool:
    """Tell whether two written moments are in the same second (the API may drop the fraction)."""
    one, other = read_moment(asked), read_moment(reported)
    return one is not None and other is not None and one.replace(microsecond=0) == other.replace(microsecond=0)
