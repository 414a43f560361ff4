# SPDX-License-Identifier: Apache-2.0
"""Storing an export with options, for the operator and for the command line."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_connectif.api.argument_checks import UNKNOWN
from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.hooks.connectif import ConnectifHook
from airflow_provider_connectif.tasks.transfer import StoreOptions, find_stored_export, store_export

log = logging.getLogger(__name__)
WRITER = {"dag_id": "lake", "run_id": "run-1", "task_id": "store", "map_index": -1, "clear_number": 0}


def store(export_id: str, options: StoreOptions, writer: dict[str, Any] | None = None) -> dict[str, Any]:
    client = ConnectifHook().get_conn()
    export = client.get_export(export_id)
    return store_export(client, export, options, writer=writer or WRITER, on_progress=lambda *_: None, log=log)


@pytest.fixture
def options(tmp_path: Path) -> StoreOptions:
    return StoreOptions(f"{tmp_path}/lake")


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"destination": "lake"}, "destination: 'lake' has no scheme"),
            ({"file_format": "zip"}, "file_format: 'zip' is not supported; use 'csv', 'csv.gz', 'parq"),
            ({"if_exists": "append"}, "if_exists: 'append' is not supported; use 'replace', 'skip' or 'error'"),
            ({"max_uncompressed_bytes": -1}, "max_uncompressed_bytes: -1 is not a positive number of bytes"),
            ({"max_uncompressed_bytes": True}, "max_uncompressed_bytes: True is not a positive number of bytes"),
        ],
    )
    def test_invalid_ones_are_named(self, options, message):
        with pytest.raises(InvalidArgument, match=message):
            StoreOptions(**{"destination": "/lake", **options}).check()

    def test_unknown_ones_are_not_checked(self):
        StoreOptions("{{ x }}", UNKNOWN, UNKNOWN, UNKNOWN).check()


class TestStoring:
    def test_uses_the_url_that_came_with_the_export(self, sandbox, options):
        store(sandbox.create_in_app(), options)
        assert sandbox.stats.by_route["GET /exports/{id}"] == 1
        assert sandbox.stats.file_requests > 0

    def test_requests_another_url_if_that_one_is_refused(self, sandbox, options):
        sandbox.fault("file", "403")
        store(sandbox.create_in_app(), options)
        assert sandbox.stats.by_route["GET /exports/{id}"] == 2

    def test_logs_whether_anything_was_downloaded(self, sandbox, options, caplog):
        export_id = sandbox.create_in_app()
        store(export_id, options)
        assert f"Stored export {export_id}: 1 file(s), " in caplog.text
        caplog.clear()
        store(export_id, options)
        assert f"Export {export_id} is already stored, nothing was downloaded: 1 file(s), " in caplog.text


class TestFindingAStoredExport:
    def test_returns_the_result_of_its_transfer(self, sandbox, options):
        stored = store(sandbox.create_in_app(), options)
        before = sandbox.stats.requests
        found = find_stored_export(options, writer={**WRITER, "run_id": "run-2"}, log=log)
        assert found == {**stored, "unchanged": True}
        assert sandbox.stats.requests == before

    def test_returns_none_for_an_empty_folder(self, options):
        assert find_stored_export(options, writer=WRITER, log=log) is None

    def test_returns_none_if_a_file_is_missing(self, sandbox, options):
        [file] = store(sandbox.create_in_app(), options)["files"]
        Path(file["path"]).unlink()
        assert find_stored_export(options, writer=WRITER, log=log) is None

    def test_returns_none_if_the_folder_depends_on_the_export(self, sandbox, options, tmp_path):
        store(sandbox.create_in_app(), options)
        assert find_stored_export(StoreOptions(f"{tmp_path}/{{export_type}}"), writer=WRITER, log=log) is None
