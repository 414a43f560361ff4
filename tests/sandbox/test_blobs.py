# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_connectif.sandbox.blobs import Blob, Run, crc32

RUNS = st.lists(st.builds(Run, st.binary(max_size=40), st.integers(0, 50)), max_size=5)


def whole(runs: list[Run]) -> bytes:
    return b"".join(run.data * run.repeat for run in runs)


@given(RUNS)
def test_the_crc_of_runs_equals_that_of_their_bytes(runs: list[Run]) -> None:
    assert crc32(runs) == zlib.crc32(whole(runs))


@given(RUNS, st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 100))
def test_any_part_equals_the_same_part_of_the_whole(runs: list[Run], start: int, stop: int, chunk: int) -> None:
    chunks = list(Blob(runs).read(start, stop, chunk))
    assert b"".join(chunks) == whole(runs)[start:stop]
    assert all(0 < len(piece) <= chunk for piece in chunks)


def test_a_part_deep_inside_a_huge_blob_is_read() -> None:
    blob = Blob([Run(b"head"), Run(b"0123456789", 2 * 10**9), Run(b"tail")])
    assert blob.size == 20 * 10**9 + 8
    assert b"".join(blob.read(15 * 10**9 + 4 + 7, 15 * 10**9 + 4 + 12)) == b"78901"
    assert b"".join(blob.read(blob.size - 6)) == b"89tail"


@given(RUNS, st.integers(0, 3000))
def test_a_cut_blob_is_a_prefix(runs: list[Run], size: int) -> None:
    assert b"".join(Blob(runs).cut(size).read()) == whole(runs)[:size]


@given(RUNS.filter(whole), st.data())
def test_a_flipped_bit_changes_exactly_one_byte(runs: list[Run], data: st.DataObject) -> None:
    text = whole(runs)
    position = data.draw(st.integers(0, len(text) - 1))
    changed = b"".join(Blob(runs).with_flipped_bit(position).read())
    assert [index for index, (a, b) in enumerate(zip(text, changed, strict=True)) if a != b] == [position]


def test_the_crc_of_a_terabyte_is_computed_immediately() -> None:
    # Two halves have the CRC of the whole: a consistency check at a size for which zlib is too slow.
    half = Run(b"x" * 1000, 500_000_000)
    assert crc32([half, half]) == crc32([Run(half.data, 2 * half.repeat)])


@pytest.mark.parametrize("runs", [[], [Run(b"")], [Run(b"abc", 0)]])
def test_an_empty_blob_has_no_bytes(runs: list[Run]) -> None:
    assert Blob(runs).size == 0
    assert list(Blob(runs).read()) == []
