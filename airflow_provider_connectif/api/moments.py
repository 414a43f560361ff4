# SPDX-License-Identifier: Apache-2.0
"""Moments and dates as the API writes them."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

_BARE_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# Before Python 3.11, datetime.fromisoformat knows neither "Z" nor fractions of other than 3 or 6 digits.
_FRACTION = re.compile(r"\.(\d+)")

FURTHEST_ZONE = timedelta(hours=14)
"""No time zone is further from UTC than this."""


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
    utc = moment.astimezone(timezone.utc)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"


def read_http_date(text: str | None) -> datetime | None:
    """Read an HTTP date (``Date``, ``Retry-After``); None where it is missing or unreadable."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def same_date(asked: str, reported: object, *, end_of_day: bool = False) -> bool:
    """Tell whether the API reports back the bare date that was asked.

    The list resource documents these fields as date-times, and the account's time zone is not known: a reported
    moment may be that day's beginning (or end, where ``end_of_day``) in any zone.

    :param asked: ``YYYY-MM-DD``.
    :param reported: what the API reports.
    :param end_of_day: allow the whole of the day as well.
    """
    if not isinstance(reported, str):
        return False
    if is_bare_date(reported):
        return reported == asked
    moment = read_moment(reported)
    if moment is None:
        return False
    midnight = datetime.combine(date.fromisoformat(asked), datetime.min.time(), tzinfo=timezone.utc)
    latest = midnight + FURTHEST_ZONE + (timedelta(days=1) if end_of_day else timedelta(0))
    return midnight - FURTHEST_ZONE <= moment <= latest


def same_moment(asked: str, reported: object) -> bool:
    """Tell whether two written moments are the same to the second (the API may drop the fraction)."""
    one, other = read_moment(asked), read_moment(reported)
    return one is not None and other is not None and abs(one - other) < timedelta(seconds=1)
