# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import dataclasses
import io
from datetime import datetime, timezone

import pytest

from airflow_provider_connectif.sandbox.archives import FileSpec, build_file
from airflow_provider_connectif.sandbox.data import DataSpec

DATA = DataSpec(
    export_id="0123",
    export_type="contacts",
    version=1,
    date_format="ISO",
    start=datetime(2023, 3, 1, tzinfo=timezone.utc),
    end=datetime(2023, 4, 1, tzinfo=timezone.utc),
)
SIZED = FileSpec(DATA, "contacts", archive="csv", file_bytes=3 << 20)


def content(spec: FileSpec) -> bytes:
    return b"".join(build_file(spec).blob.read())


@pytest.fixture(scope="module")
def two_segments() -> int:
    """The size of a header and two whole segments."""
    header, segment, _ = build_file(SIZED).blob._runs
    return header.size + 2 * len(segment.data)


@pytest.mark.parametrize("more", [0, 1, 7, 500])
def test_a_size_slightly_above_whole_segments_is_filled_with_whole_rows(two_segments: int, more: int) -> None:
    size = two_segments + more
    text = content(dataclasses.replace(SIZED, file_bytes=size))
    rows = list(csv.reader(io.StringIO(text.decode(), newline="")))
    assert len(text) == size
    assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize("size", [1, 60])
def test_a_size_too_small_for_a_row_produces_only_the_header(size: int) -> None:
    rows = content(dataclasses.replace(SIZED, file_bytes=size)).splitlines()
    assert rows[0].startswith(b"email,")
    assert len(rows) == 1


def test_equal_specs_produce_equal_files_and_a_revision_a_different_one() -> None:
    spec = FileSpec(DATA, "contacts")
    other = dataclasses.replace(spec, data=dataclasses.replace(DATA, revision=1))
    assert content(spec) == content(spec)
    assert build_file(spec).md5 == build_file(spec).md5
    assert content(spec) != content(other)
