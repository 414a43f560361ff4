# SPDX-License-Identifier: Apache-2.0
"""The benchmarks are not run with the other tests, so one of them is, with a file that is too small to measure."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.system
@pytest.mark.skipif(not all(map(shutil.which, ("curl", "funzip", "openssl"))), reason="the other side needs them")
def test_both_sides_store_an_export_and_requests_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("moto", reason="it is not a dependency of the tests with the lowest versions")
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--only", "gh", "--mb", "1", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--scratch", str(tmp_path), "--json", str(results)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert results.exists(), done.stderr[-2000:]
    row, *requests = json.loads(results.read_text())
    assert row["name"] == "g"
    assert row["ours"] > 0
    assert row["theirs"] > 0
    assert len(requests) == 2
    for each in requests:
        assert 3 <= each["empty"] <= 12
        assert 1 <= each["complete"] <= 3
