# SPDX-License-Identifier: Apache-2.0
"""What the headers of a response say about the file."""

from __future__ import annotations

import base64

import pytest

from tests.files.archives import EXPORT, make_zip
from tests.files.file_server import Faults
from tests.files.remote_files import BYTES, read_all, remote_file, unpack


def test_the_size_of_a_chunked_response_is_known_at_its_end() -> None:
    with remote_file(BYTES, Faults(ranges=False, chunked=True)) as (file, _):
        assert file.size is None
        assert read_all(file) == BYTES
        assert file.size == len(BYTES)


@pytest.mark.parametrize(
    "headers",
    [
        {"Server": "MinIO", "ETag": '"' + "0" * 32 + '"'},
        {"Server": "AmazonS3", "ETag": '"' + "0" * 32 + '-2"'},
        {"Server": "AmazonS3", "ETag": '"' + "0" * 32 + '"', "x-amz-server-side-encryption": "aws:kms"},
        {"x-amz-checksum-sha256": "AAAA-2"},
        {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "COMPOSITE"},
        {"Content-MD5": "not base64"},
    ],
    ids=repr,
)
def test_headers_that_are_not_a_checksum_of_the_file_are_ignored(headers: dict[str, str]) -> None:
    content = make_zip(EXPORT)
    assert unpack(content, "archive", faults=Faults(ranges=False, etag=False, headers=headers)) == {
        "export.zip": content
    }


def test_the_checksum_of_a_range_is_ignored() -> None:
    content = make_zip(EXPORT)
    headers = {"Content-MD5": base64.b64encode(bytes(16)).decode(), "x-amz-checksum-crc32": "AAAAAA=="}
    assert unpack(content, "archive", faults=Faults(headers=headers)) == {"export.zip": content}
