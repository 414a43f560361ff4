# SPDX-License-Identifier: Apache-2.0
"""What asset events and OpenLineage say about what was stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.tasks.lineage import export_dataset, openlineage_dataset, operator_lineage
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


class TestOutletEvents:
    def test_contain_what_was_stored(self, sandbox, task, tmp_path):
        export_id = sandbox.create_in_app()
        result, events = run(task, transfer(tmp_path, export_id=export_id))
        [file] = result["files"]
        assert events[LAKE].extra == {
            "export_id": export_id,
            "destination": f"file://{tmp_path}/out",
            "files": [{name: file[name] for name in ("path", "bytes", "rows", "columns", "part")}],
            "bytes": file["bytes"],
            "manifest": result["manifest"],
            "unchanged": False,
            "items": 5,
        }
        assert (file["rows"], file["columns"][0], file["part"]) == (5, "email", "")
        assert words_before_a_secret(json.dumps(events[LAKE].extra)) is None

    def test_contain_the_same_if_the_export_was_stored_already(self, sandbox, task, tmp_path):
        export_id = sandbox.create_in_app()
        _, first = run(task, transfer(tmp_path, export_id=export_id))
        _, again = run(task, transfer(tmp_path, export_id=export_id))
        assert again[LAKE].extra == first[LAKE].extra

    def test_contain_the_existing_export_if_it_is_kept(self, sandbox, task, tmp_path):
        existing = sandbox.create_in_app()
        run(task, transfer(tmp_path, export_id=existing))
        _, events = run(task, transfer(tmp_path, export_id=sandbox.create_in_app(), if_exists="skip"))
        assert events[LAKE].extra["export_id"] == existing

    def test_have_no_item_count_if_the_api_reports_none(self, sandbox, task, tmp_path):
        sandbox.set(hide_progress=True)
        _, events = run(task, transfer(tmp_path, export_id=sandbox.create_in_app()))
        assert "items" not in events[LAKE].extra

    def test_are_extended_for_each_asset_and_keep_what_they_contained(self, sandbox, task, tmp_path):
        operator = transfer(tmp_path, export_id=sandbox.create_in_app(), outlets=[LAKE, OTHER, AssetAlias("alias")])
        events = OutletEventAccessors()
        events[LAKE].extra["team"] = "sales"
        operator.execute({**task.context(), "outlet_events": events})
        assert events[LAKE].extra["team"] == "sales"
        assert events[OTHER].extra["bytes"] == events[LAKE].extra["bytes"] > 0

    def test_are_not_needed(self, sandbox, task, tmp_path):
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
    def test_a_folder_is_named_by_openlineages_rules(self, uri, dataset):
        assert openlineage_dataset(uri) == dataset

    def test_has_the_folder_as_its_output(self, sandbox, task, tmp_path):
        pytest.importorskip("airflow.providers.openlineage.extractors")
        operator = transfer(tmp_path, export_id=sandbox.create_in_app())
        result, _ = run(task, operator)
        [output] = operator.get_openlineage_facets_on_complete(task.ti).outputs
        assert (output.namespace, output.name) == ("file", f"{tmp_path}/out")
        statistics = output.outputFacets["outputStatistics"]
        assert (statistics.size, statistics.fileCount) == (result["files"][0]["bytes"], 1)
        assert statistics.rowCount == 5
        assert [field.name for field in output.facets["schema"].fields] == result["files"][0]["columns"]

    def test_has_what_was_exported_as_its_input(self, sandbox, task, tmp_path):
        pytest.importorskip("airflow.providers.openlineage.extractors")
        operator = transfer(tmp_path, export_id=sandbox.create_in_app())
        run(task, operator)
        [dataset] = operator.get_openlineage_facets_on_complete(task.ti).inputs
        assert (dataset.namespace, dataset.name) == ("connectif://127.0.0.1", "exports/contacts")
        assert dataset.facets["schema"].fields[0].name == "email"

    @pytest.mark.parametrize(
        ("export", "name"),
        [
            (Export("1", "finished", "activities"), "exports/activities"),
            (Export("1", "finished", "data-explorer", filters={"reportId": "r1"}), "exports/data-explorer/r1"),
            (Export("1", "finished"), "exports/unknown"),
        ],
    )
    def test_what_was_exported_has_the_same_name_for_each_export_of_its_kind(self, export, name):
        assert export_dataset(export) == name

    def test_the_columns_of_further_files_are_nested_under_their_part(self):
        pytest.importorskip("airflow.providers.openlineage.extractors")
        files = [
            {"bytes": 1, "rows": 2, "columns": ["sku"], "part": "products"},
            {"bytes": 1, "rows": 3, "columns": ["id", "type"], "part": ""},
        ]
        [output] = operator_lineage({"destination": "s3://lake/a", "files": files}).outputs
        fields = output.facets["schema"].fields
        assert [field.name for field in fields] == ["id", "type", "products"]
        assert [field.name for field in fields[2].fields] == ["sku"]
        assert output.outputFacets["outputStatistics"].rowCount == 5

    def test_has_no_columns_and_no_row_count_if_they_are_unknown(self):
        pytest.importorskip("airflow.providers.openlineage.extractors")
        files = [{"bytes": 1, "rows": None, "columns": None, "part": None}]
        [output] = operator_lineage({"destination": "s3://lake/a", "files": files}).outputs
        assert not output.facets
        assert output.outputFacets["outputStatistics"].rowCount is None

    def test_is_empty_if_nothing_was_stored(self, tmp_path):
        pytest.importorskip("airflow.providers.openlineage.extractors")
        assert transfer(tmp_path, export_id="x").get_openlineage_facets_on_complete(None).outputs == []

    def test_is_none_without_airflows_openlineage_provider(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "airflow.providers.openlineage.extractors", None)
        assert operator_lineage({"destination": "s3://lake/a", "files": []}) is None
