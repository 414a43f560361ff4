# SPDX-License-Identifier: Apache-2.0
"""docs/guides/load-into-warehouse.md: its DAGs load every row and value into Postgres and DuckDB."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.docs.conftest import warehouse_connection
from tests.docs.pages import blocks
from tests.docs.warehouses import (
    DAY,
    ODD_TITLES,
    PAGE,
    TABLES,
    Query,
    Warehouse,
    in_duckdb,
    in_postgres,
    load_from_the_page,
)
from tests.stores import S3_KEY, S3_SECRET

duckdb = pytest.importorskip("duckdb", reason="in the group dev, and not in the group test")
psycopg = pytest.importorskip("psycopg", reason="in the group dev, and not in the group test")
pytestmark = pytest.mark.system


@pytest.fixture
def database(postgres):
    """The arguments to connect to a new, empty Postgres database."""
    with psycopg.connect(**postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS warehouse")
        connection.execute("CREATE DATABASE warehouse")
    return {**postgres, "dbname": "warehouse"}


FROM_CSV = ["load_into_postgres", "load_into_duckdb"]
FROM_PARQUET = ["load_parquet_into_duckdb"]


@pytest.fixture(params=FROM_CSV + FROM_PARQUET)
def warehouse(request, tmp_path, database, monkeypatch):
    """An empty warehouse."""
    load, _ = load_from_the_page(request.param, tmp_path)
    if request.param == "load_into_postgres":
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse_connection(database))
        return Warehouse(request.param, load, in_postgres(database))
    if request.param in FROM_PARQUET:
        query = in_duckdb(tmp_path / "from-parquet.duckdb")
        return Warehouse(request.param, lambda stored: load(as_parquet(stored)), query)
    return Warehouse(request.param, load, in_duckdb(tmp_path / "warehouse.duckdb"))


only_from_csv = pytest.mark.parametrize("warehouse", FROM_CSV, indirect=True)


def as_parquet(stored):
    """Return the result of a task that stored the same files as Parquet, and store them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = []
    for file in stored["files"]:
        _, rows = read_csv(file, "csv.gz")
        path = file["path"].replace(".csv.gz", ".parquet")
        columns = {}
        for index, name in enumerate(file["columns"]):
            declared = pa.decimal128(18, 2) if name == "amount" else pa.string()
            columns[name] = pa.array([CONVERSIONS.get(name, str)(row[index]) for row in rows], declared)
        pq.write_table(pa.table(columns), path.removeprefix("file://"))
        files.append({**file, "path": path})
    return {**stored, "files": files}


@pytest.fixture
def store(tmp_path):
    """A function that stores a file, and returns what the task that stored it would return."""

    def write(columns: list[str], *rows: list[str], day: str = DAY, part: str = "", mark: str = "\ufeff"):
        text = io.StringIO(newline="")
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([columns, *rows])
        folder = tmp_path / day
        folder.mkdir(exist_ok=True)
        path = folder / f"a{part}.csv.gz"
        path.write_bytes(gzip.compress((mark + text.getvalue()).encode()))
        file = {"path": path.as_uri(), "rows": len(rows), "columns": columns, "part": part}
        return {"destination": folder.as_uri(), "files": [file]}

    return write


def read_csv(file, file_format):
    """Return the columns and the rows of a stored file, read with Python's CSV parser."""
    with open(file["path"].removeprefix("file://"), "rb") as opened:
        data = gzip.decompress(opened.read()) if file_format == "csv.gz" else opened.read()
    [columns, *rows] = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    return columns, rows


CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "date": lambda text: datetime.fromisoformat(text.replace("Z", "+00:00")),
    "amount": Decimal,
    "quantity": int,
    "unitPrice": Decimal,
}


def as_loaded(columns: list[str], row: list[str]) -> list[Any]:
    """Return a row as the warehouse should have it: declared types, other columns as text, empty fields as null."""
    return [CONVERSIONS.get(name, str)(value) if value else None for name, value in zip(columns, row, strict=True)]


