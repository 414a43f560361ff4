# SPDX-License-Identifier: Apache-2.0
"""Comparison of an export's columns with those of the exports that the same task stored in earlier runs.

A task instance that stores an export leaves two XComs: its columns and, under a key of their own for each type, report
and version of an export, a pointer: when the export was created, which task instance has its columns, and their digest.
All pointers are read at once: Airflow does not sort them by anything that runs without a logical date and backfills
have in common. So they are small and, lest those of many mapped tasks pile up, tasks of one run that have the same
columns need only one. The columns are compared with those of the export that was created last before this one, whenever
it was stored.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_connectif.api.timestamps import parse_timestamp_or_none
from airflow_provider_connectif.files.tables.errors import ColumnsNotCompared, SchemaChanged
from airflow_provider_connectif.files.tables.schema import SchemaChange, describe_changes, schema_changes

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

COLUMNS_KEY = "connectif_columns"


class _Pointer(NamedTuple):
    created: float
    run_id: str
    map_index: int
    digest: str


class ColumnCheck:
    """Compares the columns of the export that a task stores with those of the task's earlier runs.

    :param context: the task's context
    :param on_schema_change: ``warn``, ``fail`` or ``ignore``
    :param log: the task's log
    """

    def __init__(self, context: Context, on_schema_change: str, log: Any) -> None:
        self._ti: Any = context["ti"]
        self._on_schema_change = on_schema_change
        self._log = log
        self._export: Mapping[str, Any] = {}
        self._columns: dict[str, list[str]] = {}
        self._changes: list[SchemaChange] = []
        self._pointers: list[_Pointer] = []
        self._lookup_failed = False

    def __call__(self, export: Mapping[str, Any], columns: Mapping[str, Sequence[str] | None]) -> list[SchemaChange]:
        """Return what changed. An export is compared once, however often this is called.

        :param export: the export, as the manifest describes it
        :param columns: the columns by part
        :raises SchemaChanged: if something changed, and this is to fail the task
        :raises ColumnsNotCompared: if Airflow does not show the earlier columns, and a change is to fail the task
        """
        if self._export.get("id") == export["id"]:
            return self._changes
        after = {part: list(names) for part, names in columns.items() if names}
        before = self._columns_before(export) if after else {}
        changes = schema_changes(before, after) if self._on_schema_change != "ignore" else []
        if changes:
            description = describe_changes(changes, export_type=export.get("exportType"))
            if self._on_schema_change == "fail":
                raise SchemaChanged(description)
            self._log.warning("%s", description)
        # A part that this export lacks is compared the next time that an export has it.
        self._export, self._columns, self._changes = export, {**before, **after} if after else {}, changes
        return changes

    def remember(self) -> None:
        """Leave the columns to later runs. Called when the export is stored."""
        # Columns that were not compared do not become those to compare with: the next run would miss the change.
        if not self._columns or self._lookup_failed:
            return
        own = _Pointer(_created(self._export) or 0, self._ti.run_id, self._ti.map_index, _digest(self._columns))
        latest = _latest(self._pointers, own.created)
        if latest is not None and (latest.run_id, latest.digest) == (own.run_id, own.digest):
            return
        try:
            self._ti.xcom_push(COLUMNS_KEY, self._columns)
            self._ti.xcom_push(_key(self._export), list(own))
        except Exception as error:
            self._log.warning("Later runs cannot compare their columns with these: %s.", type(error).__name__)

    def _columns_before(self, export: Mapping[str, Any]) -> dict[str, list[str]]:
        from airflow.providers.common.compat.sdk import XCom

        get_all = getattr(XCom, "get_all", None)
        if get_all is None or "include_prior_dates" not in inspect.signature(get_all).parameters:
            level = logging.WARNING if self._on_schema_change == "fail" else logging.INFO
            self._log.log(level, "Airflow before 3.1 does not show earlier runs, so the columns were not compared.")
            return {}
        task = {"dag_id": self._ti.dag_id, "task_id": self._ti.task_id}
        try:
            for run_id in self._get_runs():
                values = get_all(key=_key(export), run_id=run_id, include_prior_dates=True, **task)
                self._pointers += _read_pointers(values)
            earlier = [pointer for pointer in self._pointers if pointer.run_id != self._ti.run_id]
            found = _latest(earlier, _created(export))
            if found is None:
                return {}
            columns = XCom.get_one(key=COLUMNS_KEY, run_id=found.run_id, map_index=found.map_index, **task)
            # They are missing if that task was cleared meanwhile.
            return {str(part): list(names) for part, names in columns.items()} if isinstance(columns, Mapping) else {}
        except Exception as error:
            self._lookup_failed = True
            if self._on_schema_change == "fail":
                raise ColumnsNotCompared(type(error).__name__) from None
            self._log.warning("The columns were not compared with earlier ones: %s.", type(error).__name__)
            return {}

    def _get_runs(self) -> set[str]:
        """Return this run, and the one that was created last before it.

        Airflow shows the XComs of runs up to the date of a run: the logical date, which may be long ago, or else the
        time of its creation, so that neither of the two alone may show those of the other.
        """
        own = self._ti.run_id
        states = self._ti.get_task_states(
            dag_id=self._ti.dag_id, task_ids=[self._ti.task_id], map_index=self._ti.map_index
        )
        # After the type of the run, Airflow's run ids have a time.
        others = sorted(states.keys() - {own}, key=lambda run_id: (run_id.partition("__")[2], run_id))
        return {own, *others[-1:]}


def _read_pointers(values: Any) -> list[_Pointer]:
    """Return the pointers among the values of XComs, which anybody may have stored."""
    kinds = ([float, str, int, str], [int, str, int, str])
    return [_Pointer(*each) for each in values or () if isinstance(each, list) and list(map(type, each)) in kinds]


def _latest(pointers: Iterable[_Pointer], created: float | None) -> _Pointer | None:
    """Return the pointer to the export that was created last, but not after another one."""
    return max((each for each in pointers if created is None or each.created <= created), default=None)


def _key(export: Mapping[str, Any]) -> str:
    kind = [export.get("exportType"), (export.get("filters") or {}).get("reportId"), export.get("version")]
    return f"{COLUMNS_KEY}_{_digest(kind)}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _created(export: Mapping[str, Any]) -> float | None:
    created = parse_timestamp_or_none(export.get("createdAt"))
    return None if created is None else created.timestamp()
