# SPDX-License-Identifier: Apache-2.0
"""The request for a new export: checked before it is sent, and compared with the exports that the API reports.

The rules are the vendor's: which argument each type takes, the form of its dates, at most 31 days
(``docs/api.md`` says how certain each rule is).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from airflow_provider_connectif.api.argument_checks import (
    UNKNOWN,
    check_id,
    check_not_missing,
    check_one_of,
    check_spelling,
    parse_date_argument,
    parse_datetime_argument,
)
from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.models import ACTIVITIES, CONTACTS, DATA_EXPLORER, Export
from airflow_provider_connectif.api.timestamps import format_timestamp, is_same_date_range, is_same_second

CREATABLE_TYPES = (CONTACTS, ACTIVITIES, DATA_EXPLORER)

DELIMITERS = (",", ";")
DATE_FORMATS = ("ISO", "L", "LL", "LLL")
MAX_DAYS = 31

# For completion in editors. The arguments also accept other strings, such as templates.
CreatableType = Literal["contacts", "activities", "data-explorer"]
Delimiter = Literal[",", ";"]
DateFormat = Literal["ISO", "L", "LL", "LLL"]

_VERSION = re.compile(r"v[1-9][0-9]*")
_DEFAULT_VERSION = "v1"
# Others may exist: these are only used to recognize misspelled ones.
_ACTIVITY_TYPES = ("purchase", "login", "register", "contact-created", "contact-merged")
_ID_SOURCE = "copy the id from the address bar of the Connectif application"

_SUPPORTED_TYPES = {
    "segment_id": (CONTACTS, ACTIVITIES),
    "from_date": (ACTIVITIES, DATA_EXPLORER),
    "to_date": (ACTIVITIES, DATA_EXPLORER),
    "activity_types": (ACTIVITIES,),
    "report_id": (DATA_EXPLORER,),
    "version": (CONTACTS, ACTIVITIES),
}
_REQUIRED = {
    CONTACTS: (),
    ACTIVITIES: ("from_date", "to_date"),
    DATA_EXPLORER: ("report_id", "from_date", "to_date"),
}


@dataclass(frozen=True)
class ExportRequest:
    """A request for a new export. Create one with :meth:`of`, which checks the arguments.

    ``from_date`` and ``to_date`` have the form in which they are sent: UTC date-times for activities, dates
    without a time for Data Explorer.
    """

    export_type: str
    segment_id: str | None = None
    from_date: str | None = None
    to_date: str | None = None
    activity_types: tuple[str, ...] | None = None
    report_id: str | None = None
    delimiter: str = ","
    date_format: str = "ISO"
    version: str | None = None

    @classmethod
    def of(
        cls,
        export_type: str,
        *,
        segment_id: str | None = None,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        activity_types: Iterable[str] | None = None,
        report_id: str | None = None,
        delimiter: str = ",",
        date_format: str = "ISO",
        version: str | None = None,
    ) -> ExportRequest:
        """Check the arguments and create the request.

        :param export_type: ``contacts``, ``activities`` or ``data-explorer``
        :param segment_id: only contacts in this segment (contacts and activities)
        :param from_date: the start: for activities an aware datetime or an ISO 8601 date-time with a time zone; for
            Data Explorer a date or ``YYYY-MM-DD``, in the account's time zone
        :param to_date: the end, in the same form, at most 31 days later; exclusive for activities, inclusive for
            Data Explorer
        :param activity_types: such as ``["purchase", "login"]``; ``None`` exports all types (activities)
        :param report_id: the Data Explorer report
        :param delimiter: ``,`` or ``;``
        :param date_format: ``ISO``, ``L``, ``LL`` or ``LLL`` (contacts and activities)
        :param version: the vendor's version of the columns, such as ``v5``; ``None`` uses the vendor's default, ``v1``
            (contacts and activities)
        :raises InvalidArgument: with the argument's name, what is wrong with it, and what to use instead
        """
        if isinstance(activity_types, Iterator):
            activity_types = tuple(activity_types)
        arguments: dict[str, Any] = {
            "export_type": export_type,
            "segment_id": segment_id,
            "from_date": from_date,
            "to_date": to_date,
            "activity_types": activity_types,
            "report_id": report_id,
            "delimiter": delimiter,
            "date_format": date_format,
            "version": version,
        }
        check_request(arguments)
        for name in ("from_date", "to_date"):
            arguments[name] = _format_date(export_type, name, arguments[name])
        return cls(**{**arguments, "activity_types": None if activity_types is None else tuple(activity_types)})

    @property
    def path(self) -> str:
        """The path of the endpoint that creates this type."""
        return "/exports/type/data-explorer" if self.export_type == DATA_EXPLORER else "/exports"

    def body(self) -> dict[str, Any]:
        """Return the JSON body that is sent; :meth:`from_body` creates an equal request from it."""
        filters: dict[str, Any] = {
            "segmentId": self.segment_id,
            "fromDate": self.from_date,
            "toDate": self.to_date,
            "activityTypes": None if self.activity_types is None else list(self.activity_types),
            "reportId": self.report_id,
        }
        filters = {name: value for name, value in filters.items() if value is not None}
        if self.export_type == DATA_EXPLORER:
            return {"delimiter": self.delimiter, "filters": filters}
        body: dict[str, Any] = {
            "exportType": self.export_type,
            "delimiter": self.delimiter,
            "dateFormat": self.date_format,
            "filters": filters,
        }
        if self.version is not None:
            body["version"] = self.version
        return body

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ExportRequest:
        """Create a request from the JSON body that :meth:`body` returned."""
        filters = body.get("filters") or {}
        activity_types = filters.get("activityTypes")
        return cls(
            export_type=body.get("exportType", DATA_EXPLORER),
            segment_id=filters.get("segmentId"),
            from_date=filters.get("fromDate"),
            to_date=filters.get("toDate"),
            activity_types=None if activity_types is None else tuple(activity_types),
            report_id=filters.get("reportId"),
            delimiter=body.get("delimiter", ","),
            date_format=body.get("dateFormat", "ISO"),
            version=body.get("version"),
        )

    def matches(self, export: Export) -> bool:
        """Return whether this request may have created an export, judging by what the API reports about it.

        An export that was created in the application never matches.
        """
        if export.export_type != self.export_type or export.created_in_application:
            return False
        if export.delimiter is not None and export.delimiter != self.delimiter:
            return False
        if export.segment_id != self.segment_id or export.report_id != self.report_id:
            return False
        reported_types = export.filters.get("activityTypes")
        if not isinstance(reported_types, list):
            reported_types = []
        if {str(name) for name in reported_types} != set(self.activity_types or ()):
            return False
        reported = export.filters.get("fromDate"), export.filters.get("toDate")
        if self.export_type == DATA_EXPLORER:
            return is_same_date_range((self.from_date or "", self.to_date or ""), reported)
        if export.date_format is not None and export.date_format != self.date_format:
            return False
        if export.version is not None and export.version != (self.version or _DEFAULT_VERSION):
            return False
        if self.export_type == ACTIVITIES:
            return is_same_second(self.from_date or "", reported[0]) and is_same_second(self.to_date or "", reported[1])
        return True


def check_request(arguments: Mapping[str, Any]) -> None:
    """Check the arguments of a request: the API would reject a wrong one, or create an export that is always empty.

    :param arguments: ``export_type`` and the other fields of :class:`ExportRequest`, by name. What depends on a value
        that is :data:`~airflow_provider_connectif.api.argument_checks.UNKNOWN` is not checked.
    :raises InvalidArgument: for the first argument that is wrong
    """
    export_type = arguments.get("export_type")
    check_one_of("export_type", export_type, CREATABLE_TYPES)
    if export_type is not UNKNOWN:
        _check_combination(str(export_type), arguments)
    for name in ("segment_id", "report_id"):
        if arguments.get(name) is not None:
            check_id(name, arguments[name], source=_ID_SOURCE)
    _check_activity_types(arguments.get("activity_types"))
    check_one_of("delimiter", arguments.get("delimiter", ","), DELIMITERS)
    check_one_of("date_format", arguments.get("date_format", "ISO"), DATE_FORMATS)
    _check_version(arguments.get("version"))
    if export_type is not UNKNOWN:
        _check_dates(str(export_type), arguments.get("from_date"), arguments.get("to_date"))


def _is_given(value: object) -> bool:
    return value is not None and value is not UNKNOWN


def _check_combination(export_type: str, arguments: Mapping[str, Any]) -> None:
    for name, types in _SUPPORTED_TYPES.items():
        if export_type not in types and arguments.get(name) is not None:
            raise InvalidArgument(
                name, f"is not supported for export_type={export_type!r}, only for {' and '.join(map(repr, types))}."
            )
    date_format = arguments.get("date_format", "ISO")
    if export_type == DATA_EXPLORER and date_format is not UNKNOWN and date_format != "ISO":
        raise InvalidArgument("date_format", "is not supported for export_type='data-explorer'; omit it.")
    for name in _REQUIRED[export_type]:
        if arguments.get(name) is None:
            raise InvalidArgument(name, f"is missing; export_type={export_type!r} requires it.")


def _check_version(value: object) -> None:
    check_not_missing("version", value)
    if _is_given(value) and not (isinstance(value, str) and _VERSION.fullmatch(value)):
        raise InvalidArgument("version", f"{value!r} is not a version; use 'v' and a number, such as 'v5'.")


def _check_activity_types(value: object) -> None:
    if not _is_given(value):
        return
    hint = "use a list of names, such as ['purchase', 'login'], or omit it to export all types."
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InvalidArgument("activity_types", f"{value!r} is not a list; {hint}")
    items = list(value)
    if not items:
        raise InvalidArgument("activity_types", f"is an empty list; {hint}")
    for item in items:
        if item is UNKNOWN:
            continue
        if not isinstance(item, str) or not item.strip():
            raise InvalidArgument("activity_types", f"contains {item!r}, which is not a name; {hint}")
        check_spelling("activity_types", item, _ACTIVITY_TYPES)


def _check_dates(export_type: str, from_date: object, to_date: object) -> None:
    if export_type == CONTACTS:
        return
    start = _parse_date(export_type, "from_date", from_date) if _is_given(from_date) else None
    end = _parse_date(export_type, "to_date", to_date) if _is_given(to_date) else None
    if start is None or end is None:
        return
    if export_type == ACTIVITIES and end == start:
        raise InvalidArgument(
            "to_date",
            f"is the same time as from_date ({from_date}): the export would always be empty. If they are "
            "data_interval_start and data_interval_end, the DAG has no data interval: in Airflow 3, "
            'schedule="@daily" does not create one; use '
            'schedule=CronDataIntervalTimetable("@daily", timezone="UTC"). If both are partition_date, add the length '
            "of the partition to to_date, such as .add(days=1).",
        )
    if end < start:
        raise InvalidArgument("to_date", f"{to_date} is before from_date, {from_date}.")
    if end - start > timedelta(days=MAX_DAYS):
        raise InvalidArgument(
            "to_date",
            f"{to_date} is more than {MAX_DAYS} days after from_date, {from_date}, which is the API's maximum; "
            "create one export per window with export_windows() and .expand_kwargs().",
        )


def _parse_date(export_type: str, name: str, value: object) -> date:
    if export_type == DATA_EXPLORER:
        hint = (
            "use a date in the account's time zone, such as '2026-11-01' or "
            "\"{{ data_interval_start.in_timezone('Europe/Madrid').to_date_string() }}\" (in a partitioned run, "
            "partition_date instead of data_interval_start)."
        )
        return parse_date_argument(name, value, hint=hint)
    return parse_datetime_argument(name, value)


def _format_date(export_type: str, name: str, value: object) -> str | None:
    if value is None:
        return None
    parsed = _parse_date(export_type, name, value)
    return format_timestamp(parsed) if isinstance(parsed, datetime) else parsed.isoformat()
