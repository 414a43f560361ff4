# SPDX-License-Identifier: Apache-2.0
"""What an export is asked for with: checked before it is sent, recognised when the API reports it back.

The rules are the vendor's: which filter belongs to which type, dates by type, at most 31 days
(``docs/api.md`` says how surely each is known).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.timestamps import (
    is_bare_date,
    parse_moment,
    same_dates,
    same_moment,
    write_moment,
)

if TYPE_CHECKING:
    from airflow_provider_connectif.api.models import Export

CONTACTS = "contacts"
ACTIVITIES = "activities"
DATA_EXPLORER = "data-explorer"
CREATABLE_TYPES = (CONTACTS, ACTIVITIES, DATA_EXPLORER)

DELIMITERS = (",", ";")
DATE_FORMATS = ("ISO", "L", "LL", "LLL")
MAX_DAYS = 31

_VERSION = re.compile(r"v[0-9]+")
_DEFAULT_VERSION = "v1"

_BELONGS_TO = {
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


def nothing_is_unknown(value: object) -> bool:
    """Every value is there already: what :func:`check_request` assumes."""
    return False


def check_request(arguments: Mapping[str, Any], *, is_unknown: Callable[[object], bool] = nothing_is_unknown) -> None:
    """Refuse arguments that the API would refuse, or that would make an empty export for ever.

    :param arguments: ``export_type`` and the other fields of :class:`ExportRequest`, by name.
    :param is_unknown: tells of a value that it is not known yet (a template, another task's result): what
        rests on it is not checked.
    :raises InvalidArgument: for the first argument that is wrong.
    """
    export_type = arguments.get("export_type")
    if not is_unknown(export_type):
        _one_of("export_type", export_type, CREATABLE_TYPES)
        _check_belonging(str(export_type), arguments, is_unknown)
    for name in ("segment_id", "report_id"):
        if arguments.get(name) is not None and not is_unknown(arguments[name]):
            _check_id(name, arguments[name])
    _check_activity_types(arguments.get("activity_types"), is_unknown)
    if not is_unknown(arguments.get("delimiter", ",")):
        _one_of("delimiter", arguments.get("delimiter", ","), DELIMITERS)
    if not is_unknown(arguments.get("date_format", "ISO")):
        _one_of("date_format", arguments.get("date_format", "ISO"), DATE_FORMATS)
    version = arguments.get("version")
    if not (version is None or is_unknown(version) or _is_version(version)):
        raise InvalidArgument("version", f"{version!r} is no version; write v and a number, such as 'v5'.")
    if not is_unknown(export_type):
        _check_dates(str(export_type), arguments.get("from_date"), arguments.get("to_date"), is_unknown)


@dataclass(frozen=True)
class ExportRequest:
    """A request that the API can be sent. Make one with :meth:`of`, which checks it.

    ``from_date`` and ``to_date`` are as they are sent: UTC date-times for activities, bare dates for Data
    Explorer.
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
        """Check the arguments and make the request.

        :param export_type: ``contacts``, ``activities`` or ``data-explorer``.
        :param segment_id: only contacts in this segment (contacts and activities).
        :param from_date: beginning: an aware datetime or ISO 8601 date-time for activities; a date or
            ``YYYY-MM-DD`` for Data Explorer, in the account's time zone.
        :param to_date: end, as ``from_date``; for Data Explorer the day itself is included. At most 31 days
            later.
        :param activity_types: such as ``["purchase", "login"]``; None for all (activities).
        :param report_id: the Data Explorer report.
        :param delimiter: ``,`` or ``;``.
        :param date_format: ``ISO``, ``L``, ``LL`` or ``LLL`` (contacts and activities).
        :param version: the vendor's version of the columns, such as ``v5``; None for the vendor's default,
            ``v1``.
        :raises InvalidArgument: naming the argument, what is wrong with it, and what would be right.
        """
        if isinstance(activity_types, Iterator):
            activity_types = tuple(activity_types)
        arguments = {
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
        write = _write_date if export_type == DATA_EXPLORER else _write_date_time
        return cls(
            export_type=export_type,
            segment_id=segment_id,
            from_date=None if from_date is None else write("from_date", from_date),
            to_date=None if to_date is None else write("to_date", to_date),
            activity_types=None if activity_types is None else tuple(activity_types),
            report_id=report_id,
            delimiter=delimiter,
            date_format=date_format,
            version=version,
        )

    @property
    def path(self) -> str:
        """The path that this type is created at."""
        return "/exports/type/data-explorer" if self.export_type == DATA_EXPLORER else "/exports"

    def body(self) -> dict[str, Any]:
        """The JSON that is sent. It is also what :meth:`from_body` reads."""
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
        """Read a request back from the JSON that was recorded of it."""
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

    def asks_for(self, export: Export) -> bool:
        """Tell whether an export is an answer to this very request, as far as the API reports it.

        An export whose maker was a person in the application never is.
        """
        if export.export_type != self.export_type or export.made_in_application:
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
            return same_dates((self.from_date or "", self.to_date or ""), reported)
        if export.date_format is not None and export.date_format != self.date_format:
            return False
        if export.version is not None and export.version != (self.version or _DEFAULT_VERSION):
            return False
        if self.export_type == ACTIVITIES:
            return same_moment(self.from_date or "", reported[0]) and same_moment(self.to_date or "", reported[1])
        return True


def _is_version(value: object) -> bool:
    return isinstance(value, str) and _VERSION.fullmatch(value) is not None


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidArgument(name, f"{value!r} is not one of {', '.join(map(repr, allowed))}.")


def _check_id(name: str, value: object) -> None:
    if not isinstance(value, str) or not value or any(ch.isspace() or not ch.isprintable() for ch in value):
        raise InvalidArgument(
            name, f"{value!r} is no identifier; copy it from the address bar of the Connectif application."
        )


def _check_belonging(export_type: str, arguments: Mapping[str, Any], is_unknown: Callable[[object], bool]) -> None:
    for name, types in _BELONGS_TO.items():
        if export_type not in types and arguments.get(name) is not None:
            raise InvalidArgument(
                name,
                f"does not go with export_type={export_type!r}, only with {' and '.join(map(repr, types))}.",
            )
    date_format = arguments.get("date_format", "ISO")
    if export_type == DATA_EXPLORER and not is_unknown(date_format) and date_format != "ISO":
        raise InvalidArgument("date_format", "does not go with export_type='data-explorer'; leave it out.")
    for name in _REQUIRED[export_type]:
        if arguments.get(name) is None:
            raise InvalidArgument(name, f"is missing; export_type={export_type!r} needs it.")


def _check_activity_types(value: object, is_unknown: Callable[[object], bool]) -> None:
    if value is None or is_unknown(value):
        return
    right = "write a list of names, such as ['purchase', 'login'], or leave it out for all types."
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InvalidArgument("activity_types", f"{value!r} is no list; {right}")
    items = list(value)
    if not items:
        raise InvalidArgument("activity_types", f"is empty; {right}")
    for item in items:
        if not is_unknown(item) and (not isinstance(item, str) or not item.strip()):
            raise InvalidArgument("activity_types", f"holds {item!r}, which is no name; {right}")


def _check_dates(export_type: str, from_date: object, to_date: object, is_unknown: Callable[[object], bool]) -> None:
    if export_type == CONTACTS:
        return
    read = _read_date if export_type == DATA_EXPLORER else _read_date_time
    start = None if from_date is None or is_unknown(from_date) else read("from_date", from_date)
    end = None if to_date is None or is_unknown(to_date) else read("to_date", to_date)
    if start is None or end is None:
        return
    if export_type == ACTIVITIES and end == start:
        raise InvalidArgument(
            "to_date",
            f"is the same moment as from_date ({from_date}): the export would be empty for ever. If they come "
            "from data_interval_start and data_interval_end, the DAG has no data interval: "
            'schedule="@daily" gives none in Airflow 3; write '
            'schedule=CronDataIntervalTimetable("@daily", timezone="UTC").',
        )
    if end < start:
        raise InvalidArgument("to_date", f"{to_date} is before from_date, {from_date}.")
    if end - start > timedelta(days=MAX_DAYS):
        raise InvalidArgument(
            "to_date",
            f"{to_date} is more than {MAX_DAYS} days after from_date, {from_date}, the API's most; make one "
            "export for each window with export_windows() and .expand_kwargs().",
        )


def _read_date_time(name: str, value: object) -> datetime:
    right = "write a date-time with a zone, such as '2026-11-01T00:00:00+00:00'."
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str) and not is_bare_date(value.strip()):
        try:
            moment = parse_moment(value)
        except ValueError:
            raise InvalidArgument(name, f"{value!r} is no ISO 8601 date-time; {right}") from None
    else:
        raise InvalidArgument(name, f"{str(value)!r} is no date-time; {right}")
    if moment.tzinfo is None:
        raise InvalidArgument(name, f"{str(value)!r} names no time zone; {right}")
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidArgument(name, f"{str(value)!r} is outside of the calendar; {right}") from None


def _read_date(name: str, value: object) -> date:
    right = "Data Explorer takes a bare date in the account's time zone, such as '2026-11-01' or '{{ ds }}'."
    if isinstance(value, datetime) or not isinstance(value, (str, date)):
        raise InvalidArgument(name, f"{str(value)!r} is not a bare date; {right}")
    if isinstance(value, date):
        return value
    if not is_bare_date(value.strip()):
        raise InvalidArgument(name, f"{value!r} is not a bare date; {right}")
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise InvalidArgument(name, f"{value!r} is no day of the calendar; {right}") from None


def _write_date_time(name: str, value: object) -> str:
    return write_moment(_read_date_time(name, value))


def _write_date(name: str, value: object) -> str:
    return _read_date(name, value).isoformat()
