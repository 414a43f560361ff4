# SPDX-License-Identifier: Apache-2.0
"""What is told of what was stored: to assets, and to OpenLineage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_connectif.tasks.lineage import openlineage_dataset, operator_lineage
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from tests.airflow_harness import FakeTask
from tests.leaks import words_before_a_secret

LAKE = Asset("lake")
OTHER = Asset("other")


def transfer(tmp_path: Path, **arguments: Any) -> ConnectifExportToObjectStorageOperator:
    return ConnectifExportToObjectStorageOperator(
        **{"task_id": "store", "destination": f"file://{tmp_path}/out", "outlets": [LAKE], **arguments}
    )


def run(task: FakeTask, operator: ConnectifExportToObjectStorageOperator) -> tuple[Any, OutletEventAccessors]:
    events = OutletEventAccessors()
    result = operator.execute({**task.context(), "outlet_events": events})
    return result, events


class TestAnOutlet:
    def test_is_told_what_was_stored(self, sandbox, task, tmp_path):
        export_id = sandbox.create_in_app()
        result, events = run(task, transfer(tmp_path, export_id=export_id))
        [file] = result["files"]
        assert events[LAKE].extra == {
            "export_id": export_id,
            "destination": f"file://{tmp_path}/out",
            "files": [{"path": file["path"], "bytes": file["bytes"]}],
            "bytes": file["bytes"],
            "manifest": result["manifest"],
            "items": 5,
        }
        assert words_before_a_secret(json.dumps(events[LAKE].extra)) is None

    def test_is_told_the_same_where_nothing_had_to_be_done(self, sandbox, task, tmp_path):
        export_id = sandbox.create_in_app()
        _, first = run(task, transfer(tmp_path, export_id=export_id))
        _, again = run(task, transfer(tmp_path, export_id=export_id))
        assert again[LAKE].extra == first[LAKE].extra

    def test_is_told_what_is_there_where_another_export_is_left_alone(self, sandbox, task, tmp_path):
        there = sandbox.create_in_app()
        run(task, transfer(tmp_path, export_id=there))
        _, events = run(task, transfer(tmp_path, export_id=sandbox.create_in_app(), if_exists="skip"))
        assert events[LAKE].extra["export_id"] == there

    def test_no_count_of_items_where_the_api_tells_none(self, sandbox, task, tmp_path):
        sandbox.set(hide_progress=True)
        _, events = run(task, transfer(tmp_path, export_id=sandbox.create_in_app()))
        assert "items" not in events[LAKE].extra

    def test_is_told_beside_others_and_keeps_what_somebody_has_said(self, sandbox, task, tmp_path):
        operator = transfer(tmp_path, export_id=sandbox.create_in_app(), outlets=[LAKE, OTHER, AssetAlias("alias")])
        events = OutletEventAccessors()
        events[LAKE].extra["team"] = "sales"
        operator.execute({**task.context(), "outlet_events": events})
        assert events[LAKE].extra["team"] == "sales"
        assert events[OTHER].extra["bytes"] == events[LAKE].extra["bytes"] > 0

    def test_none_is_no_matter(self, sandbox, task, tmp_path):
        assert run(task, transfer(tmp_path, export_id=sandbox.create_in_app(), outlets=[]))[0]["files"]


class TestLineage:
    @pytest.mark.parametrize(
        ("uri", "dataset"),
        [
            ("s3://lake/connectif/a", ("s3://lake", "connectif/a")),
            ("s3a://lake/a", ("s3://lake", "a")),
            ("s3://aws_default@lake/a", ("s3://lake", "a")),
            ("gcs://lake/a", ("gs://lake", "a")),
            (
                "abfss://container@account.dfs.core.windows.net/a",
                ("abfss://container@account.dfs.core.windows.net", "a"),
            ),
            ("s3://lake", ("s3://lake", "/")),
            ("file:///data/a", ("file", "/data/a")),
            ("/data/a", ("file", "/data/a")),
        ],
    )
    def test_names_a_folder_as_openlineage_names_datasets(self, uri, dataset):
        assert openlineage_dataset(uri) == dataset

    def test_is_of_the_folder_that_was_written(self, sandbox, task, tmp_path):
        pytest.importorskip("airflow.providers.openlineage.extractors")
        operator = transfer(tmp_path, export_id=sandbox.create_in_app())
        result, _ = run(task, operator)
        [output] = operator.get_openlineage_facets_on_complete(task.ti).outputs
        assert (output.namespace, output.name) == ("file", f"{tmp_path}/out")
        statistics = output.outputFacets["outputStatistics"]
        assert (statistics.size, statistics.fileCount) == (result["files"][0]["bytes"], 1)

    def test_is_empty_where_nothing_was_stored(self, tmp_path):
        pytest.importorskip("airflow.providers.openlineage.extractors")
        assert transfer(tmp_path, export_id="x").get_openlineage_facets_on_complete(None).outputs == []

    def test_is_none_without_airflows_openlineage_provider(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "airflow.providers.openlineage.extractors", None)
        assert operator_lineage({"destination": "s3://lake/a", "files": []}) is None
