# SPDX-License-Identifier: Apache-2.0
"""Uploads in numbered parts: their sizes, their order, and failures."""

from __future__ import annotations

import asyncio
import io
import threading

import pytest

from airflow_provider_connectif.files.background import MIB
from airflow_provider_connectif.files.stores.parts import MAX_PARTS, Parts, equal_part_size, growing_part_size


def test_parts_of_growing_size_hold_100_gb() -> None:
    assert sum(growing_part_size(part) for part in range(1, MAX_PARTS + 1)) > 200e9
    assert max(growing_part_size(part) for part in range(1, MAX_PARTS + 1)) <= 64 * MIB


@pytest.mark.parametrize("size", [0, 1, 10**9, 10**11, 5 * 10**12])
def test_parts_of_equal_size_hold_the_expected_size(size: int) -> None:
    assert equal_part_size(size) * MAX_PARTS >= size
    assert equal_part_size(size) >= 8 * MIB


def test_ten_gb_are_sent_in_parts_of_the_smallest_size() -> None:
    assert equal_part_size(10**10) == 8 * MIB
    assert equal_part_size(None) * MAX_PARTS > 150e9


def test_results_are_in_the_order_of_the_parts_whichever_arrives_first(loop: asyncio.AbstractEventLoop) -> None:
    arrived: list[int] = []

    async def send(number: int, body: io.BytesIO, checksum: str) -> bytes:
        while number == 1 and not arrived:  # the second one overtakes the first
            await asyncio.sleep(0.001)
        arrived.append(number)
        return body.getvalue()

    parts = Parts(loop, send, size_of=lambda _: 3)
    parts.write(b"abcdefgh")
    assert parts.finish() == [b"abc", b"def", b"gh"]
    assert sorted(arrived) == [1, 2, 3]
    assert arrived[0] != 1


def test_one_empty_part_is_sent_if_nothing_is_written(loop: asyncio.AbstractEventLoop) -> None:
    async def send(number: int, body: io.BytesIO, checksum: str) -> tuple[int, bytes]:
        return number, body.getvalue()

    assert Parts(loop, send).finish() == [(1, b"")]


def test_no_further_part_is_sent_after_one_failed_behind_one_in_flight(loop: asyncio.AbstractEventLoop) -> None:
    started: list[int] = []
    failed = threading.Event()

    async def send(number: int, body: io.BytesIO, checksum: str) -> None:
        started.append(number)
        if number == 2:
            failed.set()
            raise OSError("refused")
        await asyncio.sleep(60)

    parts = Parts(loop, send, size_of=lambda _: 1)
    parts.write(b"ab")
    assert failed.wait(10)
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(10)  # the failure has reached its future
    with pytest.raises(OSError, match="refused"):
        parts.write(b"c")
    parts.cancel()
    assert started == [1, 2]
