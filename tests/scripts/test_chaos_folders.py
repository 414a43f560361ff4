# SPDX-License-Identifier: Apache-2.0
"""``make chaos`` is not run with the other tests, so one round of its first part is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.system
def test_a_round_leaves_the_objects_of_the_manifest() -> None:
    pytest.importorskip("moto", reason="it is not a dependency of the tests with the lowest versions")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.chaos_folders", "--rounds", "1", "--seed", "1"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "PASSED" in done.stdout
