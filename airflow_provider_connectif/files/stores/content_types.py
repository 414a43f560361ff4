# SPDX-License-Identifier: Apache-2.0
"""The media types of objects, for stores that keep one with each object."""

from __future__ import annotations

_BY_EXTENSION = {
    # https://www.iana.org/assignments/media-types
    ".csv": "text/csv; charset=utf-8",
    ".gz": "application/gzip",
    ".zip": "application/zip",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
}


def content_type(name: str) -> str:
    """Return the media type of an object, by the extension of its name."""
    extension = "." + name.rpartition(".")[2].lower()
    return _BY_EXTENSION.get(extension, "application/octet-stream")
