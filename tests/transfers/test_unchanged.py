# SPDX-License-Identifier: Apache-2.0
"""Files whose content is already stored are marked as unchanged, and their asset event may be suppressed."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from tests.airflow_harness import FakeTask, FakeTaskInstance

ORDERS = Asset("orders")
TEXT = "id,total\n1,5.00\n2,7.50\n" * 2000


class TaskInstance(FakeTaskInstance):
    """A task instance that can ask for the states of others, as in Airflow."""

    def __init__(self, run_id: str, states: dict[str, dict[str, str]], map_index: int = -1) -> None:
        super().__init__(run_id=run_id, map_index=map_index)
        self.states = states

    def get_task_states(self, *, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, Any]:
        assert (dag_id, task_ids) == (self.dag_id, [self.task_id])
        return {run_id: self.states[run_id] for run_id in run_ids if run_id in self.states}


class Lake:
    """Runs of one task that store into one folder."""

    def __init__(self, sandbox: Any, folder: Any) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.states: dict[str, dict[str, str]] = {}
        self.runs = 0
        self.file_format = "csv"

    def create(self, *texts: str, level: int = 6) -> str:
        """Create an export with these files, whose names differ from those of any other export."""
        export_id = self.sandbox.create_in_app()
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as file:
            for number, text in enumerate(texts):
                file.writestr(f"export-{export_id}{'-products' * number}.csv", text)
        self.sandbox.replace_file(export_id, archive.getvalue())
        return export_id

    def store(
        self, export_id: str, *, run: str | None = None, ends: str = "success", map_index: int = -1, **arguments: Any
    ) -> tuple[bool, bool]:
        """Run the task, and return whether it reports that nothing has changed, and whether it emits an event."""
        self.runs += run is None
        run = run or f"run-{self.runs}"
        self.states.pop(run, None)
        operator = ConnectifExportToObjectStorageOperator(
            task_id="task",
            export_id=export_id,
            destination=f"file://{self.folder}",
            file_format=self.file_format,
            outlets=[ORDERS],
            **{"skip_event_if_unchanged": True, **arguments},
        )
        events = OutletEventAccessors()
        task = FakeTask(ti=TaskInstance(run, self.states, map_index))
        result = operator.execute({**task.context(), "outlet_events": events})
        self.states[run] = {"task" if map_index < 0 else f"task_{map_index}": ends}
        emits = ORDERS in operator.outlets
        assert events[ORDERS].extra.get("unchanged", True) == result["unchanged"] or not emits
        assert bool(events[ORDERS].extra) == emits
        return result["unchanged"], emits

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.folder / "_connectif_manifest.json").read_text())


@pytest.fixture
def lake(sandbox, tmp_path) -> Lake:
    return Lake(sandbox, tmp_path / "orders")


CHANGED, UNCHANGED = (False, True), (True, False)


@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "parquet"])
class TestContent:
    def test_that_is_stored_already_is_marked_and_not_announced_again(self, lake, file_format):
        lake.file_format = file_format
        assert lake.store(lake.create(TEXT)) == CHANGED
        for _ in range(3):
            second = lake.create(TEXT)
            assert lake.store(second) == UNCHANGED
            assert lake.manifest["export"]["id"] == second

    def test_that_differs_by_one_letter_is_announced(self, lake, file_format):
        lake.file_format = file_format
        lake.store(lake.create(TEXT))
        assert lake.store(lake.create(TEXT.replace("7.50", "7.51", 1))) == CHANGED
        assert lake.store(lake.create(TEXT)) == CHANGED

    def test_consists_of_all_files(self, lake, file_format):
        lake.file_format = file_format
        assert lake.store(lake.create(TEXT, "product\na\n")) == CHANGED
        assert lake.store(lake.create(TEXT, "product\nb\n")) == CHANGED
        assert lake.store(lake.create(TEXT)) == CHANGED
        assert lake.store(lake.create(TEXT)) == UNCHANGED

    def test_is_announced_by_default_and_marked(self, lake, file_format):
        lake.file_format = file_format
        lake.store(lake.create(TEXT))
        assert lake.store(lake.create(TEXT), skip_event_if_unchanged=False) == (True, True)

    def test_of_files_that_were_deleted_or_damaged_in_between_is_announced(self, lake, file_format):
        lake.file_format = file_format
        lake.store(lake.create(TEXT))
        [file] = lake.folder.glob("export-*")
        file.write_bytes(b"")
        assert lake.store(lake.create(TEXT)) == CHANGED


class TestFormat:
    def test_that_differs_is_a_change(self, lake):
        lake.store(lake.create(TEXT))
        lake.file_format = "csv.gz"
        assert lake.store(lake.create(TEXT)) == CHANGED

    def test_with_other_types_of_columns_is_a_change(self, lake):
        lake.file_format = "parquet"
        text = "id,total\n1,5.00\n"
        assert lake.store(lake.create(text)) == CHANGED
        assert lake.store(lake.create(text), column_types={"id": "int64"}) == CHANGED
        assert lake.store(lake.create(text), column_types={"id": " INT64"}) == UNCHANGED

    def test_compressed_differently_is_not_a_change(self, lake):
        lake.file_format = "csv.gz"
        lake.store(lake.create(TEXT, level=9))
        [before] = [path.read_bytes() for path in lake.folder.glob("*.gz")]
        assert lake.store(lake.create(TEXT, level=1)) == UNCHANGED
        [after] = [path.read_bytes() for path in lake.folder.glob("*.gz")]
        assert before != after
        assert gzip.decompress(before) == gzip.decompress(after)

    def test_archive_is_compared_by_its_bytes(self, lake):
        lake.file_format = "archive"
        lake.store(lake.create(TEXT))
        assert lake.store(lake.create(TEXT)) == CHANGED  # the names in the archive differ


class TestChangeThatNobodyKnowsOf:
    """Airflow creates the event only when the task has succeeded, which is after the files were stored."""

    def test_is_announced_by_the_next_run_if_the_task_failed_after_it_had_stored_the_files(self, lake):
        assert lake.store(lake.create(TEXT), ends="failed") == CHANGED
        assert lake.store(lake.create(TEXT)) == CHANGED
        assert lake.store(lake.create(TEXT)) == UNCHANGED

    def test_is_announced_by_the_retry_which_downloads_nothing(self, lake):
        export_id = lake.create(TEXT)
        assert lake.store(export_id, run="a", ends="up_for_retry") == CHANGED
        assert lake.store(export_id, run="a") == CHANGED

    def test_is_announced_if_the_state_of_the_task_is_not_known(self, lake):
        lake.store(lake.create(TEXT))
        lake.states.clear()
        assert lake.store(lake.create(TEXT)) == CHANGED

    def test_is_announced_if_airflow_does_not_respond(self, lake, monkeypatch):
        def fail(*_: Any, **__: Any) -> Any:
            raise RuntimeError("no response")

        lake.store(lake.create(TEXT))
        monkeypatch.setattr(TaskInstance, "get_task_states", fail)
        assert lake.store(lake.create(TEXT)) == CHANGED

    def test_is_announced_if_a_mapped_task_with_another_index_succeeded(self, lake):
        lake.store(lake.create(TEXT), run="a", map_index=1, ends="failed")
        lake.states["a"]["task_0"] = "success"
        assert lake.store(lake.create(TEXT), map_index=1) == CHANGED
        assert lake.store(lake.create(TEXT), map_index=1) == UNCHANGED

    def test_was_made_by_an_export_of_which_the_folder_is_a_copy_is_announced_once(self, lake):
        """A run that finds the export of another run, such as after an event that was repeated."""
        export_id = lake.create(TEXT)
        assert lake.store(export_id) == CHANGED
        assert lake.store(export_id) == UNCHANGED
        assert lake.store(lake.create(TEXT), if_exists="skip") == UNCHANGED

    def test_is_announced_if_the_command_line_stored_it(self, lake):
        lake.store(lake.create(TEXT))
        path = lake.folder / "_connectif_manifest.json"
        path.write_text(json.dumps({**lake.manifest, "writer": {"command": "airflow connectif"}}))
        assert lake.store(lake.create(TEXT)) == CHANGED


def test_a_manifest_of_an_earlier_version_is_compared_too(lake):
    lake.store(lake.create(TEXT))
    path = lake.folder / "_connectif_manifest.json"
    content = lake.manifest
    for file in content["files"]:
        for name in ("rows", "columns", "part", "digest"):
            file.pop(name, None)
    path.write_text(json.dumps(content))
    assert lake.store(lake.create(TEXT)) == UNCHANGED
