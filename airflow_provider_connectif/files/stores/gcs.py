# SPDX-License-Identifier: Apache-2.0
"""Objects in Google Cloud Storage, through a ``gcsfs`` filesystem.

Each object is a resumable upload that is finished when the object is published: nothing is visible before that. Files
of ``gcsfs`` that are opened without ``autocommit`` do this well, but they send while the caller waits, so the file is
written in a background thread.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airflow_provider_connectif.files.stores.background import MIB
from airflow_provider_connectif.files.stores.base import StoredObject
from airflow_provider_connectif.files.stores.errors import VersionConflict
from airflow_provider_connectif.files.stores.listing import ListingStore
from airflow_provider_connectif.files.stores.staged import StagedFile

#: A multiple of 256 KiB, as the service requires.
CHUNK_SIZE = 16 * MIB


class GCSStaged(StagedFile):
    """One resumable upload."""

    def __init__(self, store: GCSStore, name: str) -> None:
        super().__init__(name)
        self._store = store

    def _open(self) -> Any:
        return self._store.fs.open(self._store.path(self.name), "wb", block_size=CHUNK_SIZE, autocommit=False)

    def _publish(self) -> str | None:
        self._file.commit()
        self._store.fs.invalidate_cache(self._store.root)
        return self._store._info(self.name).etag

    def _discard(self) -> None:
        self._writing.close()
        if self._file is not None:
            # Closed first, or its finalizer would send the rest.
            self._file.closed = True
            self._file.discard()


class GCSStore(ListingStore):
    """A prefix in a bucket."""

    def _stage(self, name: str, expected_bytes: int | None) -> GCSStaged:
        return GCSStaged(self, name)

    def _conditional_writes(self) -> bool:
        return True

    def _put(self, name: str, data: bytes, if_absent: bool, if_version: str | None) -> str:
        generation = "0" if if_absent else if_version
        bucket, key, _ = self.fs.split_path(self.path(name))
        # Not pipe_file: it knows no other condition than the first, and does not return the generation.
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        metadata = {"name": key, "md5Hash": base64.b64encode(digest).decode()}
        boundary = uuid.uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(metadata)}\r\n"
        head += f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        with _version_conflicts(name):
            response = self.fs.call(
                "POST",
                f"{self.fs._location}/upload/storage/v1/b/{quote(bucket, safe='')}/o",
                uploadType="multipart",
                ifGenerationMatch=generation,
                headers={"Content-Type": f"multipart/related; boundary={boundary}"},
                data=head.encode() + data + f"\r\n--{boundary}--".encode(),
                json_out=True,
            )
        self.fs.invalidate_cache(self.root)
        return str(response["generation"])

    def _read(self, name: str) -> bytes:
        return self._read_versioned(name)[0]

    def _read_versioned(self, name: str) -> tuple[bytes, str]:
        headers, data = self.fs.call("GET", self.fs.url(self.path(name)))
        return data, headers["x-goog-generation"]

    def _delete_version(self, name: str, version: str) -> None:
        bucket, key, _ = self.fs.split_path(self.path(name))
        with _version_conflicts(name):
            self.fs.call("DELETE", "b/{}/o/{}", bucket, key, ifGenerationMatch=version)
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
