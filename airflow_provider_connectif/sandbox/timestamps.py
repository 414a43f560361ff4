# SPDX-License-Identifier: Apache-2.0
"""Moments as the API writes and reads them."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATE_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})")


def iso(seconds: float) -> str:
    """Write epoch seconds as the API does: UTC with milliseconds and ``Z``."""
    moment = datetime.fromtimestamp(round(seconds * 1000) / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_date_time(text: str) -> datetime | None:
    """Read an ISO 8601 date-time with its offset; None when the text is none (a bare date is none)."""
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
    """Read ``YYYY-MM-DD``; None when the text is anything else."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_any(text: str) -> datetime:
    """Read a date-time or a bare date (its midnight in UTC).

    :raises ValueError: when the text is neither.
    """
    moment = parse_date_time(text)
    if moment is None:
        day = parse_date(text)
        if day is None:
            raise ValueError(f"{text!r} is neither a date-time with its offset nor a YYYY-MM-DD date")
        moment = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    return moment
