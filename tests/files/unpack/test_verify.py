# SPDX-License-Identifier: Apache-2.0
"""Verification of a file that is stored unchanged."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

from airflow_provider_connectif.files.errors import (
    ArchiveCorrupt,
    RemoteFileDamaged,
)
from tests.files.archives import (
    DAMAGED,
    EXPORT,
    make_zip,
)
from tests.files.file_server import Faults
from tests.files.remote_files import (
    WITH_AND_WITHOUT_RANGES,
    unpack,
)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("damage", ["truncated end", "missing end", "half", "data after the end", "missing members"])
def test_as_an_archive_a_damaged_directory_is_detected(damage: str, ranges: bool) -> None:
    with pytest.raises(ArchiveCorrupt):
        unpack(DAMAGED[damage], "archive", ranges=ranges)


def _checksum_headers(content: bytes, **changed: str) -> dict[str, dict[str, str]]:
    def b64(digest: bytes) -> str:
        return base64.b64encode(digest).decode()

    return {
        "Content-MD5": {"Content-MD5": b64(hashlib.md5(content).digest())},
        "x-goog-hash": {"x-goog-hash": f"crc32c=AAAAAA==,md5={b64(hashlib.md5(content).digest())}"},
        "Azure": {"x-ms-blob-content-md5": b64(hashlib.md5(content).digest())},
        "x-amz sha256": {"x-amz-checksum-sha256": b64(hashlib.sha256(content).digest())},
        "x-amz crc32": {"x-amz-checksum-crc32": b64(zlib.crc32(content).to_bytes(4, "big"))},
        "S3 ETag": {"Server": "AmazonS3", "ETag": f'"{hashlib.md5(content).hexdigest()}"'},
    }


@pytest.mark.parametrize("kind", list(_checksum_headers(b"")))
def test_as_an_archive_the_file_must_have_the_checksum_that_the_store_reports(kind: str) -> None:
    content = make_zip(EXPORT)
    right, wrong = (_checksum_headers(content)[kind] for content in (content, content + b"x"))
    assert unpack(content, "archive", faults=Faults(ranges=False, etag=False, headers=right)) == {"export.zip": content}
    with pytest.raises(RemoteFileDamaged):
        unpack(content, "archive", faults=Faults(ranges=False, etag=False, headers=wrong))
