# SPDX-License-Identifier: Apache-2.0
"""What the operator does if the columns are not those of the export that it stored before."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from tests.airflow_harness import ACTIVITIES
from tests.simulated_clock import CLOCK
from tests.stores import S3_KEY, S3_SECRET, s3_server  # noqa: F401  fixture
from tests.xcoms import FakeXComs

CONTACTS = Asset("contacts")
OLD, NEW = "id,total\n1,5.00\n", "id,level,total\n1,gold,5.00\n"
ADDED = [{"part": "", "added": ["level"], "removed": [], "renamed": {}, "moved": []}]


class Lake:
    """Runs of one task, which store into a folder for each name."""

    def __init__(self, sandbox: Any, xcoms: FakeXComs, uri: str, path: Path) -> None:
        self.sandbox = sandbox
        self.xcoms = xcoms
        self.uri = uri
        self.path = path
        self.events: dict[str, Any] = {}

    def create(self, *texts: str, **body: Any) -> str:
        """Create an export with these files."""
        CLOCK.sleep(1)
        export_id = self.sandbox.create_in_app({"exportType": "contacts", **body})
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            for number, text in enumerate(texts):
                file.writestr(f"export-{export_id}{'-products' * number}.csv", text)
        self.sandbox.replace_file(export_id, archive.getvalue())
        return export_id

    def store(
        self,
        export_id: str | None,
        run_id: str,
        *,
        day: int | None = None,
        map_index: int = -1,
        folder: str = "today",
        **arguments: Any,
    ) -> list[Any]:
        """Run the task, and return the changes in its result."""
        task = self.xcoms.task(run_id, day=day, map_index=map_index)
        self.xcoms.clear(run_id, map_index)
        operator = ConnectifExportToObjectStorageOperator(
            task_id="task",
            destination=f"{self.uri}/{folder}",
            storage_conn_id="aws_default" if self.uri.startswith("s3") else None,
            outlets=[CONTACTS],
            **{"file_format": "csv", **({"export_id": export_id} if export_id else {}), **arguments},
        )
        events = OutletEventAccessors()
        result = operator.execute({**task.context(), "outlet_events": events})
        self.events = events[CONTACTS].extra
        return result["schema_changes"]

    def files(self, folder: str = "today") -> dict[str, bytes]:
        if not (self.path / folder).exists():
            return {}
        return {path.name: path.read_bytes() for path in (self.path / folder).iterdir()}


@pytest.fixture(params=["a local folder", "S3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """The URI of a folder, and its path on this machine."""
    if request.param != "S3":
        return f"file://{tmp_path}/lake", tmp_path / "lake"
    endpoint, buckets = request.getfixturevalue("s3_server")
    extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": S3_KEY, "password": S3_SECRET, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    (buckets / "schema-changes").mkdir(exist_ok=True)
    return f"s3://schema-changes/{tmp_path.name}", buckets / "schema-changes" / tmp_path.name


def lake_in(sandbox: Any, monkeypatch: pytest.MonkeyPatch, uri: str, path: Path) -> Lake:
    xcoms = FakeXComs()
    xcoms.install(monkeypatch)
    return Lake(sandbox, xcoms, uri, path)


@pytest.fixture
def lake(sandbox, monkeypatch, tmp_path) -> Lake:
    return lake_in(sandbox, monkeypatch, f"file://{tmp_path}/lake", tmp_path / "lake")


class TestFail:
    def test_leaves_the_old_export_as_it_was(self, sandbox, monkeypatch, place):
        lake = lake_in(sandbox, monkeypatch, *place)
        arguments = {"on_schema_change": "fail"}
        assert lake.store(lake.create(OLD), "1", **arguments) == []
        before = lake.files()
        new = lake.create(NEW)
        for run_id in ("2", "2", "3"):
            with pytest.raises(AirflowFailException) as caught:
                lake.store(new, run_id, **arguments)
            assert lake.files() == before
        assert "added 'level'" in str(caught.value)
        assert "whatever the version" in str(caught.value)
        assert "on_schema_change='warn'" in str(caught.value)
        assert lake.store(new, "4", on_schema_change="warn") == ADDED
        assert lake.store(lake.create(NEW), "5", **arguments) == []
        assert len(lake.files()) == 2

    @pytest.mark.parametrize("file_format", ["csv", "csv.gz", "parquet"])
    def test_makes_nothing_visible_in_an_empty_folder(self, sandbox, monkeypatch, place, file_format):
        lake = lake_in(sandbox, monkeypatch, *place)
        arguments = {"on_schema_change": "fail", "file_format": file_format}
        lake.store(lake.create(OLD), "1", **arguments)
        with pytest.raises(AirflowFailException, match="added 'level'"):
            lake.store(lake.create(NEW), "2", folder="tomorrow", **arguments)
        assert lake.files("tomorrow") == {}

    def test_fails_if_the_export_was_stored_by_another_task(self, lake):
        lake.store(lake.create(OLD), "1", on_schema_change="fail")
        xcoms, lake.xcoms = lake.xcoms, FakeXComs()
        new = lake.create(NEW)
        lake.store(new, "another")
        lake.xcoms = xcoms
        before = lake.files()
        for if_exists in ("replace", "skip"):
            with pytest.raises(AirflowFailException, match="added 'level'"):
                lake.store(new, "2", on_schema_change="fail", if_exists=if_exists)
        assert lake.files() == before

    def test_cannot_be_combined_with_an_archive(self, lake):
        with pytest.raises(ConnectifArgumentError, match=r"on_schema_change: 'fail' cannot.*file_format='archive'"):
            lake.store("6b06b69ad48aec34e6000001", "1", on_schema_change="fail", file_format="archive")

    def test_of_a_task_that_creates_exports_creates_another_one_when_it_is_cleared(self, lake, sandbox):
        arguments = {"export_type": "contacts", "on_schema_change": "fail"}
        lake.store(None, "1", **arguments)
        sandbox.set(contact_fields=["level"])
        with pytest.raises(AirflowFailException, match="added 'level'"):
            lake.store(None, "2", **arguments)
        sandbox.set(contact_fields=[])
        assert lake.store(None, "2", **arguments) == []
        assert sandbox.stats.created_by_api == 3


class TestWarn:
    def test_is_the_default(self, lake, task_log):
        lake.store(lake.create(OLD), "1")
        assert "schema_changes" not in lake.events
        assert lake.store(lake.create(NEW), "2") == ADDED
        assert lake.events["schema_changes"] == ADDED
        assert task_log().count("The columns differ from those of the previous export: added 'level'.") == 1
        assert lake.store(lake.create(NEW), "3") == []

    def test_reports_the_same_if_a_retry_finds_the_export_stored(self, lake):
        lake.store(lake.create(OLD), "1")
        new = lake.create(NEW)
        assert [lake.store(new, "2") for _ in range(3)] == [ADDED] * 3
        assert lake.store(new, "3") == []

    def test_compares_the_export_that_is_kept(self, lake):
        lake.store(lake.create(OLD), "1")
        lake.store(lake.create(NEW), "2", folder="other")
        assert lake.store(lake.create(NEW), "3", if_exists="skip") == []
        assert lake.store(lake.create(NEW), "4", folder="other", if_exists="skip") == []
        assert lake.store(lake.create(OLD), "5")[0]["removed"] == ["level"]

    def test_knows_nothing_of_exports_that_a_version_without_columns_stored(self, lake):
        old = lake.create(OLD)
        lake.store(old, "1")
        path = lake.path / "today" / "_connectif_manifest.json"
        content = json.loads(path.read_text())
        for file in content["files"]:
            del file["columns"], file["rows"], file["part"]
        path.write_text(json.dumps(content))
        assert lake.store(old, "2") == []
        assert lake.store(lake.create(NEW), "3") == ADDED


def test_ignored_changes_are_neither_logged_nor_returned(lake, task_log):
    lake.store(lake.create(OLD), "1")
    assert lake.store(lake.create(NEW), "2", on_schema_change="ignore") == []
    assert "The columns" not in task_log()


def test_columns_of_an_archive_are_not_known(lake, task_log):
    for run, text in enumerate((OLD, NEW)):
        assert lake.store(lake.create(text), f"run-{run}", file_format="archive") == []
    assert lake.xcoms.content == {}
    assert "The columns" not in task_log()


def test_a_file_that_only_one_export_has_is_not_compared(lake):
    body = {"exportType": "activities"}
    lake.store(lake.create(OLD, "product\na\n", **body), "1")
    assert lake.store(lake.create(OLD, **body), "2") == []
    [found] = lake.store(lake.create(OLD, "product,size\na,1\n", **body), "3")
    assert (found["part"], found["added"]) == ("products", ["size"])


def test_mapped_tasks_compare_exports_of_the_same_report(lake):
    reports = {name: f"{name},total\na,1\n" for name in ("5f3b1c2d4e5f6a7b8c9d0e1f", "6f3b1c2d4e5f6a7b8c9d0e1f")}
    for run, names in enumerate((list(reports), list(reports)[::-1])):
        for index, name in enumerate(names):
            export_id = lake.create(reports[name], exportType="data-explorer", filters={"reportId": name})
            assert lake.store(export_id, f"run-{run}", day=run + 1, map_index=index, folder=export_id) == []


def test_an_older_export_that_is_stored_later_is_not_compared_with_a_newer_one(lake):
    older, newer = lake.create(OLD), lake.create(NEW)
    lake.store(newer, "1", day=2, folder="2")
    assert lake.store(older, "2", day=1, folder="1") == []
    assert lake.store(lake.create(NEW), "3", day=3, folder="3") == []


@pytest.mark.parametrize("value", ["stop", "", None])
def test_other_values_are_refused(lake, value):
    with pytest.raises(ConnectifArgumentError, match=r"on_schema_change: .* use 'warn', 'fail' or 'ignore'"):
        ConnectifExportToObjectStorageOperator(
            task_id="task", destination=lake.uri, on_schema_change=value, **ACTIVITIES
        )


def test_it_is_templated(lake):
    assert "on_schema_change" in ConnectifExportToObjectStorageOperator.template_fields
    ConnectifExportToObjectStorageOperator(
        task_id="task", destination=lake.uri, on_schema_change="{{ params.x }}", file_format="archive", **ACTIVITIES
    )
