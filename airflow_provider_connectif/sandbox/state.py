# SPDX-License-Identifier: Apache-2.0
"""The state of the sandbox: exports, options, faults and counts. Only the server's thread accesses it."""

from __future__ import annotations

import bisect
import dataclasses
import math
import random
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_connectif.sandbox.archives import FileBlob
from airflow_provider_connectif.sandbox.blobs import Blob, Run
from airflow_provider_connectif.sandbox.exports import Export, report_filters
from airflow_provider_connectif.sandbox.faults import Fault, FaultQueue
from airflow_provider_connectif.sandbox.hostility import random_fault
from airflow_provider_connectif.sandbox.options import SandboxOptions
from airflow_provider_connectif.sandbox.ratelimit import RateLimit
from airflow_provider_connectif.sandbox.stats import Stats
from airflow_provider_connectif.sandbox.timestamps import iso, parse_any

_DAY = 86400.0
_FILES_KEPT = 16
_SEEDS: Sequence[tuple[str, str]] = (
    ("contacts", "app"),
    ("activities", "api"),
    ("data-explorer", "api"),
    ("data-explorer", "app"),
    ("contacts", "api"),
    ("banner-stats", "app"),
)


class State:
    """The state of the sandbox.

    :param options: the initial options, which a reset restores
    :param clock: returns the time in epoch seconds
    """

    def __init__(self, options: SandboxOptions, clock: Callable[[], float]) -> None:
        self._initial_options = options
        self._clock = clock
        self._id_middle = secrets.token_hex(5)
        self._number = 0
        self.signing_key = secrets.token_bytes(32)
        self.reset()

    def reset(self) -> None:
        """Return to the initial state and options."""
        self.options = self._initial_options
        self.faults = FaultQueue()
        for text in self.options.faults:
            self.faults.add(Fault.from_text(text))
        self.rate_limit = RateLimit()
        self.stats = Stats()
        self.foreign_hosts: set[str] = set()
        self.random = random.Random(self.options.random_seed)
        self._exports: dict[str, Export] = {}
        self._in_order: list[tuple[float, int, str]] = []
        self._files: dict[tuple[str, int], FileBlob] = {}
        self._failures_due = 0.0
        self._seed()

    def now(self) -> float:
        """Return the server's time in epoch seconds, including the skew that the options set."""
        return self._clock() + self.options.clock_skew_seconds

    def change_options(self, changes: Mapping[str, Any]) -> None:
        """Change some options. Exports that have ended are not affected; others follow the new timing from now on.

        :raises ValueError: if a name or a value is not valid; then nothing is changed
        """
        options = self.options.changed(changes)
        faults = [Fault.from_text(text) for text in options.faults] if "faults" in changes else []
        now = self.now()
        for export in self._exports.values():
            export.settle(self.options, now)
            if export.ended_at is None and not export.own_timing:
                export.not_before = now
        self.options = options
        for fault in faults:
            self.faults.add(fault)
        if "random_seed" in changes:
            self.random = random.Random(options.random_seed)

    # --- exports ----------------------------------------------------------------------------------------

    def create(self, body: Mapping[str, Any], *, export_type: str, fails: bool = False) -> Export:
        """Create an export as ``POST`` does.

        :param body: the validated body of the request
        """
        export = self._add(
            export_type=export_type,
            origin="api",
            delimiter=body["delimiter"],
            date_format=body.get("dateFormat", "ISO"),
            version=body.get("version", "v1"),
            filters=report_filters(body.get("filters") or {}, self.options.filter_dates),
            fails=fails or self._should_fail(export_type),
        )
        self.stats.created_by_api += 1
        self.stats.created.append({"id": export.id, "createdAt": iso(export.created_at), "body": dict(body)})
        return export

    def create_in_app(self, body: Mapping[str, Any] | None = None) -> Export:
        """Create an export as the application does.

        :param body: any of ``exportType``, ``delimiter``, ``dateFormat``, ``version``, ``filters``, ``origin``,
            ``createdAt``, ``finishedAt``, ``title`` (of a report), ``fail`` (bool), ``options`` (for this export only)
        :raises ValueError: if a name or a value is not valid
        """
        body = dict(body or {})
        unknown = set(body) - _APP_FIELDS
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(_APP_FIELDS))}")
        overrides = body.get("options") or {}
        export_type = body.get("exportType", "contacts")
        finished_at = parse_any(body["finishedAt"]).timestamp() if "finishedAt" in body else None
        fails = body.get("fail")
        export = self._add(
            export_type=export_type,
            origin=body.get("origin", "app"),
            delimiter=body.get("delimiter", ","),
            date_format=body.get("dateFormat", "ISO"),
            version=body.get("version", f"v{self.options.newest_version}"),
            filters=report_filters(body.get("filters") or {}, self.options.filter_dates),
            fails=self._should_fail(export_type) if fails is None else bool(fails),
            created_at=parse_any(body["createdAt"]).timestamp() if "createdAt" in body else finished_at,
            finish_at=finished_at,
            title=body.get("title", ""),
            options=self.options.changed(overrides) if overrides else self.options,
            own_timing=bool({"queue_seconds", "seconds_per_export"} & set(overrides)),
        )
        self.stats.created_in_app += 1
        return export

    def end(self, export_id: str, *, fails: bool = False) -> Export | None:
        """Let an export finish or fail now, unless it has already ended."""
        export = self.get(export_id)
        if export is not None:
            now = self.now()
            export.settle(self.options, now)
            if export.ended_at is None:
                export.finish_at, export.fails = now, fails
                export.settle(self.options, now)
        return export

    def get(self, export_id: str) -> Export | None:
        """Return an export, or None if there is no such export."""
        return self._exports.get(export_id)

    def lags_behind(self, export: Export) -> bool:
        """Return whether the replica that handles a request does not know a new export yet."""
        lag = self.options.replica_lag
        lags = bool(lag) and self.now() < export.created_at + lag and self.random.random() < 0.5
        if lags:
            self.stats.count_fault("lag")
        return lags

    def take_fault(self, on: str, export_id: str) -> Fault | None:
        """Return the fault that applies to a request: the next one that is queued, or a random one; or None."""
        fault = self.faults.take(on, export_id)
        if fault is None and self.options.hostile_share and self.random.random() < self.options.hostile_share:
            fault = random_fault(on, self.random, self.now())
        return fault

    def delete(self, export_id: str) -> bool:
        """Delete an export, and return whether there was one."""
        export = self._exports.pop(export_id, None)
        if export is not None:
            self._in_order.remove((export.created_at, export.number, export.id))
        return export is not None

    def page(self, number: int, size: int) -> tuple[list[Export], bool]:
        """Return a page of the list, in the order that the options set, and whether there are more pages."""
        total = len(self._in_order)
        start = (number - 1) * size
        stop = min(start + size, total)
        if self.options.order == "shuffled":
            seed = self.options.random_seed
            entries = sorted(self._in_order, key=lambda entry: zlib.crc32(f"{seed}:{entry[2]}".encode()))[start:stop]
        elif self.options.order == "oldest":
            entries = self._in_order[start:stop]
        else:
            entries = self._in_order[max(total - stop, 0) : max(total - start, 0)][::-1]
        return [self._exports[export_id] for _, _, export_id in entries], stop < total

    # --- files ------------------------------------------------------------------------------------------

    def cached_file(self, export: Export) -> FileBlob | None:
        """Return the export's file if it has already been built."""
        return export.file or self._files.get((export.id, export.revision))

    def keep_file(self, export: Export, revision: int, file: FileBlob) -> None:
        """Keep a file in memory, and discard the oldest one."""
        self._files[export.id, revision] = file
        while len(self._files) > _FILES_KEPT:
            del self._files[next(iter(self._files))]

    def replace_file(self, export: Export, content: bytes | None = None) -> None:
        """Replace an export's file, as if another one had been uploaded.

        :param content: the new content; if None, different rows of the same kind
        """
        export.revision += 1
        export.file = None if content is None else FileBlob.of(Blob([Run(content)]))
        export.file_changed_at = self.now()
        data = dataclasses.replace(export.spec.data, revision=export.revision)
        export.spec = dataclasses.replace(export.spec, data=data)

    # --- internals --------------------------------------------------------------------------------------

    def _add(self, *, created_at: float | None = None, options: SandboxOptions | None = None, **fields: Any) -> Export:
        now = self.now() if created_at is None else created_at
        self._number += 1
        export_id = f"{int(now) & 0xFFFFFFFF:08x}{self._id_middle}{self._number & 0xFFFFFF:06x}"
        # Whole milliseconds, so that the time that is compared equals the one that is reported.
        now = math.floor(now * 1000) / 1000
        export = Export(id=export_id, number=self._number, created_at=now, options=options or self.options, **fields)
        self._exports[export.id] = export
        bisect.insort(self._in_order, (export.created_at, export.number, export.id))
        return export

    def _should_fail(self, export_type: str) -> bool:
        fail = self.options.fail
        if isinstance(fail, tuple):
            return export_type in fail
        self._failures_due += fail
        due = self._failures_due >= 1 - 1e-9
        self._failures_due -= due
        return due

    def _seed(self) -> None:
        now = self.now()
        for index in range(self.options.seed):
            export_type, origin = _SEEDS[index % len(_SEEDS)]
            created = now - _DAY * 3 * (self.options.seed - index) / (self.options.seed + 1)
            yesterday = math.floor(created / _DAY) * _DAY - _DAY
            filters: dict[str, Any] = {}
            if export_type == "activities":
                filters = {"fromDate": iso(yesterday), "toDate": iso(yesterday + _DAY)}
            elif export_type == "data-explorer":
                day = iso(yesterday)[:10]
                filters = {"reportId": f"64{'0' * 21}{index % 10}", "fromDate": day, "toDate": day}
            self._add(
                created_at=created,
                finish_at=created + 60,
                export_type=export_type,
                origin=origin,
                delimiter=",",
                date_format="ISO",
                version=f"v{self.options.newest_version}" if origin == "app" else "v1",
                filters=filters,
            )


_APP_FIELDS = {
    "exportType",
    "delimiter",
    "dateFormat",
    "version",
    "filters",
    "origin",
    "createdAt",
    "finishedAt",
    "title",
    "fail",
    "options",
}
