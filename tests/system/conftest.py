# SPDX-License-Identifier: Apache-2.0
"""Real servers, each of which is started once for all system tests: the sandbox, an S3 server, Airflow, a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore.config import Config

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.browser import chromium
from scripts.local_airflow import LocalAirflow, free_port, sandbox_connection, wait_for

if TYPE_CHECKING:
    from selenium import webdriver

ROOT = Path(__file__).parents[2]
BUCKET = "lake"


#: Modules that run many DAG runs one after another, each of which takes minutes.
LONG = {
    "test_clearing.py",
    "test_export_failed.py",
    "test_partitions.py",
    "test_schema_changes.py",
    "test_unchanged.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_long = pytest.mark.skip(reason="takes minutes: make test-long runs it")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.system)
            if item.path.name in LONG and "CONNECTIF_TEST_LONG" not in os.environ:
                item.add_marker(skip_long)


@pytest.fixture(scope="package")
def sandbox() -> Iterator[Any]:
    """A sandbox whose exports take a few seconds, so that tasks have to wait."""
    with Sandbox(SandboxOptions(queue_seconds=1, seconds_per_export=4, rows=500)).serve(port=0) as running:
        yield running


class S3:
    """An S3 server: rclone, which stores objects in a folder."""

    key, secret = "system-test-key", "system-test-secret"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def connection(self) -> dict[str, Any]:
        extra = {"endpoint_url": self.url, "region_name": "us-east-1"}
        return {"conn_type": "aws", "login": self.key, "password": self.secret, "extra": extra}

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            config=Config(s3={"addressing_style": "path"}),
        )

    def objects(self, prefix: str = "") -> dict[str, int]:
        """Return the size of each object with a prefix, by key."""
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {item["Key"]: item["Size"] for item in found}

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    server = S3(tmp_path_factory.mktemp("s3"))
    process = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("rclone")),
            *("serve", "s3", str(server.folder), "--addr", f"127.0.0.1:{server.port}"),
            *("--auth-key", f"{server.key},{server.secret}"),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for("the S3 server", lambda: requests.get(server.url, timeout=5).status_code, 30)
        server.client.create_bucket(Bucket=BUCKET)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="package")  # so that it is not running during the tests of other packages
def airflow(tmp_path_factory: pytest.TempPathFactory, sandbox: Any, s3: S3) -> Iterator[LocalAirflow]:
    """A real Airflow with the example DAGs, and connections to the sandbox and to the S3 server.

    Its OpenLineage events are appended to ``openlineage.jsonl`` in its home folder.
    """
    home = tmp_path_factory.mktemp("airflow")
    lineage = {"type": "file", "log_file_path": str(home / "openlineage.jsonl"), "append": True}
    local = LocalAirflow(
        home,
        dags=ROOT / "example_dags",
        connections={
            "connectif_default": sandbox_connection(sandbox.url, sandbox.key),
            "aws_default": s3.connection,
        },
        environment={
            "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(lineage),
            "CONNECTIF_LAKE": f"s3://{BUCKET}",
            "CONNECTIF_STORAGE_CONN_ID": "aws_default",
        },
    )
    with local:
        yield local


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder for screenshots, which are kept for inspection after the tests."""
    folder = ROOT / ".screenshots"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """Headless Chromium."""
    with chromium("--window-size=1200,1300") as opened:
        yield opened
