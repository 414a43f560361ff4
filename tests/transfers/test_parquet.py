# SPDX-License-Identifier: Apache-2.0
"""Exports as Parquet files, from a real API and file server to a local folder and to S3."""

from __future__ import annotations

import csv
import io
import json
import sys
import traceback
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from hypothesis import HealthCheck, given, settings

from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from tests.airflow_harness import FakeTask, FakeTaskInstance
from tests.files.remote_files import package_threads, wait_until
from tests.files.tables.csv_files import CsvFile, written_files
from tests.stores import S3_KEY, S3_SECRET, Place, local_store, moto_server, moto_store  # noqa: F401  fixtures

MANIFEST = "_connectif_manifest.json"
ORDERS = "id,total,createdAt\n0123,1234.50,2026-01-31T10:00:00.000Z\n7,,\n"
TYPES = {"total": "decimal(18,2)", "createdAt": "timestamp"}


class Lake:
    """A folder in which exports are stored as Parquet."""

    def __init__(self, sandbox: Any, place: Place) -> None:
        self.sandbox = sandbox
        self.place = place
        self.uri = place.uri
        self.runs = 0

    def create(self, *texts: str | bytes, delimiter: str = ",") -> str:
        """Create an export with these files."""
        export_id = self.sandbox.create_in_app({"exportType": "activities", "delimiter": delimiter, "version": "v6"})
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for number, text in enumerate(texts):
                file.writestr(f"export-{export_id}{'-products' * number}.csv", text)
        self.sandbox.replace_file(export_id, archive.getvalue())
        return export_id

    def store(self, export_id: str, **arguments: Any) -> dict[str, Any]:
        self.runs += 1
        operator = ConnectifExportToObjectStorageOperator(
            **{
                "task_id": "store",
                "export_id": export_id,
                "destination": self.uri,
                "storage_conn_id": "aws_default" if self.uri.startswith("s3") else None,
                "file_format": "parquet",
                **arguments,
            }
        )
        return FakeTask(ti=FakeTaskInstance(run_id=f"run-{self.runs}")).run(operator)

    def parquet(self) -> bytes:
        """Return the main file."""
        [data] = [
            data for name, data in self.snapshot().items() if name.endswith(".parquet") and "products" not in name
        ]
        return data

    def table(self) -> Any:
        return pq.read_table(io.BytesIO(self.parquet()))

    def rows(self) -> list[list[Any]]:
        return rows_of(self.table())

    def snapshot(self) -> dict[str, bytes]:
        return {name: self.place.read(name) for name in self.place.names()}

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads(self.place.read(MANIFEST))


def rows_of(table: Any) -> list[list[Any]]:
    return [list(row.values()) for row in table.to_pylist()]


