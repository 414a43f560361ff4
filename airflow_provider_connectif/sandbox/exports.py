# SPDX-License-Identifier: Apache-2.0
"""An export: its lifecycle, which follows the clock, and its resource as the vendor documents it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_connectif.sandbox.archives import FileBlob, FileSpec
from airflow_provider_connectif.sandbox.data import DataSpec
from airflow_provider_connectif.sandbox.options import SandboxOptions
from airflow_provider_connectif.sandbox.timestamps import iso, parse_any, parse_date

_ROW_BYTES = 150
_TITLES = ("Purchases", "V! Carrito", "V! Carrito abandonado", "Ventas por categoría", "Products seen")


@dataclass
class Export:
    """An export.

    :param number: sequence number, which orders exports that were created at the same time
    :param options: the options at its creation, which determine its data
    :param own_timing: whether those options determine its timing too, instead of the current ones
    :param finish_at: when it ends, if that was requested
    :param not_before: the earliest time at which it may end: the last time its timing options were changed
    """

    id: str
    number: int
    created_at: float
    origin: str
    export_type: str
    delimiter: str
    date_format: str
    version: str
    filters: dict[str, Any]
    options: SandboxOptions
    fails: bool = False
    title: str = ""
    own_timing: bool = False
    finish_at: float | None = None
    not_before: float = 0.0
    ended_at: float | None = None
    reads_when_finished: int = 0
    revision: int = 0
    file: FileBlob | None = None
    bytes_sent: int = 0
    cuts: int = 0
    changed: bool = False
    file_changed_at: float | None = None
    spec: FileSpec = field(init=False)

    def __post_init__(self) -> None:
        self.spec = _file_spec(self)

    @property
    def status_kind(self) -> str:
        """The status of the export once it has ended: ``finished`` or ``error``."""
        return "error" if self.fails else "finished"

    def start_and_end(self, options: SandboxOptions) -> tuple[float, float]:
        """Return the times at which it leaves the queue and at which it ends."""
        timing = self.options if self.own_timing else options
        start = self.created_at + timing.queue_seconds
        if self.finish_at is not None:
            return min(start, self.finish_at), self.finish_at
        return start, max(start + timing.seconds_per_export, self.not_before)

    def settle(self, options: SandboxOptions, now: float) -> None:
        """Record that it has ended, if it has, so that a change of the options no longer affects that."""
        if self.ended_at is None:
            _, end = self.start_and_end(options)
            if now >= end:
                self.ended_at = end

    def status(self, options: SandboxOptions, now: float) -> str:
        """Return ``queued``, ``inProgress``, ``finished`` or ``error``."""
        self.settle(options, now)
        if self.ended_at is not None:
            return self.status_kind
        start, _ = self.start_and_end(options)
        return "queued" if now < start else "inProgress"

    def resource(self, options: SandboxOptions, now: float, file_url: str) -> dict[str, Any]:
        """Return the documented resource, with exactly the documented fields.

        :param file_url: a signed URL created for this request
        """
        status = self.status(options, now)
        shown = {"error": options.error_status, "inProgress": options.unknown_status or "inProgress"}
        body: dict[str, Any] = {
            "id": self.id,
            "createdAt": iso(self.created_at),
            "exportType": self.export_type,
            "origin": self.origin,
            "status": shown.get(status, status),
            "dateFormat": self.date_format,
            "delimiter": self.delimiter,
            "version": self.version,
        }
        if self.filters:
            body["filters"] = self.filters
        if self.ended_at is not None and not (status == "error" and options.hide_finished_at_of_failed):
            body["finishedAt"] = iso(self.ended_at)
        if not options.hide_progress and status != "queued":
            total = self.total
            body["progress"] = total if status == "finished" else self._done(options, now)
            body["total"] = total
        if status == "finished" or (status == "inProgress" and options.file_url_in_progress):
            body["fileName"] = self.file_name
            body["fileExtension"] = self.extension
            if status == "finished":
                self.reads_when_finished += 1
            if status != "finished" or self.reads_when_finished > options.reads_without_file_url:
                body["fileUrl"] = file_url
        return body

    @property
    def total(self) -> int:
        """The number of items, which is an estimate if the options set the file's size."""
        if self.spec.data.start >= self.spec.data.end:
            return 0
        return self.options.file_bytes // _ROW_BYTES or self.options.rows

    def _done(self, options: SandboxOptions, now: float) -> int:
        start, end = self.start_and_end(options)
        # A failed export stopped somewhere: halfway is as good as anywhere.
        share = 0.5 if self.ended_at is not None else (now - start) / (end - start) if end > start else 0.0
        return min(int(self.total * max(share, 0.0)), self.total)

    @property
    def extension(self) -> str:
        """The file's extension."""
        return "csv" if self.options.archive == "csv" else "zip"

    @property
    def file_name(self) -> str:
        """The file's name as the API reports it: in lower case, unlike the names in the archive."""
        name = self.spec.base_name.lower()
        return f"{name}.{self.extension}" if self.options.file_name_extension else name


