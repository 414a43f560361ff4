# SPDX-License-Identifier: Apache-2.0
"""What a store says of a file in the headers of an answer."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)\s*", re.IGNORECASE)
_DIGEST_BYTES = {"md5": 16, "sha1": 20, "sha256": 32, "crc32": 4, "crc32c": 4}


@dataclass(frozen=True)
class Facts:
    """
    A file as the store describes it.

    :param size: bytes, or None when the store does not tell.
    :param etag: the entity tag as sent, or None.
    :param supports_ranges: whether the store answers a range with just this range.
    :param checksums: digests of the whole file, by algorithm (``md5``, ``sha1``, ``sha256``, ``crc32``,
        ``crc32c``).
    :param sure_end: whether a cut could be told from the file's end.
    """

    size: int | None
    etag: str | None
    supports_ranges: bool
    checksums: Mapping[str, bytes] = field(default_factory=dict)
    sure_end: bool = True

    @property
    def strong_etag(self) -> str | None:
        """The entity tag, if it is one that ``If-Range`` may carry (RFC 9110, 13.1.5)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else None


def content_range(value: str | None) -> tuple[int | None, int | None, int | None] | None:
    """
    Understand a ``Content-Range`` header.

    :return: first byte, byte after the last one, size of the file (each None when not told), or None when
        this is no range of bytes.
    """
    match = _CONTENT_RANGE.fullmatch(value or "")
    if not match:
        return None
    first, last, size = match.groups()
    start = int(first) if first else None
    stop = int(last) + 1 if last else None
    if start is not None and stop is not None and stop <= start:
        return None
    return start, stop, None if size == "*" else int(size)


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return ``Content-Length``, unless it is missing, no number, or overruled by chunked transfer."""
    if is_chunked(headers):
        return None
    value = headers.get("Content-Length", "").strip()
    return int(value) if value.isdecimal() else None


def is_chunked(headers: Mapping[str, str]) -> bool:
    """Whether the body says by itself where it ends."""
    return "chunked" in headers.get("Transfer-Encoding", "").lower()


def checksums(headers: Mapping[str, str], *, whole: bool, host: str) -> dict[str, bytes]:
    """
    Collect the digests of the whole file that an answer names.

    :param headers: the answer's headers.
    :param whole: whether the answer carries the whole file (200). S3 and others name the digest of the *part*
        in an answer to a range, so theirs count for whole answers alone; Google's and Azure's own headers
        always mean the stored object.
    :param host: the store's host name.
    """
    found: dict[str, bytes] = {}

    def add(algorithm: str, value: str | None) -> None:
        try:
            digest = base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError):
            return
        if len(digest) == _DIGEST_BYTES[algorithm]:
            found[algorithm] = digest

    stored_as_sent = headers.get("x-goog-stored-content-encoding", "identity") == headers.get(
        "Content-Encoding", "identity"
    )
    if stored_as_sent:
        for part in headers.get("x-goog-hash", "").split(","):
            algorithm, _, value = part.strip().partition("=")
            if algorithm in ("md5", "crc32c"):
                add(algorithm, value)
    add("md5", headers.get("x-ms-blob-content-md5"))
    if whole:
        add("md5", headers.get("Content-MD5"))
        if headers.get("x-amz-checksum-type", "FULL_OBJECT").upper() == "FULL_OBJECT":
            for algorithm in ("crc32", "crc32c", "sha1", "sha256"):
                # The digest of a multipart upload's digests ends in "-" and a number: no base64, so not
                # added.
                add(algorithm, headers.get(f"x-amz-checksum-{algorithm}"))
    if "md5" not in found and (digest := _md5_of_s3_etag(headers, host)):
        found["md5"] = digest
    return found


def _md5_of_s3_etag(headers: Mapping[str, str], host: str) -> bytes | None:
    # An S3 ETag is the MD5 only for objects uploaded in one piece, not encrypted with KMS or a customer's
    # key, and not in a directory bucket (S3 API reference, "Object"). Other stores with an S3 API promise
    # nothing.
    etag = re.fullmatch(r'"([0-9a-f]{32})"', headers.get("ETag", ""))
    certain = (
        headers.get("Server") == "AmazonS3"
        and headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
        and "x-amz-server-side-encryption-customer-algorithm" not in headers
        and "s3express" not in host
    )
    return bytes.fromhex(etag.group(1)) if etag and certain else None