@pytest.fixture(params=["local", "moto"])
def lake(request, sandbox, monkeypatch) -> Lake:
    place = request.getfixturevalue(f"{request.param}_store")
    if place.kind == "s3":
        pytest.importorskip("airflow.providers.amazon")
        extra = {"endpoint_url": place.options["endpoint_url"], "region_name": "us-east-1"}
        connection = {"conn_type": "aws", "login": S3_KEY, "password": S3_SECRET, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    return Lake(sandbox, place)


@pytest.fixture
def local_lake(sandbox, local_store) -> Lake:  # noqa: F811
    return Lake(sandbox, local_store)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = package_threads()
    yield
    wait_until(lambda: len(package_threads()) <= len(before))


class TestStored:
    def test_files_have_the_values_and_types(self, lake):
        export_id = lake.create(ORDERS, "id,price\n0123,5\n")
        result = lake.store(export_id, column_types=TYPES)
        assert [str(kind) for kind in lake.table().schema.types] == [
            "string",
            "decimal128(18, 2)",
            "timestamp[us, tz=UTC]",
        ]
        assert [row[0] for row in lake.rows()] == ["0123", "7"]
        assert lake.rows()[1][1:] == [None, None]
        assert lake.table().schema.metadata == {
            b"connectif.export_id": export_id.encode(),
            b"connectif.export_type": b"activities",
            b"connectif.export_version": b"v6",
        }
        assert [(file["rows"], file["columns"], file["part"]) for file in result["files"]] == [
            (2, ["id", "total", "createdAt"], ""),
            (1, ["id", "price"], "products"),
        ]
        assert sorted(lake.snapshot()) == [
            MANIFEST,
            f"export-{export_id}-products.parquet",
            f"export-{export_id}.parquet",
        ]
        assert lake.manifest["file_format"] == "parquet"
        assert lake.manifest["column_types"] == TYPES

    def test_the_sandboxs_own_exports_are_converted(self, lake):
        export_id = lake.sandbox.create_in_app({"exportType": "contacts"})
        [file] = lake.store(export_id)["files"]
        assert lake.table().schema.names == file["columns"]
        assert lake.table().num_rows == file["rows"] == 5
        assert "column_types" not in lake.manifest

    def test_the_export_that_is_stored_is_not_downloaded_again(self, lake):
        export_id = lake.create(ORDERS)
        result = lake.store(export_id, column_types=TYPES)
        before = lake.snapshot()
        same = {"createdAt": "TIMESTAMP", "total": "decimal(18, 2)"}
        assert lake.store(export_id, column_types=same) == {**result, "unchanged": False}
        assert lake.snapshot() == before

    def test_the_same_export_with_other_types_is_stored_again(self, lake):
        export_id = lake.create(ORDERS)
        lake.store(export_id, column_types=TYPES)
        lake.store(export_id, column_types={"total": "double"})
        assert [str(kind) for kind in lake.table().schema.types] == ["string", "double", "string"]
        lake.store(export_id)
        assert [str(kind) for kind in lake.table().schema.types] == ["string"] * 3
        assert "column_types" not in lake.manifest
        with pytest.raises(AirflowFailException, match=r"as parquet, .* as parquet with column_types {'total'"):
            lake.store(export_id, column_types={"total": "double"}, if_exists="error")
        assert lake.store(export_id, column_types={"total": "double"}, if_exists="skip")["export_id"] == export_id

    def test_the_same_export_gives_the_same_bytes(self, lake):
        export_id = lake.create(ORDERS)
        [first] = lake.store(export_id)["files"]
        lake.store(lake.create("id\n1\n"))
        assert [file["sha256"] for file in lake.store(export_id)["files"]] == [first["sha256"]]


@pytest.mark.parametrize("lake", ["local", pytest.param("moto", marks=pytest.mark.slow)], indirect=True)
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written_files())
def test_any_file_is_read_by_pyarrow_and_duckdb_as_by_the_csv_module(lake: Lake, tmp_path: Path, file: CsvFile) -> None:
    if not file.records:
        return
    # The API knows `,` and `;`, and DuckDB does not tell names apart that differ in case alone.
    header = [f"c{number} é '\"" for number in range(len(file.records[0]))]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=file.delimiter).writerow(header)
    data = b"\xef\xbb\xbf" + text.getvalue().encode() + file.data.removeprefix(b"\xef\xbb\xbf")
    lake.store(lake.create(data, delimiter=file.delimiter))
    path = tmp_path / "read.parquet"
    path.write_bytes(lake.parquet())
    table = pq.read_table(path)
    assert table.schema.names == header
    assert rows_of(table) == file.records
    duckdb = pytest.importorskip("duckdb", reason="in the group dev, and not in the group test")
    found = duckdb.read_parquet(str(path))
    assert found.columns == header
    assert [list(row) for row in found.fetchall()] == file.records


def test_titles_of_columns_are_kept_as_they_are_written(lake):
    titles = ["Día", "Ventas (€)", "a.b/c", 'say "no"', "line\nbreak", "", "🛒 total", " x "]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[*titles, "Día"], [str(number) for number in range(9)]])
    [file] = lake.store(lake.create(text.getvalue()), column_types={"Ventas (€)": "int64", "Día_2": "int64"})["files"]
    assert lake.table().schema.names == file["columns"] == [*titles, "Día_2"]
    assert lake.rows() == [["0", 1, "2", "3", "4", "5", "6", "7", 8]]


BAD = {
    "a cell that does not fit": ("id,total\n1,2\n1,confidential\n", "record 2, column 'total': the cell does not fit"),
    "a record with too few fields": (
        "id,total\n1,2\nconfidential\n",
        "record 2: it has 1 field where the header has",
    ),
    "a record with too many fields": ("id,total\n1,2,confidential\n", "record 1: it has 3 fields where the header has"),
    "text that is not UTF-8": (b"id,total\nconfidential \xff,2\n", "record 1, column 'id': the text is not UTF-8"),
    "a quotation mark that is not closed": ('id,total\n"confidential,2\n', "the file ends within a quoted field"),
    "a declared column that no file has": ("id,Total\n1,2\n", "column_types declares 'total', which no file"),
}


@pytest.mark.parametrize("problem", BAD)
def test_bad_content_fails_the_task_and_the_earlier_export_stays(lake, problem, capsys):
    lake.store(lake.create(ORDERS), column_types=TYPES)
    before = lake.snapshot()
    text, message = BAD[problem]
    export_id = lake.create(text)
    with pytest.raises(AirflowFailException) as caught:
        lake.store(export_id, column_types={"total": "int64"})
    assert message in str(caught.value)
    if "column_types" not in message:
        assert f"'export-{export_id}.csv'" in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value)) + capsys.readouterr().out
    assert "confidential" not in shown
    assert lake.snapshot() == before


def test_a_damaged_archive_fails_the_task_and_the_earlier_export_stays(lake):
    lake.store(lake.create(ORDERS), column_types=TYPES)
    before = lake.snapshot()
    export_id = lake.create(ORDERS)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.csv", ORDERS)
    lake.sandbox.replace_file(export_id, archive.getvalue().replace(b"0123", b"0124"))
    with pytest.raises(AirflowException, match="CRC"):
        lake.store(export_id)
    assert lake.snapshot() == before


