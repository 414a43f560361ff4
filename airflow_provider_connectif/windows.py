# SPDX-License-Identifier: Apache-2.0
"""Long ranges of time cut into windows that one export can take."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.export_request import MAX_DAYS
from airflow_provider_connectif.api.timestamps import is_bare_date, parse_moment
from airflow_provider_connectif.tasks.arguments import check


def export_windows(start: str | date, end: str | date, days: int = MAX_DAYS) -> list[dict[str, str]]:
    """Cut a range into windows, for ``.expand_kwargs()``, so that no row is missed and none is read twice.

    Two kinds of range, told apart by what is given:

    - **Moments** (aware datetimes, or ISO 8601 date-times with a zone), for activities: from ``start`` up to
      ``end``. Each window's ``to_date`` is the next one's ``from_date``.
    - **Dates** (``date``, or ``YYYY-MM-DD``), for Data Explorer: from ``start`` to ``end``, both days included.
      Each window's ``from_date`` is the day after the previous ``to_date``.

    :param start: where the range begins.
    :param end: where it ends.
    :param days: the most days of a window, 1 to 31, the API's most.
    :return: in order, ``{"from_date": …, "to_date": …}``, written as the operators take them. Empty moments
        (``start`` equal to ``end``) give no window; equal dates give one of one day.
    :raises ConnectifArgumentError: (a ``ValueError`` that Airflow does not retry) where the two are not of one kind,
        the end is before the start, or ``days`` is out of range.
    """
    return check(_windows, start, end, days)  # type: ignore[no-any-return]


def _windows(start: str | date, end: str | date, days: int) -> list[dict[str, str]]:
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_DAYS:
        raise InvalidArgument("days", f"{days!r} is out of range; write a whole number from 1 to {MAX_DAYS}.")
    first, last = _read("start", start), _read("end", end)
    if isinstance(first, datetime) != isinstance(last, datetime):
        raise InvalidArgument(
            "end", f"{end!s} and start, {start!s}, are not of one kind; write two date-times with zones, or two dates."
        )
    if last < first:
        raise InvalidArgument("end", f"{end!s} is before start, {start!s}.")
    if isinstance(first, datetime) and isinstance(last, datetime):
        return _of_moments(first, last, timedelta(days=days))
    return _of_dates(first, last, days)


def _of_moments(first: datetime, last: datetime, step: timedelta) -> list[dict[str, str]]:
    # In UTC, where a day has 24 hours: the API counts so, and a change of the clocks would make a window longer.
    # As plain datetimes: Airflow's own (pendulum's) lose their zone on the way.
    first, last = (datetime.fromtimestamp(moment.timestamp(), timezone.utc) for moment in (first, last))
    windows = []
    while first < last:
        upto = min(first + step, last)
        windows.append({"from_date": first.isoformat(), "to_date": upto.isoformat()})
        first = upto
    return windows


def _of_dates(first: date, last: date, days: int) -> list[dict[str, str]]:
    windows = []
    while first <= last:
        upto = min(first + timedelta(days=days - 1), last)
        windows.append({"from_date": first.isoformat(), "to_date": upto.isoformat()})
        first = upto + timedelta(days=1)
    return windows


def _read(name: str, value: str | date) -> date:
    right = "write a date-time with a zone for activities, or a date (YYYY-MM-DD) for Data Explorer."
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value.strip()) if is_bare_date(value.strip()) else parse_moment(value)
        except ValueError:
            raise InvalidArgument(name, f"{value!r} is neither; {right}") from None
    if not isinstance(value, date):
        raise InvalidArgument(name, f"{value!r} is neither; {right}")
    if isinstance(value, datetime) and value.tzinfo is None:
        raise InvalidArgument(name, f"{value.isoformat()!r} names no time zone; {right}")
    return value
