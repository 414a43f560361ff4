# SPDX-License-Identifier: Apache-2.0
"""Which part of a file a request asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RangeNotSatisfiable(Exception):
    """The range begins after the file's end."""


def asked_range(headers: Mapping[str, str], size: int, etag: str, last_modified: str) -> tuple[int, int] | None:
    """Return the first byte and the one after the last, or None where the whole file is to be sent.

    Several ranges at once, and what is no range at all, are ignored as object stores do; so is a range
    whose ``If-Range`` names another file.

    :raises RangeNotSatisfiable: when no byte of the file is in the range.
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
