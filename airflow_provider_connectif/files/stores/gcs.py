# SPDX-License-Identifier: Apache-2.0
"""Objects in Google Cloud Storage, through a ``gcsfs`` filesystem.

Each object is a resumable upload whose last request is made when the object is published: nothing is visible before
that. It contains the length and the checksum of the object, which the service verifies. Files of ``gcsfs`` cannot do
this: they compare the checksum when the object is visible.

The service accepts all but the last bytes only in multiples of 256 KiB, so up to 256 KiB of each object remain in
memory until it is published. If those of many objects are more than the budget of the folder, further objects are
finished under hidden names, and copied within the service when they are published.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from airflow_provider_connectif.files.background import MIB, BackgroundCalls
from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.base import StoredObject
from airflow_provider_connectif.files.stores.content_types import content_type
from airflow_provider_connectif.files.stores.errors import VersionConflict
from airflow_provider_connectif.files.stores.event_loop import run_in_loop
from airflow_provider_connectif.files.stores.listing import ListingStore
from airflow_provider_connectif.files.stores.staged import Staged, require_size
from airflow_provider_connectif.files.stores.temporary_names import temporary_name

#: All requests of a resumable upload but the last one have a multiple of this.
UNIT = MIB // 4

CHUNK_SIZE = 16 * MIB


class GCSStaged(Staged):
    """One resumable upload, whose last request is made when the object is published."""

    def __init__(self, store: GCSStore, name: str, expected_bytes: int | None) -> None:
        super().__init__(name, store.budget, expected_bytes)
        self._store = store
        self._target = name
        self._session = ""
        self._buffer = bytearray()
        self._sent = 0
        self._sending = BackgroundCalls()

    def _write(self, data: bytes) -> None:
        if not self._session:
            self._begin()
        self._buffer += data
        # At least one byte remains for the last request.
        if len(self._buffer) > CHUNK_SIZE:
            self._submit(CHUNK_SIZE)

    def _begin(self) -> None:
        import google_crc32c

        self._checksum: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
        if not self._store.budget.take(UNIT):
            # Many objects keep the bytes of their last request: this one is finished under a hidden name.
            self._target = temporary_name(staged=True)
        self._session = self._store.begin_upload(self._target, content_type(self.name))

    def _submit(self, size: int) -> None:
        chunk = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        self._sending.submit(self._send, chunk, size=size)

    def _send(self, chunk: bytes) -> None:
        self._checksum.update(chunk)
        while chunk:
            end = self._sent + len(chunk)
            headers, _ = self._store.continue_upload(self._session, chunk, f"bytes {self._sent}-{end - 1}/*")
            # The service may have kept only a part of it; what it has is the range that it returns.
            kept = int(headers["Range"].rpartition("-")[2]) + 1 if "Range" in headers else 0
            if not self._sent < kept <= end:
                raise DestinationError(f"The store has {kept:,} bytes of {self.name} instead of {end:,}")
            chunk = chunk[kept - self._sent :]
            self._sent = kept

    def _complete(self) -> None:
        self._submit((len(self._buffer) - 1) // UNIT * UNIT)
        self._sending.finish()
        require_size(self.name, self._sent + len(self._buffer), self.bytes)
        self._checksum.update(bytes(self._buffer))
        if self._is_hidden:
            self._finish()

    def _finish(self) -> dict[str, Any]:
        """Send the last bytes, with the length and checksum of the whole object: the service verifies both."""
        checksum = base64.b64encode(self._checksum.digest()).decode()
        _, content = self._store.continue_upload(
            self._session,
            bytes(self._buffer),
            f"bytes {self._sent}-{self.bytes - 1}/{self.bytes}",
            {"X-Goog-Hash": f"crc32c={checksum}"},
        )
        found: dict[str, Any] = json.loads(content)
        self._session = ""
        self._buffer = bytearray()
        return found

    @property
    def _is_hidden(self) -> bool:
        return self._target != self.name

    def _publish(self) -> str | None:
        if not self._is_hidden:
            etag: str | None = self._finish().get("etag")
            self._store.budget.give_back(UNIT)
        else:
            self._store.copy(self._target, self.name)
            self._store._delete(self._target)
            etag = self._store._info(self.name).etag
        self._store.fs.invalidate_cache(self._store.root)
        return etag

    def _publish_small(self, data: bytes) -> str | None:
        etag: str | None = self._store.upload(self.name, data).get("etag")
        return etag

    def _discard(self) -> None:
        self._sending.close()
        self._buffer = bytearray()
        if self._session:
            if not self._is_hidden:
                self._store.budget.give_back(UNIT)
            self._store.call("DELETE", self._session)
        elif self._is_hidden:
            self._store._delete(self._target)


class GCSStore(ListingStore):
    """A prefix in a bucket."""

    def call(self, method: str, url: str, *args: str, **options: Any) -> Any:
        """Make one request with the credentials of the filesystem; return what its ``call`` returns."""
        return run_in_loop(self.fs.loop, self.fs._call, method, url, *args, **options)

    def begin_upload(self, name: str, content_type: str) -> str:
        """Begin a resumable upload, and return the URL of its session."""
        from gcsfs.core import initiate_upload

        bucket, key, _ = self.fs.split_path(self.path(name))
        session: str = run_in_loop(self.fs.loop, initiate_upload, self.fs, bucket, key, content_type)
        return session

    def continue_upload(
        self, session: str, data: bytes, content_range: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[Mapping[str, str], bytes]:
        """Send bytes of a resumable upload; return headers and content of the response."""
        headers = {**headers, "Content-Range": content_range}
        response: tuple[Mapping[str, str], bytes] = self.call("POST", session, headers=headers, data=data)
        return response

    def upload(self, name: str, data: bytes, generation: str | None = None) -> dict[str, Any]:
        """Write an object in one request, and return its properties.

        :param generation: the generation that it must have, "0" if it must not exist; None for any
        """
        # Not pipe_file: it can only require that the object does not exist, and does not return the properties.
        bucket, key, _ = self.fs.split_path(self.path(name))
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        metadata = {"name": key, "md5Hash": base64.b64encode(digest).decode()}
        boundary = uuid.uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(metadata)}\r\n"
        head += f"--{boundary}\r\nContent-Type: {content_type(name)}\r\n\r\n"
        try:
            with _version_conflicts(name):
                response: dict[str, Any] = self.call(
                    "POST",
                    f"{self.fs._location}/upload/storage/v1/b/{quote(bucket, safe='')}/o",
                    uploadType="multipart",
                    ifGenerationMatch=generation,
                    headers={"Content-Type": f"multipart/related; boundary={boundary}"},
                    data=head.encode() + data + f"\r\n--{boundary}--".encode(),
                    json_out=True,
                )
        finally:
            self.fs.invalidate_cache(self.root)
        return response

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the service; the copy appears as a whole."""
        run_in_loop(self.fs.loop, self.fs._cp_file, self.path(source), self.path(target))

    def _check(self, name: str) -> bool:
        # Not ls, which reports a missing bucket as an empty folder.
        bucket, key, _ = self.fs.split_path(self.path(name))
        found = self.call("GET", "b/{}/o", bucket, prefix=key, maxResults=1, json_out=True)
        return any(each["name"] == key for each in found.get("items", ()))

    def _stage(self, name: str, expected_bytes: int | None) -> GCSStaged:
        return GCSStaged(self, name, expected_bytes)

    def _conditional_writes(self) -> bool:
        return True

    def _put(self, name: str, data: bytes, if_absent: bool, if_version: str | None) -> str:
        return str(self.upload(name, data, "0" if if_absent else if_version)["generation"])

    def _read_versioned(self, name: str) -> tuple[bytes, str]:
        headers, data = self.call("GET", self.fs.url(self.path(name)))
        return data, headers["x-goog-generation"]

    def _delete_version(self, name: str, version: str) -> None:
        bucket, key, _ = self.fs.split_path(self.path(name))
        with _version_conflicts(name):
            self.call("DELETE", "b/{}/o/{}", bucket, key, ifGenerationMatch=version)
        self.fs.invalidate_cache(self.root)

    @staticmethod
    def _parse(name: str, entry: dict[str, Any]) -> StoredObject:
        updated = entry.get("updated")
        if isinstance(updated, str):
            updated = datetime.fromisoformat(updated.replace("Z", "+00:00"))
        return StoredObject(name, entry["size"], entry.get("etag"), updated.timestamp() if updated else None)


@contextlib.contextmanager
def _version_conflicts(name: str) -> Iterator[None]:
    """Raise ``VersionConflict`` instead of the error for a generation that does not match."""
    try:
        yield
    except (FileExistsError, FileNotFoundError) as error:
        raise VersionConflict(f"{name} has another generation, or does not exist") from error