@dataclass(frozen=True)
class Run:
    """A run of a DAG of the page in a real Airflow.

    :param files: the columns and the rows of each stored file, by table
    :param counted: the return value of the task ``load``
    """

    day: date
    files: dict[str, tuple[list[str], list[list[str]]]]
    counted: dict[str, int]
    query: Query


RUNS = [("load_into_postgres", "csv.gz"), ("load_into_duckdb", "csv.gz"), ("load_csv_into_duckdb", "csv")]


@pytest.fixture(params=RUNS, ids=[dag for dag, _ in RUNS])
def run(request, page_runs, postgres):
    dag, file_format = request.param
    returned = page_runs.of(dag).returned
    database = page_runs.lake / ("warehouse-csv.duckdb" if "csv" in dag else "warehouse.duckdb")
    query = in_postgres(postgres) if "postgres" in dag else in_duckdb(database)
    files = {TABLES[file["part"]]: read_csv(file, file_format) for file in returned["store"]["files"]}
    day = date.fromisoformat(returned["store"]["destination"].rpartition("/")[2])
    return Run(day, files, returned["load"], query)


def test_all_rows_of_a_run_are_loaded(run):
    assert run.counted == {table: len(rows) for table, (_, rows) in run.files.items()}
    assert run.counted["activities"] == 200
    assert run.counted["activity_products"] > 0  # how many depends on the days, and so on the date of the test


def test_all_values_of_a_run_are_loaded(run):
    for table, (columns, rows) in run.files.items():
        names, found = run.query(f"SELECT * FROM {table}")
        assert names == ["day", *columns]
        assert sorted(found, key=str) == sorted(((run.day, *as_loaded(columns, row)) for row in rows), key=str)


def test_the_values_of_a_run_are_hard_to_parse(run):
    text = "\x00".join(value for _, rows in run.files.values() for row in rows for value in row)
    assert [character for character in ('"', "\n", ",", ";", "é") if character not in text] == []


def test_an_asset_event_has_what_the_tasks_use(page_runs, store):
    [extra] = page_runs.of("howto_asset_producer").events["connectif_purchases"]
    used = store(["id"])  # the tests below call the tasks with no more than this
    assert set(extra) >= set(used)
    assert all(set(file) >= set(used["files"][0]) for file in extra["files"])


def test_undeclared_columns_remain_text(warehouse, store):
    row = {"phone": "+34600123456", "zip": "0123", "flag": "true", "when": "2026-11-24", "amount": "1.50"}
    warehouse.load(store([*row], [*row.values()]))
    [found] = warehouse.rows("activities")
    assert found == {"day": date.fromisoformat(DAY), **row, "amount": Decimal("1.50")}


@only_from_csv
def test_empty_fields_are_null(warehouse, store):
    warehouse.load(store(["id", "amount", "note"], ["1", "", ""]))
    [found] = warehouse.rows("activities")
    assert (found["id"], found["amount"], found["note"]) == ("1", None, None)


def test_a_day_that_is_loaded_twice_is_in_the_table_once(warehouse, store):
    warehouse.load(store(["id"], ["1"], ["2"]))
    warehouse.load(store(["id"], ["other day"], day="2026-11-25"))
    again = store(["id"], ["2"], ["3"])
    assert [warehouse.load(again), warehouse.load(again)] == [{"activities": 2}] * 2
    assert sorted(row["id"] for row in warehouse.rows("activities")) == ["2", "3"]
    assert [row["id"] for row in warehouse.rows("activities", "2026-11-25")] == ["other day"]


