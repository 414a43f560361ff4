# SPDX-License-Identifier: Apache-2.0
"""A stream of blocks is read byte for byte, whatever the size of the blocks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_connectif.files.unpack.byte_reader import ByteReader


def reader(*blocks: bytes, position: int = 0) -> ByteReader:
    return ByteReader(iter(blocks), position)


def test_an_exact_number_of_bytes_is_read_across_blocks() -> None:
    stream = reader(b"abc", b"d", b"efg")
    assert [stream.read(2), stream.read(3), stream.read(9), stream.read(1)] == [b"ab", b"cde", b"fg", b""]


def test_read_some_returns_at_most_the_rest_of_a_block() -> None:
    stream = reader(b"abc", b"def")
    assert [stream.read_some(9), stream.read_some(1), stream.read_some(9)] == [b"abc", b"d", b"ef"]
    assert stream.read_some(9) == b""


def test_the_position_counts_from_that_of_the_first_byte() -> None:
    stream = reader(b"abc", b"def", position=100)
    stream.read(4)
    assert stream.position == 104
    assert stream.skip(1)
    assert stream.position == 105


def test_skipping_beyond_the_end_is_reported() -> None:
    stream = reader(b"abc", b"d")
    assert not stream.skip(5)
    assert stream.position == 4


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 9])
def test_peeking_does_not_change_the_position(count: int) -> None:
    stream = reader(b"abc", b"def")
    stream.read(1)
    assert stream.peek(count) == b"bcdef"[:count]
    assert stream.position == 1
    assert stream.read(9) == b"bcdef"


@given(st.lists(st.binary(min_size=1, max_size=5)), st.lists(st.integers(0, 7)))
def test_bytes_that_are_put_back_are_read_again(blocks: list[bytes], counts: list[int]) -> None:
    stream, content, position = reader(*blocks), b"".join(blocks), 0
    for number, count in enumerate(counts):
        data = stream.read(count)
        assert data == content[position : position + count]
        if number % 2:
            stream.unread(data)
        else:
            position += len(data)
        assert stream.position == position


def test_closing_closes_the_stream() -> None:
    closed: list[bool] = []

    def blocks() -> Iterator[bytes]:
        try:
            yield b"abc"
        finally:
            closed.append(True)

    stream = ByteReader(blocks())
    stream.read(1)
    stream.close()
    assert closed == [True]
