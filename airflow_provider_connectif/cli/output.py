# SPDX-License-Identifier: Apache-2.0
"""Exports as rows of a table, or as JSON and YAML. A file's address is in none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_connectif.api.models import Export

_FOR_EYES = ("table", "plain")
_COLUMNS = ("id", "export_type", "status", "origin", "created_at", "finished_at", "file_name")


def print_exports(exports: Sequence[Export], output: str) -> None:
    """Print a list of exports.

    :param output: ``table`` or ``plain``, with the columns that tell exports apart; ``json`` or ``yaml``, with all.
    """
    rows = [_fields(export) for export in exports]
    if output in _FOR_EYES:
        rows = [{name: row[name] for name in _COLUMNS} for row in rows]
    print_rows(rows, output)


def print_export(export: Export, output: str) -> None:
    """Print all that is known of one export; a table has a line for each field, as Airflow's own details have."""
    fields = _fields(export)
    if output in _FOR_EYES:
        print_rows([{"field": name, "value": value} for name, value in fields.items() if value is not None], output)
    else:
        print_rows([fields], output)


def print_rows(rows: Sequence[Mapping[str, Any]], output: str) -> None:
    """Print rows as Airflow's commands do.

    :param output: ``table``, ``plain``, ``json`` or ``yaml``.
    """
    from airflow.cli.simple_table import AirflowConsole

    if output in _FOR_EYES:
        rows = [{name: _plain(value, output) for name, value in row.items()} for row in rows]
    AirflowConsole().print_as([dict(row) for row in rows], output)


def _fields(export: Export) -> dict[str, Any]:
    return {
        "id": export.id,
        "export_type": export.export_type,
        "status": export.status,
        "origin": export.origin,
        "created_at": _moment(export.created_at),
        "finished_at": _moment(export.finished_at),
        "progress": export.progress,
        "total": export.total,
        "file_name": export.file_name,
        "delimiter": export.delimiter,
        "date_format": export.date_format,
        "version": export.version,
        "filters": dict(export.filters) or None,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _plain(value: object, output: str) -> str:
    """Write a value so that neither the terminal nor the table takes a part of it for a command."""
    from rich.markup import escape

    text = "" if value is None else str(value)
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return escape(text) if output == "table" else text
