# SPDX-License-Identifier: Apache-2.0
"""HTTP headers that the API and the store of its files have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

#: The longest wait that is plausible, in seconds.
MAX_WAIT = 24 * 3600.0


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


def parse_wait(text: str | None, *, now: float, standard: bool = True) -> float | None:
    """Return how many seconds a header asks to wait, in whatever form its server sends it.

    The forms are seconds to wait, seconds or milliseconds since the epoch, and HTTP dates; also milliseconds to wait in
    a header that no standard defines. Which one it is follows from the value: the result is plausible in at most one of
    them.

    :param text: the value of ``Retry-After`` (RFC 9110, section 10.2.3), ``RateLimit-Reset`` or the like
    :param now: epoch seconds by the server's clock
    :param standard: whether a standard says that a small number means seconds
    :return: seconds, from 0 to :data:`MAX_WAIT`; ``None`` if the header is missing, invalid or implausible
    """
    number = parse_number(text)
    if number is None:
        date = parse_http_date(text)
        waits = [] if date is None else [date.timestamp() - now]
    elif number <= MAX_WAIT:
        return max(number, 0.0)
    else:
        waits = [number - now, number / 1000 - now, *([] if standard else [number / 1000])]
    return next((max(wait, 0.0) for wait in waits if abs(wait) <= MAX_WAIT), None)


def server_time(headers: Mapping[str, str], *, default: float) -> float:
    """Return the time of a response by the server's clock, in epoch seconds.

    :param headers: the response's headers, case-insensitive
    :param default: epoch seconds, for a response without ``Date``
    """
    date = parse_http_date(headers.get("Date"))
    return default if date is None else date.timestamp()
