# SPDX-License-Identifier: Apache-2.0
"""Splitting a long range of time into windows that are short enough for one export."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from airflow_provider_connectif.api.argument_checks import parse_date_argument, parse_datetime_argument
from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.export_request import MAX_DAYS
from airflow_provider_connectif.api.timestamps import is_date
from airflow_provider_connectif.tasks.arguments import argument_errors


def export_windows(start: str | date, end: str | date, days: int = MAX_DAYS) -> list[dict[str, str]]:
    """Split a range into windows for ``.expand_kwargs()``, so that no row is missed and none is exported twice.

    The type of ``start`` and ``end`` decides:

    - **Date-times** (aware datetimes, or ISO 8601 date-times with a time zone), for activities: from ``start`` up to
      ``end``, which is exclusive. Each window's ``to_date`` is the next one's ``from_date``.
    - **Dates** (``date``, or ``YYYY-MM-DD``), for Data Explorer: from ``start`` to ``end``, both inclusive. Each
      window's ``from_date`` is the day after the previous ``to_date``.

    :param start: the start of the range
    :param end: the end of the range
    :param days: the maximum number of days of a window, from 1 to 31, the API's maximum
    :return: in order, ``{"from_date": …, "to_date": …}``, in the form that the operators accept. If ``start`` equals
        ``end``, date-times give no window, and dates give a window of one day.
    :raises ConnectifArgumentError: (a ``ValueError`` that Airflow does not retry) if one is a date and the other a
        date-time, if the end is before the start, or if ``days`` is out of range
    """
    with argument_errors():
        return _windows(start, end, days)


def _windows(start: str | date, end: str | date, days: int) -> list[dict[str, str]]:
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_DAYS:
        raise InvalidArgument("days", f"{days!r} is out of range; use an integer from 1 to {MAX_DAYS}.")
    first, last = _parse("start", start), _parse("end", end)
    if isinstance(first, datetime) != isinstance(last, datetime):
        raise InvalidArgument(
            "end",
            f"{end!s} and start, {start!s}, have different types; use two date-times with time zones, or two dates.",
        )
    if last < first:
        raise InvalidArgument("end", f"{end!s} is before start, {start!s}.")
    if isinstance(first, datetime) and isinstance(last, datetime):
        return _datetime_windows(first, last, timedelta(days=days))
    return _date_windows(first, last, days)


def _datetime_windows(first: datetime, last: datetime, step: timedelta) -> list[dict[str, str]]:
    # In UTC, where each day has 24 hours: the API counts this way, and daylight saving time would make a window longer.
    windows = []
    while first < last:
        end = min(first + step, last)
        windows.append({"from_date": first.isoformat(), "to_date": end.isoformat()})
        first = end
    return windows


def _date_windows(first: date, last: date, days: int) -> list[dict[str, str]]:
    windows = []
    while first <= last:
        end = min(first + timedelta(days=days - 1), last)
        windows.append({"from_date": first.isoformat(), "to_date": end.isoformat()})
        first = end + timedelta(days=1)
    return windows


def _parse(name: str, value: str | date) -> date:
    hint = "use a date-time with a time zone for activities, or a date (YYYY-MM-DD) for Data Explorer."
    has_no_time = is_date(value.strip()) if isinstance(value, str) else not isinstance(value, datetime)
    if isinstance(value, (str, date)) and has_no_time:
        return parse_date_argument(name, value, hint=hint)
    return parse_datetime_argument(name, value, hint=hint)
