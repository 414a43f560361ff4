# SPDX-License-Identifier: Apache-2.0
"""Exports as rows of a table, or as JSON and YAML. None of them contains the signed URL of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_connectif.api.models import Export

_TABLE_FORMATS = ("table", "plain")
_COLUMNS = ("id", "export_type", "status", "origin", "created_at", "finished_at", "file_name")
# In a narrow terminal, a table omits columns in this order until the others fit without breaking a value.
_OMITTED_FIRST = ("file_name", "finished_at", "origin", "created_at", "sha256", "part", "bytes", "columns", "rows")


def print_exports(exports: Sequence[Export], output: str) -> None:
    """Print a list of exports.

    :param output: ``table`` or ``plain``, with the most important columns; ``json`` or ``yaml``, with all of them
    """
    rows = [_fields(export) for export in exports]
    if output in _TABLE_FORMATS:
        rows = [{name: row[name] for name in _COLUMNS} for row in rows]
    print_rows(rows, output)


def print_export(export: Export, output: str) -> None:
    """Print everything about one export; a table has a row for each field, as in Airflow's own detail views."""
    fields = _fields(export)
    if output in _TABLE_FORMATS:
        print_rows([{"field": name, "value": value} for name, value in fields.items() if value is not None], output)
    else:
        print_rows([fields], output)


def print_files(files: Sequence[Mapping[str, Any]], output: str) -> None:
    """Print the stored files of an export; a table has the number of their columns, as names may be hundreds."""
    if output in _TABLE_FORMATS:
        files = [
            {
                "path": file["path"],
                "rows": file["rows"],
                "columns": None if file["columns"] is None else len(file["columns"]),
                "bytes": file["bytes"],
                "part": file["part"],
                "sha256": file["sha256"],
            }
            for file in files
        ]
    print_rows(files, output)


def print_rows(rows: Sequence[Mapping[str, Any]], output: str) -> None:
    """Print rows as Airflow's commands do.

    :param output: ``table``, ``plain``, ``json`` or ``yaml``
    """
    from airflow.cli.simple_table import AirflowConsole

    console = AirflowConsole()
    if output in _TABLE_FORMATS:
        rows = [{name: _escape(value, output) for name, value in row.items()} for row in rows]
    if output == "table":
        rows = _fitting_columns(rows, console.width)
    console.print_as([dict(row) for row in rows], output)


def _fitting_columns(rows: Sequence[Mapping[str, str]], width: int) -> list[dict[str, str]]:
    """Omit columns until the rows fit into a width."""
    from rich.text import Text

    names = list(rows[0]) if rows else []
    sizes = {name: max(len(name), *(Text.from_markup(row[name]).cell_len for row in rows)) for name in names}
    for name in _OMITTED_FIRST:
        # Between two columns, a table has three characters.
        if name in names and sum(sizes[each] + 3 for each in names) - 3 > width:
            names.remove(name)
    return [{name: row[name] for name in names} for row in rows]


def _fields(export: Export) -> dict[str, Any]:
    return {
        "id": export.id,
        "export_type": export.export_type,
        "status": export.status,
        "origin": export.origin,
        "created_at": _format_datetime(export.created_at),
        "finished_at": _format_datetime(export.finished_at),
        "progress": export.progress,
        "total": export.total,
        "file_name": export.file_name,
        "delimiter": export.delimiter,
        "date_format": export.date_format,
        "version": export.version,
        "filters": dict(export.filters) or None,
    }


def _format_datetime(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _escape(value: object, output: str) -> str:
    """Return a value as text that contains no control characters for the terminal, and no markup for the table."""
    from rich.markup import escape

    text = "" if value is None else str(value)
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return escape(text) if output == "table" else text
