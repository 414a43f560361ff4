# SPDX-License-Identifier: Apache-2.0
"""Objects in Google Cloud Storage, through a ``gcsfs`` filesystem.

Each object is a resumable upload, whose last piece is kept back until it is published: before that nothing is
visible. ``gcsfs`` does this well when its files are opened without ``autocommit``; what it lacks is working
beside the reader, so its file is written in a helper thread.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_provider_connectif.files.stores.base import MIB, BackgroundCalls, Staged, StoredObject
from airflow_provider_connectif.files.stores.listing import ListingStore

#: A multiple of 256 KiB, as the service wants it.
PIECE = 16 * MIB


class GCSStaged(Staged):
    """One resumable upload."""

    def __init__(self, store: GCSStore, name: str) -> None:
        super().__init__(name)
        self._store = store
        self._file: Any = None
        self._beside = BackgroundCalls()

    def _open(self) -> Any:
        if self._file is None:
            self._file = self._store.fs.open(self._store.path(self.name), "wb", block_size=PIECE, autocommit=False)
        return self._file

    def _write(self, data: bytes) -> None:
        self._beside.do(self._open().write, data, size=len(data))

    def _complete(self) -> None:
        self._beside.finish()
        self._open().close()

    def _publish(self) -> str | None:
        self._file.commit()
        self._store.fs.invalidate_cache(self._store.root)
        return self._store.info(self.name).etag

    def _discard(self) -> None:
        self._beside.close()
        if self._file is not None:
            # Closed first, or its finalizer would send what is left.
            self._file.closed = True
            self._file.discard()


class GCSStore(ListingStore):
    """A prefix in a bucket."""

    exclusive_put = True

    def stage(self, name: str, expected_bytes: int | None = None) -> GCSStaged:
        return GCSStaged(self, name)

    def put(self, name: str, data: bytes, *, exclusive: bool = False) -> None:
        self.fs.pipe_file(self.path(name), data, mode="create" if exclusive else "overwrite")
        self.fs.invalidate_cache(self.root)

    def read(self, name: str) -> bytes:
        data: bytes = self.fs.cat_file(self.path(name))
        return data

    @staticmethod
    def told(name: str, found: dict[str, Any]) -> StoredObject:
        changed = found.get("updated")
        if isinstance(changed, str):
            changed = datetime.fromisoformat(changed.replace("Z", "+00:00"))
        etag = found.get("etag")
        return StoredObject(name, found["size"], etag, changed.timestamp() if changed else None)
