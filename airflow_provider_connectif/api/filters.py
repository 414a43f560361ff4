# SPDX-License-Identifier: Apache-2.0
"""Selecting exports by their fields.

The API's list has no documented filters and no documented order, so a selection reads the whole list. Exports arrive
page by page; only those that are selected are kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_connectif.api.argument_checks import parse_datetime_argument
from airflow_provider_connectif.api.file_names import has_name, title_of
from airflow_provider_connectif.api.models import Export

# A deferred task's trigger carries these, whether they are set or not.
_SERIALIZED_FIELDS = ("export_type", "created_after", "origin", "report_id", "segment_id")


@dataclass(frozen=True)
class ExportFilter:
    """Describes exports by their fields; ``None`` matches any value.

    :param export_type: the type, such as ``data-explorer``
    :param created_after: only exports created after this aware datetime
    :param origin: ``api`` or ``app`` (the application)
    :param report_id: the Data Explorer report
    :param segment_id: the segment
    :param status: the status, such as ``finished``
    :param finished_after: only exports that finished after this aware datetime
    :param failed: whether the export failed, whatever the API calls that (``error``, ``cancelled``, …)
    :param file_name: the file's name, as :func:`~airflow_provider_connectif.api.file_names.has_name` reads it
    """

    export_type: str | None = None
    created_after: datetime | None = None
    origin: str | None = None
    report_id: str | None = None
    segment_id: str | None = None
    status: str | None = None
    finished_after: datetime | None = None
    file_name: str | None = None
    failed: bool | None = None

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> ExportFilter:
        """Create a filter from an operator's arguments, or from what :meth:`as_arguments` returned.

        :param arguments: by name; datetimes as aware datetimes or as ISO 8601 strings with a time zone
        :raises InvalidArgument: if a datetime is invalid or has no time zone
        """
        datetimes = {
            name: parse_datetime_argument(name, arguments[name])
            for name in ("created_after", "finished_after")
            if arguments.get(name) is not None
        }
        return cls(**{**arguments, **datetimes})

    def as_arguments(self) -> dict[str, Any]:
        """Return JSON-serializable arguments from which :meth:`from_arguments` creates an equal filter."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in vars(self).items()
            if value is not None or name in _SERIALIZED_FIELDS
        }

    def matches(self, export: Export) -> bool:
        """Return whether an export has all the fields that this filter asks for."""
        return (
            self.export_type in (None, export.export_type)
            and self.report_id in (None, export.report_id)
            and self.segment_id in (None, export.segment_id)
            and self.failed in (None, export.failed)
            and _has_origin(export, self.origin)
            and _equals_ignoring_case(self.status, export.status)
            and _is_after(self.created_after, export.created_at)
            and _is_after(self.finished_after, _finished_at(export))
            and (self.file_name is None or has_name(export.file_name, self.file_name))
        )

    def __str__(self) -> str:
        given = {name: value for name, value in vars(self).items() if value is not None}
        return ", ".join(f"{name}={value}" for name, value in given.items()) or "any export"


def _equals_ignoring_case(wanted: str | None, actual: str | None) -> bool:
    return wanted is None or (actual or "").casefold() == wanted.casefold()


def _has_origin(export: Export, wanted: str | None) -> bool:
    # How the API spells the application is not known.
    from_application = wanted is not None and wanted.casefold() == "app" and export.created_in_application
    return from_application or _equals_ignoring_case(wanted, export.origin)


def _is_after(limit: datetime | None, actual: datetime | None) -> bool:
    return limit is None or (actual is not None and actual > limit)


def _finished_at(export: Export) -> datetime | None:
    """Return when an export finished; if the API omits that for a finished export, when it was created."""
    return export.finished_at or (export.created_at if export.finished else None)


def _title(export: Export) -> str | None:
    return title_of(export.file_name, export.file_extension) if export.file_name else None


_GROUP_KEYS: Mapping[str, Callable[[Export], str | None]] = {
    "report_id": lambda export: export.report_id,
    "export_type": lambda export: export.export_type,
    "file_name": _title,
}

#: What :func:`latest_of_each` can group exports by.
LATEST_PER = tuple(_GROUP_KEYS)


def select(exports: Iterable[Export], export_filter: ExportFilter, *, latest_per: str | None = None) -> list[Export]:
    """Return the exports that a filter matches, oldest first.

    :param exports: the whole list, in any order
    :param export_filter: which exports to select
    :param latest_per: one of :data:`LATEST_PER`: return only the newest matching export of each group; ``None``
        returns all of them
    """
    matching: Iterable[Export] = filter(export_filter.matches, exports)
    if latest_per is not None:
        matching = latest_of_each(matching, latest_per)
    return sorted(matching, key=creation_key)


def creation_key(export: Export) -> tuple[bool, float, str]:
    """Return a key that sorts exports by their creation, oldest first."""
    created = export.created_at
    return created is not None, created.timestamp() if created else 0.0, export.id


def latest_of_each(exports: Iterable[Export], per: str) -> Iterator[Export]:
    """Yield the most recently created export of each group.

    An export without the grouping field (a file name, a report) forms a group by itself.

    :param exports: in any order
    :param per: ``report_id``, ``export_type``, or ``file_name``: the whole name without what the vendor appends
    """
    group_of = _GROUP_KEYS[per]
    newest: dict[str, Export] = {}
    for export in exports:
        group = group_of(export)
        if group is None:
            yield export
        elif group not in newest or creation_key(export) > creation_key(newest[group]):
            newest[group] = export
    yield from newest.values()