class TestArguments:
    @pytest.mark.parametrize(
        ("types", "problem"),
        [
            ({"total": "money"}, r"column_types: the type 'money' of 'total' is not supported; use decimal"),
            ({"total": "decimal(50,2)"}, "column_types: .* of 'total' is not valid; the precision"),
            ({"total": None}, "column_types: the type of 'total' must be a string, not None; use decimal"),
            ({1: "int64"}, "column_types: 1 is not a column name"),
            (["total"], "column_types: .* is not a dict; use one such as"),
            ("total=int64", "column_types: 'total=int64' is not a dict; use one such as .* tojson"),
            ({"a": "{{ x }}", "total": "money"}, "the type 'money' of 'total'"),
            ({"{{ params.column }}": "int64"}, "column_types: the column name '{{ params.column }}' is a template"),
            ({"total": "https://user:secret@store"}, "column_types: the type of 'total' is not supported; use decimal"),
        ],
    )
    def test_wrong_types_are_reported_when_the_dag_is_parsed(self, types, problem):
        with pytest.raises(ConnectifArgumentError, match=problem):
            ConnectifExportToObjectStorageOperator(
                task_id="store", export_id="1" * 24, destination="/lake", file_format="parquet", column_types=types
            )

    def test_a_timestamp_needs_dates_in_the_iso_format(self):
        arguments = {"task_id": "store", "export_type": "contacts", "destination": "/lake", "file_format": "parquet"}
        arguments["column_types"] = {"birthday": "date", "createdAt": "timestamp"}
        with pytest.raises(ConnectifArgumentError, match="column_types: the timestamp 'createdAt' needs date_format="):
            ConnectifExportToObjectStorageOperator(**arguments, date_format="LL")
        ConnectifExportToObjectStorageOperator(**arguments, date_format="{{ params.format }}")
        ConnectifExportToObjectStorageOperator(**arguments)

    @pytest.mark.parametrize("file_format", ["csv", "csv.gz", "archive"])
    def test_types_are_only_for_parquet(self, file_format):
        with pytest.raises(ConnectifArgumentError, match="column_types: is only for file_format='parquet', not"):
            ConnectifExportToObjectStorageOperator(
                task_id="store", export_id="1" * 24, destination="/lake", file_format=file_format, column_types=TYPES
            )

    @pytest.mark.parametrize(
        "types", [{"total": "{{ params.kind }}"}, "{{ params.types | tojson }}", '{"total": "decimal(18,2)"}']
    )
    def test_templates_are_rendered(self, local_lake, types):
        params = {"kind": "decimal(18,2)", "types": {"total": "decimal(18,2)"}}
        operator = ConnectifExportToObjectStorageOperator(
            task_id="store",
            export_id=local_lake.create(ORDERS),
            destination=local_lake.uri,
            file_format="parquet",
            column_types=types,
        )
        context = FakeTask().context()
        operator.render_template_fields({**context, "params": params})
        operator.execute(context)
        assert str(local_lake.table().schema.types[1]) == "decimal128(18, 2)"

    @pytest.mark.parametrize("rendered", ["", None, {}])
    def test_nothing_is_declared_if_a_template_renders_nothing(self, local_lake, rendered):
        operator = ConnectifExportToObjectStorageOperator(
            task_id="store",
            export_id=local_lake.create(ORDERS),
            destination=local_lake.uri,
            file_format="parquet",
            column_types="{{ params.types }}",
        )
        operator.column_types = rendered
        operator.execute(FakeTask().context())
        assert str(local_lake.table().schema.types[1]) == "string"

    @pytest.mark.parametrize("rendered", ["{'total': 'int64'}", "None", {"total": "money"}])
    def test_what_a_template_renders_is_checked_before_anything_is_requested(self, local_lake, rendered):
        operator = ConnectifExportToObjectStorageOperator(
            task_id="store",
            export_type="contacts",
            destination=local_lake.uri,
            file_format="parquet",
            column_types="{{ params.types }}",
        )
        operator.column_types = rendered
        with pytest.raises(ConnectifArgumentError, match="column_types"):
            operator.execute(FakeTask().context())
        assert local_lake.sandbox.stats.created == []


def test_without_pyarrow_the_task_fails_before_anything_is_requested(local_lake, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    before = local_lake.sandbox.stats
    operator = ConnectifExportToObjectStorageOperator(
        task_id="store",
        export_type="contacts",
        destination="s3://bucket-that-does-not-exist/lake",
        file_format="parquet",
    )
    with pytest.raises(AirflowFailException, match=r"airflow-provider-connectif\[parquet\]"):
        operator.execute(FakeTask().context())
    assert local_lake.sandbox.stats == before
