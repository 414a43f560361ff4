# SPDX-License-Identifier: Apache-2.0
"""HTTP headers that the API and the store of its files have in common."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime


def parse_http_date(text: str | None) -> datetime | None:
    """Parse an HTTP date, such as the value of ``Date``; return ``None`` if it is missing or invalid."""
    if not text:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def parse_number(text: str | None) -> float | None:
    """Parse a finite number; return ``None`` if it is missing or invalid."""
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def parse_retry_after(text: str | None, *, now: float) -> float | None:
    """Return how many seconds a ``Retry-After`` header asks to wait; ``None`` if it is missing or invalid.

    :param text: the header's value, seconds or an HTTP date (RFC 9110, section 10.2.3)
    :param now: epoch seconds, for a date
    """
    seconds = parse_number(text)
    if seconds is None:
        date = parse_http_date(text)
        if date is None:
            return None
        seconds = date.timestamp() - now
    return max(seconds, 0.0)
