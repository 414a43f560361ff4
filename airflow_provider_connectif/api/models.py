# SPDX-License-Identifier: Apache-2.0
"""An export, as the API describes it. Missing, additional and invalid fields are tolerated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone, tzinfo
from typing import Any

from airflow_provider_connectif.api.errors import UnexpectedResponse
from airflow_provider_connectif.api.file_names import without_extension
from airflow_provider_connectif.api.timestamps import is_date, parse_timestamp_or_none

CONTACTS = "contacts"
ACTIVITIES = "activities"
DATA_EXPLORER = "data-explorer"

FINISHED = "finished"

# "error" has been observed, "cancelled" is documented for the related Import resource, and the others are likely.
FAILED_STATUSES = frozenset({"error", "failed", "cancelled", "canceled"})
WAITING_STATUSES = frozenset({"queued", "inprogress"})


@dataclass(frozen=True, slots=True)
class Export:
    """An export (the vendor's Export resource).

    Only ``id`` and ``status`` are always present. ``file_url`` is a signed URL with which anyone can read the file: it
    is omitted from ``repr()`` and from :meth:`describe`, and differs in every response.
    """

    id: str
    status: str
    export_type: str | None = None
    origin: str | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None
    progress: int | None = None
    total: int | None = None
    file_name: str | None = None
    file_extension: str | None = None
    delimiter: str | None = None
    date_format: str | None = None
    version: str | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    file_url: str | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_json(cls, body: object) -> Export:
        """Create an export from the resource.

        :param body: the decoded JSON
        :raises UnexpectedResponse: if it is not an object with an ``id`` and a ``status``
        """
        if not isinstance(body, Mapping):
            raise UnexpectedResponse(f"The API described an export as {type(body).__name__}, not as an object.")
        export_id, status = body.get("id"), body.get("status")
        if not isinstance(export_id, str) or not export_id or not isinstance(status, str):
            raise UnexpectedResponse("The API described an export without an id or without a status.")
        filters = body.get("filters")
        return cls(
            id=export_id,
            status=status,
            export_type=_text(body.get("exportType")),
            origin=_text(body.get("origin")),
            created_at=parse_timestamp_or_none(body.get("createdAt")),
            finished_at=parse_timestamp_or_none(body.get("finishedAt")),
            progress=_number(body.get("progress")),
            total=_number(body.get("total")),
            file_name=_text(body.get("fileName")),
            file_extension=_text(body.get("fileExtension")),
            delimiter=_text(body.get("delimiter")),
            date_format=_text(body.get("dateFormat")),
            version=_text(body.get("version")),
            filters=dict(filters) if isinstance(filters, Mapping) else {},
            file_url=_text(body.get("fileUrl")),
        )

    @property
    def finished(self) -> bool:
        """Whether the file is complete."""
        return self.status.casefold() == FINISHED

    @property
    def failed(self) -> bool:
        """Whether the export failed or was cancelled."""
        return self.status.casefold() in FAILED_STATUSES

    @property
    def status_is_known(self) -> bool:
        """Whether this package knows the status; any other status means that the export is not finished yet."""
        return self.finished or self.failed or self.status.casefold() in WAITING_STATUSES

    @property
    def report_id(self) -> str | None:
        """The id of the Data Explorer report that is exported."""
        return _text(self.filters.get("reportId"))

    @property
    def segment_id(self) -> str | None:
        """The id of the segment to which the export is limited."""
        return _text(self.filters.get("segmentId"))

    @property
    def file_stem(self) -> str | None:
        """The file's name without its extension."""
        return without_extension(self.file_name, self.file_extension) if self.file_name else None

    def filter_date(self, name: str, zone: tzinfo = timezone.utc) -> date | datetime | None:
        """Return a date of the filters; those of Data Explorer are days of the account, however they are written.

        :param name: ``fromDate`` or ``toDate``
        :param zone: the time zone of the days that are written as date-times
        """
        value = self.filters.get(name)
        if isinstance(value, str) and is_date(value):
            return date.fromisoformat(value)
        found = parse_timestamp_or_none(value)
        if found is None or self.export_type != DATA_EXPLORER:
            return found
        utc = found.astimezone(timezone.utc)
        return utc.date() if (utc.hour, utc.minute) == (0, 0) else found.astimezone(zone).date()

    @property
    def created_in_application(self) -> bool:
        """Whether it was created in the application. (That ``origin`` is ``api`` or ``app`` is inferred.)"""
        return self.origin is not None and self.origin.casefold() in {"app", "application"}

    def describe(self) -> dict[str, Any]:
        """Return all fields but the signed URL, by the API's names, as JSON-serializable values."""
        fields = {
            "id": self.id,
            "exportType": self.export_type,
            "origin": self.origin,
            "status": self.status,
            "createdAt": self.created_at.isoformat() if self.created_at else None,
            "finishedAt": self.finished_at.isoformat() if self.finished_at else None,
            "fileName": self.file_name,
            "fileExtension": self.file_extension,
            "delimiter": self.delimiter,
            "dateFormat": self.date_format,
            "version": self.version,
            "filters": dict(self.filters) or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def describe_progress(self) -> str:
        """Return the progress in words, such as ``inProgress, 120 of 400 (30%)``."""
        if self.progress is None:
            return self.status
        if not self.total:
            return f"{self.status}, {self.progress} done"
        return f"{self.status}, {self.progress} of {self.total} ({100 * self.progress // self.total}%)"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return int(value)