def test_columns_are_matched_by_name(warehouse, store):
    warehouse.load(store(["name", "city"], ["Zoë", "Valencia"]))
    warehouse.load(store(["new", "city", "name"], ["added", "Kraków", "José"], day="2026-11-25"))
    warehouse.load(store(["name"], ["Li"], day="2026-11-26"))
    [first], [second], [third] = (warehouse.rows("activities", day) for day in (DAY, "2026-11-25", "2026-11-26"))
    assert (first["name"], first["city"], first["new"]) == ("Zoë", "Valencia", None)
    assert (second["name"], second["city"], second["new"]) == ("José", "Kraków", "added")
    assert (third["name"], third["city"], third["new"]) == ("Li", None, None)


@only_from_csv
def test_a_value_that_does_not_fit_its_type_changes_nothing(warehouse, store):
    warehouse.load(store(["id", "amount"], ["1", "2.00"]))
    with pytest.raises((psycopg.Error, duckdb.Error)):
        warehouse.load(store(["id", "amount", "new"], ["1", "3.00", ""], ["2", "12,50", ""]))
    assert warehouse.rows("activities") == [{"day": date.fromisoformat(DAY), "id": "1", "amount": Decimal("2.00")}]


def test_a_missing_row_changes_nothing(warehouse, store):
    warehouse.load(store(["id"], ["1"]))
    stored = store(["id"], ["2"], ["3"])
    stored["files"][0]["rows"] = 3
    with pytest.raises(ValueError, match=r"/a\.(csv\.gz|parquet) has 3 rows, but 2 were loaded"):
        warehouse.load(stored)
    assert [row["id"] for row in warehouse.rows("activities")] == ["1"]


def test_a_file_without_rows_empties_the_day(warehouse, store):
    warehouse.load(store(["id"], ["1"]))
    assert warehouse.load(store(["id"])) == {"activities": 0}
    assert warehouse.rows("activities") == []


def test_a_day_that_is_loaded_again_without_products_has_none(warehouse, store):
    day = store(["id"], ["1"])
    warehouse.load({**day, "files": day["files"] + store(["sku"], ["a"], part="products")["files"]})
    assert len(warehouse.rows("activity_products")) == 1
    assert warehouse.load(day) == {"activities": 1}
    assert warehouse.rows("activity_products") == []


OPENED = {
    "load_into_postgres": 'ObjectStoragePath(file["path"]',
    "load_into_duckdb": 'ObjectStoragePath(stored["destination"]',
}


@only_from_csv
def test_files_in_a_bucket_are_loaded_with_the_connection_of_the_store(
    warehouse, store, s3_store, tmp_path, monkeypatch
):
    extra = {"endpoint_url": s3_store.options["endpoint_url"], "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": S3_KEY, "password": S3_SECRET, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    stored = store(["id"], ["0123"])
    [file] = stored["files"]
    destination = f"{s3_store.uri}/{DAY}"
    s3_store.fs.put_file(file["path"].removeprefix("file://"), f"{s3_store.path}/{DAY}/a.csv.gz")
    opened = OPENED[warehouse.dag_id]
    load, _ = load_from_the_page(warehouse.dag_id, tmp_path, {opened: f'{opened}, conn_id="aws_default"'})
    assert load({"destination": destination, "files": [{**file, "path": f"{destination}/a.csv.gz"}]}) == {
        "activities": 1
    }
    assert [row["id"] for row in warehouse.rows("activities")] == ["0123"]


def test_postgres_accepts_the_odd_titles_of_a_report(store, database, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse_connection(database))
    load, defined = load_from_the_page("load_into_postgres", tmp_path)
    values = [f"value {index},\n{title}" for index, title in enumerate(ODD_TITLES)]
    for _ in range(2):
        assert load(store(ODD_TITLES, *[values] * 3)) == {"activities": 3}
    names, rows = in_postgres(database)("SELECT * FROM activities")
    assert names == ["day", *defined["warehouse_names"](ODD_TITLES)]
    assert {row[1:] for row in rows} == {tuple(values)}


def test_postgres_loads_a_day_once_if_two_tasks_load_it_at_the_same_time(store, database, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse_connection(database))
    load, _ = load_from_the_page("load_into_postgres", tmp_path)
    stored = store(["id"], *([str(index)] for index in range(500)))
    load(stored)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(load, [stored] * 8)) == [{"activities": 500}] * 8
    assert in_postgres(database)("SELECT count(*) FROM activities")[1] == [(500,)]


