# SPDX-License-Identifier: Apache-2.0
"""Timestamps as the API writes and reads them."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATE_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})")


def iso(seconds: float) -> str:
    """Format epoch seconds as the API does: in UTC, with milliseconds and ``Z``."""
    timestamp = datetime.fromtimestamp(round(seconds * 1000) / 1000, timezone.utc)
    return timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_date_time(text: str) -> datetime | None:
    """Return an ISO 8601 date-time with an offset, or None if the text is not one. A date alone is not one."""
    match = _DATE_TIME.fullmatch(text)
    if not match:
        return None
    day, clock, fraction, zone = match.groups()
    micros = f"{(fraction or '.0')[1:7]:0<6}"
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{micros}{'+00:00' if zone == 'Z' else zone}")
    except ValueError:
        return None


def parse_date(text: str) -> date | None:
    """Return a date in the form ``YYYY-MM-DD``, or None if the text is not one."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_any(text: str) -> datetime:
    """Return a date-time with an offset, or the midnight in UTC at which a date starts.

    :raises ValueError: if the text is neither
    """
    timestamp = parse_date_time(text)
    if timestamp is None:
        day = parse_date(text)
        if day is None:
            raise ValueError(f"{text!r} is neither a date-time with an offset nor a YYYY-MM-DD date")
        timestamp = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    return timestamp
