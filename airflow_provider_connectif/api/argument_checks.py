# SPDX-License-Identifier: Apache-2.0
"""Checks for arguments that a DAG author or another caller gives.

When Airflow parses a DAG, some values are not known yet: templates, and results of other tasks. Callers replace these
with :data:`UNKNOWN`, which passes every check.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timezone
from typing import Any

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.timestamps import is_date, parse_timestamp

_DATETIME_HINT = "use a date-time with a time zone, such as '2026-11-01T00:00:00+00:00'."


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


#: Stands for a value that is not known yet.
UNKNOWN: Any = _Unknown()


def check_one_of(name: str, value: object, supported: Sequence[str]) -> None:
    """Check that an argument is one of the supported values.

    :raises InvalidArgument: if it is not
    """
    if value is not UNKNOWN and value not in supported:
        *first, last = map(repr, supported)
        values = f"{', '.join(first)} or {last}" if first else last
        raise InvalidArgument(name, f"{value!r} is not supported; use {values}.")


def parse_datetime_argument(name: str, value: object, *, hint: str = _DATETIME_HINT) -> datetime:
    """Return a date-time argument as a plain datetime in UTC.

    :param name: the argument's name, for the error message
    :param value: an aware datetime, or an ISO 8601 date-time with a time zone
    :param hint: what the error message recommends
    :raises InvalidArgument: if it is anything else
    """
    parsed = value
    if isinstance(value, str):
        try:
            parsed = parse_timestamp(value)
        except ValueError:
            raise InvalidArgument(name, f"{value!r} is not an ISO 8601 date-time; {hint}") from None
    if not isinstance(parsed, datetime):
        raise InvalidArgument(name, f"{str(value)!r} is not a date-time; {hint}")
    if parsed.tzinfo is None:
        raise InvalidArgument(name, f"{str(value)!r} has no time zone; {hint}")
    try:
        utc = parsed.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidArgument(name, f"{str(value)!r} is out of range; {hint}") from None
    # Airflow's datetimes are pendulum's, whose arithmetic differs.
    return datetime.combine(utc.date(), utc.time(), timezone.utc)


def parse_date_argument(name: str, value: object, *, hint: str) -> date:
    """Return a date argument as a date.

    :param name: the argument's name, for the error message
    :param value: a date, or a string in the form ``YYYY-MM-DD``
    :param hint: what the error message recommends
    :raises InvalidArgument: if it is anything else, a datetime included
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not is_date(value.strip()):
        raise InvalidArgument(name, f"{str(value)!r} is not a date (YYYY-MM-DD); {hint}")
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise InvalidArgument(name, f"{value!r} is not a day of the calendar; {hint}") from None
