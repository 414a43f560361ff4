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
def test_both_sides_store_an_export(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--only", "g", "--mb", "1", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--scratch", str(tmp_path), "--json", str(results)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert results.exists(), done.stderr[-2000:]
    (row,) = json.loads(results.read_text())
    assert row["name"] == "g"
    assert row["ours"] > 0
    assert row["theirs"] > 0