def report_filters(filters: Mapping[str, Any], style: str) -> dict[str, Any]:
    """Return the filters as the API reports them.

    :param style: the ``filter_dates`` option
    """
    reported = dict(filters)
    for name in ("fromDate", "toDate"):
        text = reported.get(name)
        bare = text is not None and parse_date(text) is not None
        if text is not None and (style == "date-time" or (style == "normal" and not bare)):
            reported[name] = iso(parse_any(text).timestamp())
    return reported


def _file_spec(export: Export) -> FileSpec:
    options = export.options
    start, end = _dates(export)
    columns = _of_report(export, options.report_columns)
    return FileSpec(
        data=DataSpec(
            export_id=export.id,
            export_type=export.export_type,
            version=int(export.version.removeprefix("v")),
            date_format=export.date_format,
            start=start,
            end=end,
            activity_types=tuple(export.filters.get("activityTypes") or ()),
            rows=options.rows,
            revision=export.revision,
            contact_fields=options.contact_fields,
            report_columns=tuple(columns.split(",")) if columns else (),
        ),
        base_name=_base_name(export),
        delimiter=export.delimiter,
        file_bytes=options.file_bytes,
        bom=options.bom,
        crlf=options.crlf,
        archive=options.archive,
        stored=options.stored,
        zip64=options.zip64,
        damage=options.damage,
    )


def _dates(export: Export) -> tuple[datetime, datetime]:
    """Return the start of the data's period (inclusive) and its end (exclusive)."""
    created = datetime.fromtimestamp(export.created_at, timezone.utc)
    start, end = export.filters.get("fromDate"), export.filters.get("toDate")
    first = parse_any(start) if start else created - timedelta(days=365)
    last = parse_any(end) if end else created
    if export.export_type == "data-explorer" and end:
        last += timedelta(days=1)  # both days are inclusive
    return first, last


def _base_name(export: Export) -> str:
    unique = uuid.UUID(bytes=hashlib.sha256(export.id.encode()).digest()[:16], version=4)
    if export.export_type != "data-explorer":
        return f"export-{export.export_type}-{unique}"
    report = export.filters.get("reportId", "")
    default = _TITLES[hashlib.sha256(report.encode()).digest()[0] % len(_TITLES)]
    title = export.title or _of_report(export, export.options.report_titles) or default
    dates = [export.filters[name] for name in ("fromDate", "toDate") if name in export.filters]
    days = [f"{parse_any(text):%Y%m%d}" for text in dates]
    return "-".join([title, *days, str(unique)])


def _of_report(export: Export, entries: Iterable[str]) -> str:
    """Return what entries of the form ``ID=TEXT`` say of an export's report; empty if nothing."""
    return dict(entry.split("=", 1) for entry in entries if "=" in entry).get(export.filters.get("reportId", ""), "")