def test_postgres_loads_csv_files_with_another_delimiter(database, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse_connection(database))
    changes = {
        "gzip.open(compressed) as data": "contextlib.nullcontext(compressed) as data",
        "import gzip": "import contextlib",
        "ENCODING 'UTF8',": "ENCODING 'UTF8', DELIMITER ';',",
    }
    load, _ = load_from_the_page("load_into_postgres", tmp_path, changes)
    path = tmp_path / "a.csv"
    path.write_bytes(b'id;note\r\n0123;"a,b;\r\n\\.\\n"\r\n')
    file = {"path": path.as_uri(), "rows": 1, "columns": ["id", "note"], "part": ""}
    load({"destination": f"file:///lake/{DAY}", "files": [file]})
    assert in_postgres(database)("SELECT id, note FROM activities")[1] == [("0123", "a,b;\r\n\\.\\n")]


def test_duckdb_accepts_titles_that_differ_in_more_than_their_case(store, tmp_path):
    load, _ = load_from_the_page("load_into_duckdb", tmp_path)
    titles = [title for title in ODD_TITLES if title not in ("day", "Day", "email")]
    values = [f"value {index},\n{title}" for index, title in enumerate(titles)]
    assert load(store(titles, *[values] * 3000)) == {"activities": 3000}
    names, rows = in_duckdb(tmp_path / "warehouse.duckdb")("SELECT * FROM activities")
    assert names == ["day", *titles]
    assert {row[1:] for row in rows} == {tuple(values)}


def test_the_view_shows_the_latest_day(warehouse, store):
    for day in ("2026-11-23", DAY):
        warehouse.load(store(["email"], [f"{day}@example.com"], day=day))
    warehouse.query("ALTER TABLE activities RENAME TO contacts")
    [statement] = [block.text for block in blocks("sql", page=PAGE)]
    warehouse.query(statement)
    assert warehouse.query("SELECT email FROM latest_contacts")[1] == [(f"{DAY}@example.com",)]


@pytest.mark.parametrize("longest", [63, 127])
def test_names_are_short_and_distinct_and_stable(tmp_path, longest):
    _, defined = load_from_the_page("load_into_postgres", tmp_path)
    columns = [*ODD_TITLES, *ODD_TITLES, "firstName", ""]
    names = defined["warehouse_names"](columns, longest)
    assert max(len(name.encode()) for name in names) <= longest
    assert len({name.casefold() for name in names} | {"day"}) == len(columns) + 1
    assert names[-2:] == ["firstName", "_"]
    assert all(name.isidentifier() or name[0].isdigit() for name in names)
    assert defined["warehouse_names"]([*columns, "later"], longest)[:-1] == names


def test_all_rows_and_types_of_parquet_files_are_loaded(page_runs):
    import pyarrow.parquet as pq

    returned = page_runs.of("load_parquet_into_duckdb").returned
    query = in_duckdb(page_runs.lake / "from-parquet.duckdb")
    assert returned["load"] == {TABLES[file["part"]]: file["rows"] for file in returned["store"]["files"]}
    for file in returned["store"]["files"]:
        stored = pq.read_table(file["path"].removeprefix("file://")).to_pylist()
        names, rows = query(f"SELECT * EXCLUDE (day) FROM {TABLES[file['part']]}")
        assert names == file["columns"]
        assert sorted(rows, key=str) == sorted((tuple(row.values()) for row in stored), key=str)
    types = {row[0]: row[1] for row in query("DESCRIBE activities")[1]}
    assert {name: type_ for name, type_ in types.items() if type_ != "VARCHAR"} == {
        "day": "DATE",
        "date": "TIMESTAMP WITH TIME ZONE",
        "amount": "DECIMAL(18,2)",
    }
