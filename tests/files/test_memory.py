# SPDX-License-Identifier: Apache-2.0
"""Promise 4: memory does not grow with the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_connectif.files.stores.background import MIB
from airflow_provider_connectif.files.stores.parts import MAX_PARTS, equal_part_size, growing_part_size
from tests.stores import Place


def growth(place: Place, mib: int) -> float:
    """MiB that the peak of a process rises by when it delivers a file of so many MiB."""
    told = {**vars(place), "fs": None, "server": None, "mib": mib}
    done = subprocess.run(
        [sys.executable, "-m", "tests.files.measured", json.dumps(told)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=300,
        check=True,
    )
    return float(done.stdout)


@pytest.mark.parametrize("kind", ["local", "s3", "azure"])
def test_a_large_file_takes_no_more_memory_than_one_of_a_tenth(request: pytest.FixtureRequest, kind: str) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    tenth, whole = growth(place, 64), growth(place, 400)
    assert whole < 150
    assert whole < tenth + 40


def test_parts_of_growing_size_hold_100_gb() -> None:
    assert sum(growing_part_size(part) for part in range(1, MAX_PARTS + 1)) > 200e9
    assert max(growing_part_size(part) for part in range(1, MAX_PARTS + 1)) <= 64 * MIB


@pytest.mark.parametrize("size", [0, 1, 10**9, 10**11, 5 * 10**12])
def test_parts_of_one_size_hold_what_is_expected(size: int) -> None:
    assert equal_part_size(size) * MAX_PARTS >= size
    assert equal_part_size(size) >= 8 * MIB


def test_ten_gb_go_in_the_smallest_parts() -> None:
    assert equal_part_size(10**10) == 8 * MIB
    assert equal_part_size(None) * MAX_PARTS > 150e9
