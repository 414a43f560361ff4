# SPDX-License-Identifier: Apache-2.0
"""Objects in Google Cloud Storage, through a ``gcsfs`` filesystem.

Each object is a resumable upload that is finished when the object is published: nothing is visible before that. Files
of ``gcsfs`` that are opened without ``autocommit`` do this well, but they send while the caller waits, so the file is
written in a background thread.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_provider_connectif.files.stores.background import MIB
from airflow_provider_connectif.files.stores.base import StoredObject
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

    exclusive_put = True

    def _stage(self, name: str, expected_bytes: int | None) -> GCSStaged:
        return GCSStaged(self, name)

    def _put(self, name: str, data: bytes, exclusive: bool) -> None:
        self.fs.pipe_file(self.path(name), data, mode="create" if exclusive else "overwrite")
        self.fs.invalidate_cache(self.root)

    def _read(self, name: str) -> bytes:
        data: bytes = self.fs.cat_file(self.path(name))
        return data

    @staticmethod
    def _parse(name: str, entry: dict[str, Any]) -> StoredObject:
        updated = entry.get("updated")
        if isinstance(updated, str):
            updated = datetime.fromisoformat(updated.replace("Z", "+00:00"))
        return StoredObject(name, entry["size"], entry.get("etag"), updated.timestamp() if updated else None)
