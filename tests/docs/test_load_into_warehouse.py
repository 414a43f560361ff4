# SPDX-License-Identifier: Apache-2.0
"""docs/guides/load-into-warehouse.md: every stored row and value is loaded into DuckDB."""

from __future__ import annotations

import csv
import gzip
import io

import pytest

duckdb = pytest.importorskip("duckdb", reason="in the group dev, and not in the group test")
pytestmark = pytest.mark.system

FORMATS = {
    "csv.gz": ("load_into_duckdb", "activities", "warehouse.duckdb"),
    "csv": ("load_csv_into_duckdb", "activities-csv", "warehouse-csv.duckdb"),
}


@pytest.fixture(params=FORMATS)
def loaded(request, page_runs):
    """The stored rows by table, the number of rows that the task counted, and the database."""
    dag, folder, database = FORMATS[request.param]
    return stored(page_runs.lake / folder, request.param), page_runs.of(dag).returned["load"], page_runs.lake / database


def stored(folder, file_format):
    """Return the stored rows by table, read with Python's CSV parser."""
    found = {}
    for path in folder.glob(f"*/*.{file_format}"):
        data = path.read_bytes()
        text = (gzip.decompress(data) if file_format == "csv.gz" else data).decode("utf-8-sig")
        table = "products" if "-products." in path.name else "activities"
        found[table] = list(csv.reader(io.StringIO(text, newline="")))
    return found


def test_all_rows_are_loaded(loaded):
    files, counted, _ = loaded
    assert counted == {table: len(rows) - 1 for table, rows in files.items()}
    assert counted["activities"] == 200
    assert counted["products"] > 0  # how many depends on the days, and so on the date of the test


def test_all_values_are_loaded(loaded):
    files, _, database = loaded
    with duckdb.connect(str(database), read_only=True) as warehouse:
        for table, [header, *rows] in files.items():
            found = warehouse.execute(f"SELECT * FROM {table}")
            assert [column[0] for column in found.description] == header
            assert sorted([value or "" for value in row] for row in found.fetchall()) == sorted(rows)


def test_the_values_are_hard_to_parse(loaded):
    files, _, _ = loaded
    text = "\x00".join(value for rows in files.values() for row in rows for value in row)
    assert [character for character in ('"', "\n", ",", ";", "é") if character not in text] == []
