# SPDX-License-Identifier: Apache-2.0
"""docs/loading.md: what is stored is loaded into DuckDB, each row and each value of it."""

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
def loaded(request, played):
    """What is stored in a format, by table; how many rows the page's task has counted; the database."""
    dag, folder, database = FORMATS[request.param]
    return stored(played.lake / folder, request.param), played.of(dag).returned["load"], played.lake / database


def stored(folder, file_format):
    """The stored rows by table, read by Python's own parser."""
    found = {}
    for path in folder.glob(f"*/*.{file_format}"):
        data = path.read_bytes()
        text = (gzip.decompress(data) if file_format == "csv.gz" else data).decode("utf-8-sig")
        table = "products" if "-products." in path.name else "activities"
        found[table] = list(csv.reader(io.StringIO(text, newline="")))
    return found


def test_rows_in_are_rows_out(loaded):
    files, counted, _ = loaded
    assert counted == {table: len(rows) - 1 for table, rows in files.items()}
    assert counted["activities"] == 200
    assert counted["products"] > 50


def test_each_value_is_in_the_table(loaded):
    files, _, database = loaded
    with duckdb.connect(str(database), read_only=True) as warehouse:
        for table, [header, *rows] in files.items():
            found = warehouse.execute(f"SELECT * FROM {table}")
            assert [column[0] for column in found.description] == header
            assert sorted([value or "" for value in row] for row in found.fetchall()) == sorted(rows)


def test_the_values_are_hard_ones(loaded):
    files, _, _ = loaded
    text = "\x00".join(value for rows in files.values() for row in rows for value in row)
    assert [hard for hard in ('"', "\n", ",", ";", "é") if hard not in text] == []
