# SPDX-License-Identifier: Apache-2.0
"""The range of bytes that a request asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RangeNotSatisfiable(Exception):
    """The range starts beyond the end of the file."""


def requested_range(headers: Mapping[str, str], size: int, etag: str, last_modified: str) -> tuple[int, int] | None:
    """Return the requested range as start (inclusive) and stop (exclusive), or None for the whole file.

    Like object stores, ignore multiple ranges and invalid ones, and a range whose ``If-Range`` does not match.

    :raises RangeNotSatisfiable: if no byte of the file is in the range
    """
    match = _RANGE.fullmatch(headers.get("range", "").strip())
    if not match or not (match[1] or match[2]):
        return None
    condition = headers.get("if-range")
    if condition is not None and condition not in (etag, last_modified):
        return None
    if not match[1]:
        length = int(match[2])
        if not length or not size:
            raise RangeNotSatisfiable
        return max(size - length, 0), size
    start = int(match[1])
    stop = min(int(match[2]) + 1, size) if match[2] else size
    if start >= size:
        raise RangeNotSatisfiable
    return None if stop <= start else (start, stop)
