# SPDX-License-Identifier: Apache-2.0
"""Checks for arguments that a DAG author or a caller gives."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.timestamps import parse_moment


def parse_datetime_argument(name: str, value: object) -> datetime:
    """Return a date-time argument as a plain datetime in UTC.

    :param name: the argument's name, for the error message
    :param value: an aware datetime, or an ISO 8601 date-time with a time zone
    :raises InvalidArgument: if it is anything else
    """
    hint = "use a date-time with a time zone, such as '2026-11-01T00:00:00+00:00'"
    moment = value
    if isinstance(value, str):
        try:
            moment = parse_moment(value)
        except ValueError:
            raise InvalidArgument(name, f"{value!r} is not an ISO 8601 date-time; {hint}.") from None
    if not isinstance(moment, datetime):
        raise InvalidArgument(name, f"{str(value)!r} is not a date-time; {hint}.")
    if moment.tzinfo is None:
        raise InvalidArgument(name, f"{str(value)!r} has no time zone; {hint}.")
    try:
        utc = moment.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidArgument(name, f"{str(value)!r} is out of range; {hint}.") from None
    # Airflow's datetimes are pendulum's, whose arithmetic differs.
    return datetime.combine(utc.date(), utc.time(), timezone.utc)
