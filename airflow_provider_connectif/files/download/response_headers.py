# SPDX-License-Identifier: Apache-2.0
"""What the headers of a response say about the remote file."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_connectif.http_headers import parse_http_date

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)\s*", re.IGNORECASE)
_DIGEST_BYTES = {"md5": 16, "sha1": 20, "sha256": 32, "crc32": 4, "crc32c": 4}
#: ``aws-chunked`` describes an upload to S3, which repeats it in downloads, as it does with other names of no encoding.
_NOT_ENCODED = ("", "identity", "chunked", "aws-chunked", "utf-8", "binary", "none")


@dataclass(frozen=True)
class RemoteFileInfo:
    """
    A file as the store describes it.

    :param size: size in bytes, or None if the store does not report it
    :param supports_ranges: whether the store responds with exactly the requested range, and with a validator
    :param checksums: digests of the whole file by algorithm (``md5``, ``sha1``, ``sha256``, ``crc32``, ``crc32c``)
    :param detects_truncation: whether a broken connection can be distinguished from the end of the file
    :param validator: as returned by :func:`validator`
    :param encodings: as returned by :func:`encodings`
    """

    size: int | None
    supports_ranges: bool
    checksums: Mapping[str, bytes] = field(default_factory=dict)
    detects_truncation: bool = True
    validator: str | None = None
    encodings: tuple[str, ...] = ()


def validator(headers: Mapping[str, str]) -> str | None:
    """
    Return what identifies the exact bytes of a file, and can be sent as ``If-Range`` (RFC 9110, 8.8 and 13.1.5).

    That is a strong ``ETag``, or a ``Last-Modified`` that is at least one second old; None if there is neither.
    """
    etag = headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    modified, date = parse_http_date(headers.get("Last-Modified")), parse_http_date(headers.get("Date"))
    is_strong = modified is not None and date is not None and (date - modified).total_seconds() >= 1
    return headers["Last-Modified"] if is_strong else None


def encodings(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return how the body is encoded, in lower case, according to ``Content-Encoding`` and ``Transfer-Encoding``."""
    values = f"{headers.get('Content-Encoding', '')},{headers.get('Transfer-Encoding', '')}".lower().split(",")
    names = (value.partition(";")[0].strip().removeprefix("x-") for value in values)
    return tuple(name for name in names if name not in _NOT_ENCODED)


def parse_content_range(value: str | None) -> tuple[int | None, int | None, int | None] | None:
    """
    Parse a ``Content-Range`` header.

    :return: the first byte, the byte after the last one, and the size of the file (each None if unknown), or None if
        the header is not a range of bytes
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
    """Return ``Content-Length``, or None if it is missing, not a number, or overridden by chunked transfer."""
    if is_chunked(headers):
        return None
    value = headers.get("Content-Length", "").strip()
    return int(value) if value.isdecimal() else None


def is_chunked(headers: Mapping[str, str]) -> bool:
    """Return whether the response uses chunked transfer, which marks its own end."""
    return "chunked" in headers.get("Transfer-Encoding", "").lower()


def checksums(headers: Mapping[str, str], *, whole_file: bool, host: str) -> dict[str, bytes]:
    """
    Return the digests of the whole file that a response reports.

    :param headers: the headers of the response
    :param whole_file: whether the response contains the whole file (200). In a response to a range request, S3 and
        others report the digest of the *part*, so their headers count for whole files only. The headers of Google
        and Azure always describe the stored object.
    :param host: the store's host name
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
    if whole_file:
        add("md5", headers.get("Content-MD5"))
        if headers.get("x-amz-checksum-type", "FULL_OBJECT").upper() == "FULL_OBJECT":
            for algorithm in ("crc32", "crc32c", "sha1", "sha256"):
                # The digest of a multipart upload's digests ends in "-" and a number, which is not valid base64.
                add(algorithm, headers.get(f"x-amz-checksum-{algorithm}"))
    if "md5" not in found and (digest := _md5_from_s3_etag(headers, host)):
        found["md5"] = digest
    return found


def _md5_from_s3_etag(headers: Mapping[str, str], host: str) -> bytes | None:
    # An S3 ETag is the MD5 only for objects uploaded in one request, not encrypted with KMS or a customer key, and
    # not in a directory bucket (S3 API reference, "Object"). Other S3-compatible stores give no such guarantee.
    etag = re.fullmatch(r'"([0-9a-f]{32})"', headers.get("ETag", ""))
    is_md5 = (
        headers.get("Server") == "AmazonS3"
        and headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
        and "x-amz-server-side-encryption-customer-algorithm" not in headers
        and "s3express" not in host
    )
    return bytes.fromhex(etag.group(1)) if etag and is_md5 else None
