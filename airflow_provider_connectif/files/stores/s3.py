# SPDX-License-Identifier: Apache-2.0
"""Objects in S3 and in what speaks its language, through an ``s3fs`` filesystem.

Each object is a multipart upload: nothing of it is visible before it is completed, and an abort takes it
back. The requests are made by hand: ``s3fs`` files send their parts one after the other, do not abort when a
part fails, and with ``autocommit`` complete what they have when a ``with`` block is left by an exception.
"""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_connectif.files.deflate import crc32
from airflow_provider_connectif.files.stores.base import Staged, Store, StoredObject
from airflow_provider_connectif.files.stores.parts import SMALLEST_PART, Parts, even_size, growing_sizes

#: An upload under way for longer than this belongs to a process that is dead.
ABANDONED_AFTER = 24 * 3600.0


class S3Staged(Staged):
    """One multipart upload."""

    def __init__(self, store: S3Store, name: str, expected_bytes: int | None) -> None:
        super().__init__(name)
        self._store = store
        self._upload: dict[str, Any] = {}
        self._done: list[dict[str, Any]] = []
        size = even_size(expected_bytes)
        # Some stores (Cloudflare R2) want parts of one size.
        even = expected_bytes is not None or getattr(store.fs, "fixed_upload_size", False)
        self._parts = Parts(
            store.fs.loop, self._send, checksum=self._checksum, size_of=(lambda _: size) if even else growing_sizes
        )

    def _begin(self) -> None:
        if not self._upload:
            self._upload = self._store.call("create_multipart_upload", self.name)

    def _checksum(self, part: memoryview) -> str:
        """The CRC-32 that ``botocore`` would send, four times as fast; nothing where it would send none, or another."""
        config = self._store.fs.s3.meta.config
        if getattr(config, "request_checksum_calculation", None) != "when_supported":
            return ""
        if self._upload.get("ChecksumAlgorithm", "CRC32") != "CRC32":
            return ""
        return base64.b64encode(crc32(part).to_bytes(4, "big")).decode()

    async def _send(self, number: int, body: io.BytesIO, checksum: str) -> dict[str, Any]:
        answer = await self._store.fs._call_s3(
            "upload_part",
            Bucket=self._store.bucket,
            Key=self._store.key(self.name),
            UploadId=self._upload["UploadId"],
            PartNumber=number,
            Body=body,
            **({"ChecksumCRC32": checksum} if checksum else {}),
        )
        part = {"PartNumber": number, "ETag": answer["ETag"]}
        algorithm = self._upload.get("ChecksumAlgorithm")
        if algorithm and answer.get(f"Checksum{algorithm}"):
            part[f"Checksum{algorithm}"] = answer[f"Checksum{algorithm}"]
        return part

    def _write(self, data: bytes) -> None:
        self._begin()
        self._parts.write(data)

    def _complete(self) -> None:
        # An empty object is no multipart upload: not all stores take an empty part.
        if self.bytes:
            self._done = self._parts.finish()

    def _publish(self) -> str | None:
        store = self._store
        if not self._upload:
            store.call("put_object", self.name, Body=b"")
        else:
            try:
                store.call(
                    "complete_multipart_upload",
                    self.name,
                    UploadId=self._upload["UploadId"],
                    MultipartUpload={"Parts": self._done},
                )
            except FileNotFoundError:
                # Completed by an earlier request whose answer was lost, and repeated by the client library?
                if not self._is_there():
                    raise
        store.fs.invalidate_cache(store.path(self.name))
        # Asked for: some servers answer the completion with an ETag that the object does not keep.
        return store.info(self.name).etag

    def _is_there(self) -> bool:
        found = self._store.info(self.name)
        if found.size != self.bytes:
            return False
        if found.etag == _etag_of_parts(self._done):
            return True
        # Not all servers have that rule for ETags: then the content tells.
        digest = hashlib.sha256()
        with self._store.fs.open(self._store.path(self.name), "rb", block_size=SMALLEST_PART) as file:
            while block := file.read(SMALLEST_PART):
                digest.update(block)
        return digest.hexdigest() == self.sha256

    def _discard(self) -> None:
        self._parts.cancel()
        if self._upload:
            self._store.call("abort_multipart_upload", self.name, UploadId=self._upload["UploadId"])


