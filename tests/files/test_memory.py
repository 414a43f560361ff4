# SPDX-License-Identifier: Apache-2.0
"""Memory does not grow with the file (promise 4)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores import Place

pytestmark = pytest.mark.slow


def growth(place: Place, mib: int, members: int = 1) -> float:
    """Return by how many MiB the peak memory of a process grows when it delivers files of this size."""
    arguments = {"place": place.describe(), "mib": mib, "members": members}
    done = subprocess.run(
        [sys.executable, "-m", "tests.files.memory_process", json.dumps(arguments)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=300,
        check=True,
    )
    return float(done.stdout)


@pytest.mark.parametrize("kind", ["local", "s3", "azure"])
def test_a_large_file_takes_no_more_memory_than_a_small_one(request: pytest.FixtureRequest, kind: str) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    small, large = growth(place, 64), growth(place, 400)
    assert large < 150
    assert large < small + 40


def test_eight_files_take_at_most_10_mb_more_than_one(s3_store: Place) -> None:
    assert growth(s3_store, 64, members=8) < growth(s3_store, 64) + 10
