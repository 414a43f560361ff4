# SPDX-License-Identifier: Apache-2.0
"""Objects in S3 and S3-compatible stores, through an ``s3fs`` filesystem.

Each object is a multipart upload: nothing of it is visible before it is completed, and aborting it removes it. The
requests are made directly: ``s3fs`` files send their parts one after the other, do not abort when a part fails, and
with ``autocommit`` complete what they have when an exception leaves a ``with`` block.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import Iterator
from typing import Any

from airflow_provider_connectif.files.deflate import crc32
from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores import s3_conditions as conditions
from airflow_provider_connectif.files.stores.base import Store, StoredObject, without_quotes
from airflow_provider_connectif.files.stores.content_types import content_type
from airflow_provider_connectif.files.stores.event_loop import run_in_loop
from airflow_provider_connectif.files.stores.parts import MIN_PART_SIZE, Parts, equal_part_size, growing_part_size
from airflow_provider_connectif.files.stores.staged import Staged, require_size

#: How often the content of a small object is read, if it breaks off.
_READ_ATTEMPTS = 5
_SECONDS_BETWEEN_ATTEMPTS = 0.5


class S3Staged(Staged):
    """One multipart upload."""

    def __init__(self, store: S3Store, name: str, expected_bytes: int | None) -> None:
        super().__init__(name, store.budget, expected_bytes)
        self._store = store
        self._upload: dict[str, Any] = {}
        self._sent: list[dict[str, Any]] = []
        size = equal_part_size(expected_bytes)
        # Some stores (Cloudflare R2) require parts of equal size.
        equal = expected_bytes is not None or getattr(store.fs, "fixed_upload_size", False)
        self._parts = Parts(
            store.fs.loop,
            self._send,
            checksum=self._checksum,
            size_of=(lambda _: size) if equal else growing_part_size,
        )

    def _write(self, data: bytes) -> None:
        if not self._upload:
            self._upload = self._store.call("create_multipart_upload", self.name, ContentType=content_type(self.name))
        self._parts.write(data)

    def _checksum(self, part: memoryview) -> str:
        return self._store.checksum(part) if self._upload.get("ChecksumAlgorithm", "CRC32") == "CRC32" else ""

    async def _send(self, number: int, body: io.BytesIO, checksum: str) -> dict[str, Any]:
        response = await self._store.upload_part(
            self.name,
            body,
            UploadId=self._upload["UploadId"],
            PartNumber=number,
            **({"ChecksumCRC32": checksum} if checksum else {}),
        )
        if checksum and response.get("ChecksumCRC32", checksum) != checksum:
            raise DestinationError(f"The store received part {number} of {self.name} damaged. Run the task again.")
        part = {"PartNumber": number, "ETag": response["ETag"]}
        algorithm = self._upload.get("ChecksumAlgorithm")
        if algorithm and response.get(f"Checksum{algorithm}"):
            part[f"Checksum{algorithm}"] = response[f"Checksum{algorithm}"]
        return part

    def _complete(self) -> None:
        self._sent = self._parts.finish()
        stored = self._store.uploaded_bytes(self.name, self._upload["UploadId"])
        if stored is not None:
            require_size(self.name, stored, self.bytes)

    def _publish_small(self, data: bytes) -> str | None:
        return without_quotes(self._store.put_object(self.name, data).get("ETag"))

    def _publish(self) -> str | None:
        store = self._store
        try:
            store.call(
                "complete_multipart_upload",
                self.name,
                UploadId=self._upload["UploadId"],
                MultipartUpload={"Parts": self._sent},
            )
        except FileNotFoundError:
            # Was it completed by an earlier request whose response was lost, and that the client library repeated?
            if not self._is_stored():
                raise
        store.fs.invalidate_cache(store.path(self.name))
        # Looked up: some servers respond to the completion with an ETag that the object does not keep.
        return store._info(self.name).etag

    def _is_stored(self) -> bool:
        found = self._store._info(self.name)
        if found.size != self.bytes:
            return False
        if found.etag == _multipart_etag(self._sent):
            return True
        # Not all servers follow that rule for ETags: compare the content.
        digest = hashlib.sha256()
        with self._store.fs.open(self._store.path(self.name), "rb", block_size=MIN_PART_SIZE) as file:
            while block := file.read(MIN_PART_SIZE):
                digest.update(block)
        return digest.hexdigest() == self.sha256

    def _discard(self) -> None:
        self._parts.cancel()
        if self._upload:
            self._store.call("abort_multipart_upload", self.name, UploadId=self._upload["UploadId"])


class S3Store(Store):
    """A prefix in a bucket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bucket, prefix, _ = self.fs.split_path(self.root)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def key(self, name: str) -> str:
        """Return the object's key in the bucket."""
        return self._prefix + name

    def call(self, method: str, name: str, **arguments: Any) -> dict[str, Any]:
        """Make one request for one object; errors are those of ``s3fs`` (``FileNotFoundError`` …)."""
        return self._request(method, Key=self.key(name), **arguments)

    def put_object(self, name: str, data: bytes, **arguments: Any) -> dict[str, Any]:
        """Write an object in one request."""
        arguments["ContentType"] = content_type(name)
        try:
            if checksum := self.checksum(data):
                arguments["ChecksumCRC32"] = checksum
            return self.call("put_object", name, Body=data, **arguments)
        finally:
            self.fs.invalidate_cache(self.path(name))

    def checksum(self, data: bytes | memoryview) -> str:
        """Return the CRC-32 that ``botocore`` would send, four times as fast; "" if it would send none.

        ``botocore`` itself would send it after the data (``aws-chunked``), which some S3-compatible stores refuse.
        """
        config = self.fs.s3.meta.config
        if getattr(config, "request_checksum_calculation", None) != "when_supported":
            return ""
        return base64.b64encode(crc32(data).to_bytes(4, "big")).decode()

    async def upload_part(self, name: str, body: io.BytesIO, **arguments: Any) -> dict[str, Any]:
        """Send one part, from its first byte in each attempt."""
        # Not _call_s3: its attempts (other than those of botocore) all begin where the body was left by the last one.
        from s3fs.core import _error_wrapper

        await self.fs.set_session()
        method = (await self.fs.get_s3(self.bucket)).upload_part
        arguments = self.fs._get_s3_method_kwargs(
            method, Bucket=self.bucket, Key=self.key(name), Body=body, **arguments
        )

        async def send() -> dict[str, Any]:
            body.seek(0)
            response: dict[str, Any] = await method(**arguments)
            return response

        result: dict[str, Any] = await _error_wrapper(send, retries=self.fs.retries)
        return result

    def uploaded_bytes(self, name: str, upload_id: str) -> int | None:
        """Return the number of bytes that the store has of an upload, or None if it does not say.

        Where listing parts is not allowed, the checksum of each part is the only check, which Amazon's S3 verifies.
        """
        try:
            pages = list(self._pages("list_parts", "PartNumberMarker", Key=self.key(name), UploadId=upload_id))
        except OSError as error:
            if isinstance(error, PermissionError) or conditions.is_not_supported(error):
                return None
            raise
        return sum(int(part["Size"]) for page in pages for part in page.get("Parts") or [])

    def _request(self, method: str, **arguments: Any) -> dict[str, Any]:
        return dict(run_in_loop(self.fs.loop, self.fs._call_s3, method, Bucket=self.bucket, **arguments))

    def _pages(self, method: str, *markers: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Yield all pages of a listing, given the arguments that continue it; ``Next…`` in a page has their values."""
        more: dict[str, Any] = {}
        while True:
            page = self._request(method, **arguments, **more)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {marker: page[f"Next{marker}"] for marker in markers}

    def _stage(self, name: str, expected_bytes: int | None) -> S3Staged:
        return S3Staged(self, name, expected_bytes)

    def _conditional_writes(self) -> bool:
        return conditions.are_honoured(self)

    def _put(self, name: str, data: bytes, if_absent: bool, if_version: str | None) -> str | None:
        condition = {"IfNoneMatch": "*"} if if_absent else {"IfMatch": if_version} if if_version is not None else {}
        with conditions.version_conflicts(name, condition):
            version: str | None = self.put_object(name, data, **condition).get("ETag")
        return version

    def _read_versioned(self, name: str) -> tuple[bytes, str]:
        return run_in_loop(self.fs.loop, self._get_object, name)

    async def _get_object(self, name: str) -> tuple[bytes, str]:
        from s3fs.core import S3_RETRYABLE_ERRORS

        # s3fs repeats the request, but does not read the content, which breaks off at some servers while the object is
        # replaced.
        for attempts_left in reversed(range(_READ_ATTEMPTS)):
            response = await self.fs._call_s3("get_object", Bucket=self.bucket, Key=self.key(name))
            try:
                async with response["Body"] as body:
                    return await body.read(), response["ETag"]
            except S3_RETRYABLE_ERRORS:
                if not attempts_left:
                    raise
                await asyncio.sleep(_SECONDS_BETWEEN_ATTEMPTS)
        raise AssertionError

    def _info(self, name: str) -> StoredObject:
        response = self.call("head_object", name)
        return _stored_object(name, response, response["ContentLength"])

    def _find(self, prefix: str) -> list[StoredObject]:
        found: list[StoredObject] = []
        for page in self._pages("list_objects_v2", "ContinuationToken", Prefix=self.key(prefix), Delimiter="/"):
            for entry in page.get("Contents") or []:
                found.append(_stored_object(entry["Key"][len(self._prefix) :], entry, entry["Size"]))
        return found

    def _delete(self, name: str) -> None:
        self.call("delete_object", name)
        self.fs.invalidate_cache(self.path(name))

    def _delete_version(self, name: str, version: str) -> None:
        condition = {"IfMatch": version}
        with conditions.version_conflicts(name, condition):
            self.call("delete_object", name, **condition)
        self.fs.invalidate_cache(self.path(name))

    def _delete_abandoned_uploads(self, names: set[str]) -> None:
        keys = {self.key(name): name for name in names}
        pages = list(self._pages("list_multipart_uploads", "KeyMarker", "UploadIdMarker", Prefix=self._prefix))
        for upload in (upload for page in pages for upload in page.get("Uploads") or []):
            if upload["Key"] in keys:
                self.call("abort_multipart_upload", keys[upload["Key"]], UploadId=upload["UploadId"])


def _stored_object(name: str, entry: dict[str, Any], size: int) -> StoredObject:
    return StoredObject(name, size, without_quotes(entry.get("ETag")), entry["LastModified"].timestamp())


def _multipart_etag(parts: list[dict[str, Any]]) -> str | None:
    """Return the ETag of a multipart object by the rule of S3."""
    try:
        joined = b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in parts)
    except ValueError:
        return None
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(parts)}"
