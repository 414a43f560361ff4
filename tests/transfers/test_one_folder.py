# SPDX-License-Identifier: Apache-2.0
"""Eight concurrent mapped tasks with the same destination (promise 3)."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from tests.airflow_harness import FakeTask, FakeTaskInstance
from tests.stores import S3_KEY, S3_SECRET, s3_server  # noqa: F401  fixture

MANIFEST = "_connectif_manifest.json"


@pytest.fixture(autouse=True)
def simulated_leases() -> None:
    """The tasks wait for each other on the machine's clock."""


@pytest.fixture(params=["a local folder", "S3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """The folder's URI, and its path on this machine."""
    if request.param != "S3":
        return f"file://{tmp_path}/lake/reports", tmp_path / "lake" / "reports"
    endpoint, buckets = request.getfixturevalue("s3_server")
    extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": S3_KEY, "password": S3_SECRET, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    (buckets / "one-folder").mkdir(exist_ok=True)
    return "s3://one-folder/reports", buckets / "one-folder" / "reports"


@pytest.mark.parametrize("if_exists", ["replace", "skip"])
def test_one_stores_its_export_and_seven_fail_with_the_correction(sandbox, place, if_exists):
    uri, folder = place
    folder = folder / if_exists
    ids = [sandbox.create_in_app({"exportType": "activities"}) for _ in range(8)]
    ready = threading.Barrier(8)
    ended: dict[int, Any] = {}

    def run(index: int) -> None:
        operator = ConnectifExportToObjectStorageOperator(
            task_id="store",
            export_id=ids[index],
            destination=f"{uri}/{if_exists}",
            storage_conn_id="aws_default" if uri.startswith("s3") else None,
            if_exists=if_exists,
        )
        task = FakeTask(FakeTaskInstance(map_index=index))
        ready.wait(30)
        try:
            ended[index] = task.run(operator)
        except Exception as problem:
            ended[index] = problem

    threads = [threading.Thread(target=run, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    [winner] = [index for index, result in ended.items() if isinstance(result, dict)]
    failures = [problem for index, problem in ended.items() if index != winner]
    assert len(failures) == 7
    assert all(isinstance(problem, AirflowFailException) for problem in failures), failures
    assert all("put {export_id}, or another field" in str(problem) for problem in failures), failures

    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["export"]["id"] == ids[winner]
    assert manifest["writer"]["map_index"] == winner
    assert {path.name for path in folder.iterdir()} == {MANIFEST, *(file["path"] for file in manifest["files"])}
    for file in manifest["files"]:
        assert hashlib.sha256((folder / file["path"]).read_bytes()).hexdigest() == file["sha256"]
