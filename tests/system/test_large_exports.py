# SPDX-License-Identifier: Apache-2.0
"""Exports of any size are stored in constant memory and without a local disk, each in a separate process.

``CONNECTIF_LARGE_GB=20`` makes the largest one 20 GB, which takes a minute or two.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.stores import Place

pytestmark = pytest.mark.system

LARGE_GB = float(os.environ.get("CONNECTIF_LARGE_GB", "2"))


def journey(place: Place, file_bytes: int, file_format: str, **hindered: Any) -> dict[str, Any]:
    """Store an export of the sandbox with a CSV file of a given size."""
    options = SandboxOptions(file_bytes=file_bytes, seconds_per_export=0)
    with Sandbox(options).serve() as running:
        export_id = running.create_in_app({"exportType": "contacts"})
        headers = {"Authorization": f"apiKey {running.key}"}
        export = requests.get(f"{running.url}/exports/{export_id}", headers=headers, timeout=30).json()
        arguments = {"place": place.describe(), "file_format": file_format, "id": str(file_bytes)}
        arguments["url"] = export["fileUrl"]
        done = subprocess.run(
            [sys.executable, "-m", "tests.files.export_process", json.dumps({**arguments, **hindered})],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            timeout=1200,
        )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "parquet", "archive"])
@pytest.mark.parametrize("kind", ["local", "s3", "azure"])
def test_an_export_is_stored_by_a_process_that_cannot_write_any_other_file(
    request: pytest.FixtureRequest, kind: str, file_format: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    result = journey(place, 40_000_000, file_format, diskless=True)
    (file,) = result["files"]
    stored = place.read(file["path"].rsplit("/", 1)[1])
    assert hashlib.sha256(stored).hexdigest() == file["sha256"]
    assert len(stored) == 40_000_000 if file_format == "csv" else len(stored) > 1_000_000


def test_a_large_export_needs_no_more_memory_than_a_small_one(local_store: Place) -> None:
    small = journey(local_store, 64_000_000, "csv", sparse=True)
    large = journey(local_store, int(LARGE_GB * 1e9), "csv", sparse=True)
    assert [file["bytes"] for file in large["files"]] == [int(LARGE_GB * 1e9)]
    assert large["grown_mib"] < small["grown_mib"] + 20
    assert 1 < large["grown_mib"] < 70


def test_the_memory_for_parquet_is_limited(local_store: Place) -> None:
    types = {"createdAt": "timestamp", "totalAmount": "decimal(18,2)", "points": "int64"}
    large = journey(local_store, int(LARGE_GB * 1e9), "parquet", sparse=True)
    typed = journey(local_store, int(LARGE_GB * 1e9), "parquet", sparse=True, column_types=types)
    for result in (large, typed):
        assert all(file["rows"] > LARGE_GB * 5e6 for file in result["files"])
        assert result["grown_mib"] * 1024 * 1024 < 150_000_000
