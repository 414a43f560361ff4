# SPDX-License-Identifier: Apache-2.0
"""Byte strings of any length in little memory, made of runs that repeat the same bytes."""

from __future__ import annotations

import bisect
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

# The CRC-32 polynomial of zlib, bit-reversed: crc32(a + b) is a sum and a product in GF(2)[x] modulo it.
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
_TILE = 1 << 20


class Run(NamedTuple):
    """Bytes that are repeated a number of times."""

    data: bytes
    repeat: int = 1

    @property
    def size(self) -> int:
        return len(self.data) * self.repeat


class Blob:
    """A concatenation of runs, any part of which can be read.

    :param runs: the runs; empty ones are dropped
    """

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = [run for run in runs if run.size]
        self._starts = [0, *itertools.accumulate(run.size for run in self._runs)]
        self._tiles = [_tile(run) for run in self._runs]

    @property
    def size(self) -> int:
        """The length in bytes."""
        return self._starts[-1]

    def cut(self, size: int) -> Blob:
        """Return a blob of the first ``size`` bytes."""
        return self._changed(size, lambda data, offset: data[:offset], rest=False)

    def with_flipped_bit(self, position: int) -> Blob:
        """Return a copy in which one bit of the byte at a position is flipped."""

        def flip(data: bytes, offset: int) -> bytes:
            return data[:offset] + bytes([data[offset] ^ 0x10]) + data[offset + 1 :]

        return self._changed(position, flip, rest=True)

    def _changed(self, position: int, change: Callable[[bytes, int], bytes], *, rest: bool) -> Blob:
        if position >= self.size:
            return self
        index = bisect.bisect_right(self._starts, position) - 1
        run = self._runs[index]
        times, offset = divmod(position - self._starts[index], len(run.data))
        changed = [*self._runs[:index], Run(run.data, times), Run(change(run.data, offset))]
        if rest:
            changed += [Run(run.data, run.repeat - times - 1), *self._runs[index + 1 :]]
        return Blob(changed)

    def read(self, start: int = 0, stop: int | None = None, chunk: int = 1 << 18) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop`` in chunks of at most ``chunk`` bytes."""
        end = self.size if stop is None else min(stop, self.size)
        while start < end:
            index = bisect.bisect_right(self._starts, start) - 1
            offset = start - self._starts[index]
            tile = self._tiles[index]
            within = offset % len(self._runs[index].data)
            room = min(len(tile) - within, chunk, end - start, self._starts[index + 1] - start)
            yield tile[within : within + room]
            start += room


def _tile(run: Run) -> bytes:
    """Repeat short data up to about 1 MiB, so that it is read in large chunks."""
    return run.data * max(1, min(run.repeat, -(-_TILE // len(run.data))))


def crc32(runs: Iterable[Run]) -> int:
    """Return the CRC-32 of runs, in a time that is logarithmic in their repetitions."""
    total = 0
    for run in runs:
        crc, size, repeat = zlib.crc32(run.data), len(run.data), run.repeat
        while repeat:
            if repeat & 1:
                total = _append(total, crc, size)
            crc, size, repeat = _append(crc, crc, size), size * 2, repeat >> 1
    return total


def _append(first: int, second: int, second_size: int) -> int:
    """Return the CRC of two concatenated strings, given their CRCs and the length of the second."""
    return _multiply(_power_of_x(8 * second_size), first) ^ second


def _multiply(a: int, b: int) -> int:
    product = 0
    bit = _ONE
    while bit:
        if a & bit:
            product ^= b
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1
        bit >>= 1
    return product


def _power_of_x(exponent: int) -> int:
    result, square = _ONE, _ONE >> 1
    while exponent:
        if exponent & 1:
            result = _multiply(result, square)
        square = _multiply(square, square)
        exponent >>= 1
    return result