class S3Store(Store):
    """A prefix in a bucket."""

    def __init__(self, fs: Any, root: str) -> None:
        super().__init__(fs, root)
        self.bucket, prefix, _ = fs.split_path(root)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @property
    def exclusive_put(self) -> bool:  # type: ignore[override]
        """Amazon's own S3 honours ``If-None-Match``; of others nobody knows, and some ignore it silently."""
        endpoint = self.fs.endpoint_url or self.fs.client_kwargs.get("endpoint_url")
        host = urlsplit(endpoint).hostname or "" if endpoint else ""
        return not endpoint or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))

    def key(self, name: str) -> str:
        """The object's key in the bucket."""
        return self._prefix + name

    def call(self, method: str, name: str, **arguments: Any) -> dict[str, Any]:
        """One request about one object; errors come as ``s3fs`` translates them (``FileNotFoundError`` …)."""
        answer = self.fs.call_s3(method, Bucket=self.bucket, Key=self.key(name), **arguments)
        return dict(answer)

    def stage(self, name: str, expected_bytes: int | None = None) -> S3Staged:
        return S3Staged(self, name, expected_bytes)

    def put(self, name: str, data: bytes, *, exclusive: bool = False) -> None:
        condition = {"IfNoneMatch": "*"} if exclusive and self.exclusive_put else {}
        try:
            self.call("put_object", name, Body=data, **condition)
        except OSError as error:
            if condition and _error_code(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise FileExistsError(name) from error
            raise
        self.fs.invalidate_cache(self.path(name))

    def read(self, name: str) -> bytes:
        data: bytes = self.fs.cat_file(self.path(name))
        return data

    def info(self, name: str) -> StoredObject:
        answer = self.call("head_object", name)
        return StoredObject(
            name, answer["ContentLength"], _bare(answer.get("ETag")), answer["LastModified"].timestamp()
        )

    def find(self, prefix: str) -> list[StoredObject]:
        found: list[StoredObject] = []
        more: dict[str, Any] = {}
        while True:
            page = self.fs.call_s3(
                "list_objects_v2", Bucket=self.bucket, Prefix=self.key(prefix), Delimiter="/", **more
            )
            for each in page.get("Contents") or []:
                found.append(
                    StoredObject(
                        each["Key"][len(self._prefix) :],
                        each["Size"],
                        _bare(each.get("ETag")),
                        each["LastModified"].timestamp(),
                    )
                )
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, name: str) -> None:
        self.call("delete_object", name)
        self.fs.invalidate_cache(self.path(name))

    def sweep(self, names: set[str], now: float) -> None:
        answer = self.fs.call_s3("list_multipart_uploads", Bucket=self.bucket, Prefix=self._prefix)
        keys = {self.key(name): name for name in names}
        for upload in answer.get("Uploads") or []:
            if upload["Key"] in keys and now - upload["Initiated"].timestamp() > ABANDONED_AFTER:
                self.call("abort_multipart_upload", keys[upload["Key"]], UploadId=upload["UploadId"])


def _bare(etag: str | None) -> str | None:
    return etag.strip('"') if etag else None


def _etag_of_parts(parts: list[dict[str, Any]]) -> str | None:
    """The ETag of a multipart object, by the rule that S3 has for it."""
    try:
        joined = b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in parts)
    except ValueError:
        return None
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(parts)}"


def _error_code(error: BaseException | None) -> str | None:
    """The store's own code of an error that ``s3fs`` has translated."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code")
            return str(code) if code else None
        error = error.__cause__
    return None
