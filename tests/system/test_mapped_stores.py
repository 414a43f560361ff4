# SPDX-License-Identifier: Apache-2.0
"""Mapped tasks in a real Airflow store the exports of the list: many into their own folders, and eight into one."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, sandbox_connection
from tests.system.conftest import BUCKET, S3

STORES = int(os.environ.get("CONNECTIF_TEST_STORES", "500"))
PAGE_SIZE = 50

pytestmark = pytest.mark.skipif(
    "CONNECTIF_TEST_STORES" not in os.environ, reason="takes minutes: make test-scale runs it"
)


@pytest.fixture(scope="module")
def vendor() -> Iterator[Any]:
    with Sandbox(SandboxOptions(rate_limit=10, seconds_per_export=0, rows=5)).serve(port=0) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lake")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, vendor: Any, s3: S3, folder: Path) -> Iterator[LocalAirflow]:
    airflow = LocalAirflow(
        tmp_path_factory.mktemp("mapped") / "airflow",
        dags=Path(__file__).parent / "dags",
        connections={
            "connectif_default": sandbox_connection(vendor.url, vendor.key),
            "aws_default": s3.connection,
        },
        environment={
            "CONNECTIF_LAKE": f"s3://{BUCKET}",
            "CONNECTIF_STORAGE_CONN_ID": "aws_default",
            "CONNECTIF_FOLDER": f"file://{folder}",
            "AIRFLOW__CORE__PARALLELISM": "8",
            # This many tasks overload two processors: by default, clients of the API server time out after 5 s, and a
            # scheduler that is 30 s late is considered dead, and its queued tasks are started again.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "600",
        },
    )
    with airflow:
        yield airflow


def run(local: LocalAirflow, dag_id: str, timeout: float) -> tuple[str, list[dict[str, Any]]]:
    """Run a DAG, and return the state of the run and the mapped instances of its task ``store``."""
    run_id = local.trigger(dag_id)
    state = local.wait_for_run(dag_id, run_id, timeout=timeout)
    instances: list[dict[str, Any]] = []
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/store/listMapped"
    while True:
        page = local.api("GET", path, params={"limit": 100, "offset": len(instances)})
        instances += page["task_instances"]
        if not page["task_instances"] or len(instances) >= page["total_entries"]:
            return state, instances


@pytest.mark.parametrize("kind", ["folder", "prefix"])
def test_of_eight_tasks_with_one_destination_one_succeeds_and_seven_fail_without_a_retry(
    kind, local, vendor, s3, folder
):
    missing = 8 - vendor.stats.created_in_app
    for _ in range(missing):
        vendor.create_in_app({"exportType": "banner-stats"})
    dag_id = f"mapped_into_one_{kind}"
    state, instances = run(local, dag_id, timeout=900)
    assert state == "failed"
    assert Counter(each["state"] for each in instances) == {"success": 1, "failed": 7}
    assert {each["try_number"] for each in instances} == {1}
    [winner] = [each["map_index"] for each in instances if each["state"] == "success"]
    found = (
        {path.name: path.read_bytes() for path in (folder / "one").iterdir()}
        if kind == "folder"
        else {name.removeprefix("one/"): s3.read(name) for name in s3.objects("one/")}
    )
    manifest = json.loads(found.pop("_connectif_manifest.json"))
    assert manifest["writer"]["map_index"] == winner
    listed = {file["path"]: file["sha256"] for file in manifest["files"]}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in found.items()} == listed
    logs = [text for path, text in local.all_logs() if f"dag_id={dag_id}/" in str(path)]
    failed = [text for text in logs if "of the same run stores its export in this folder" in text]
    assert len(failed) == 7
    assert all("put {export_id}, or another field" in text for text in failed)


def test_many_mapped_tasks_succeed_with_two_api_requests_and_one_file_request_each(local, vendor, s3):
    created = {vendor.create_in_app() for _ in range(STORES)}
    before = vendor.stats
    began = time.monotonic()
    state, instances = run(local, "mapped_stores", timeout=3600)
    took = time.monotonic() - began
    stats = vendor.stats
    counted = Counter(stats.by_route) - Counter(before.by_route)
    tries = sum(each["try_number"] for each in instances)
    files, refused = stats.file_requests - before.file_requests, stats.rate_limited - before.rate_limited
    print(
        f"{STORES} mapped stores against {vendor.options.rate_limit} requests a second, in {took:.0f} s: "
        f"{tries} tries, {dict(counted)}, {files} of files; {refused} of them refused with 429"
    )
    assert state == "success"
    assert Counter(each["state"] for each in instances) == {"success": STORES}
    manifests = [name for name in _all_objects(s3, "stores/") if name.endswith("_connectif_manifest.json")]
    assert {name.split("/")[1] for name in manifests} == created
    assert counted["GET /exports"] >= -(-len(created) // PAGE_SIZE)
    assert counted["GET /exports/{id}"] <= 2 * STORES
    # On a busy machine Airflow loses some tasks and retries them, and a killed task may have downloaded its file.
    assert files <= tries


def _all_objects(s3: S3, prefix: str) -> list[str]:
    pages = s3.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]
