# SPDX-License-Identifier: Apache-2.0
"""Any other fsspec filesystem: an object is written under a hidden temporary name and then moved.

This is weaker than the other stores: many filesystems move by copying and deleting, and a reader may see a part of the
object meanwhile. That never lasts: a move that fails is an error, and the next run replaces the object.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

from airflow_provider_connectif.files.background import BackgroundCalls
from airflow_provider_connectif.files.stores.base import StoredObject
from airflow_provider_connectif.files.stores.listing import ListingStore
from airflow_provider_connectif.files.stores.staged import Staged, require_size
from airflow_provider_connectif.files.stores.temporary_names import temporary_name

_MODIFIED_KEYS = ("modified", "mtime", "last_modified", "LastModified", "created")


class GenericStaged(Staged):
    """An object under a hidden name, written through a file of the filesystem in a background thread."""

    def __init__(self, store: GenericStore, name: str, temporary: str) -> None:
        super().__init__(name)
        self._store = store
        self._temporary = temporary
        self._file: Any = None
        self._calls = BackgroundCalls()

    def _write(self, data: bytes) -> None:
        self._calls.submit(self._opened().write, data, size=len(data))

    def _complete(self) -> None:
        file = self._opened()
        self._calls.finish()
        file.close()
        require_size(self.name, self._store._info(self._temporary).size, self.bytes)

    def _opened(self) -> Any:
        if self._file is None:
            self._store.fs.makedirs(self._store.root, exist_ok=True)
            self._file = self._store.fs.open(self._store.path(self._temporary), "wb")
        return self._file

    def _publish(self) -> None:
        # In the thread: it is not interrupted, and closing it waits for its end.
        self._calls.submit(self._store.fs.mv, self._store.path(self._temporary), self._store.path(self.name))
        self._calls.finish()
        self._store.fs.invalidate_cache(self._store.root)

    def _discard(self) -> None:
        self._calls.close()
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.close()
            with contextlib.suppress(FileNotFoundError):
                self._store.fs.rm_file(self._store.path(self._temporary))
            self._store.fs.invalidate_cache(self._store.root)


class GenericStore(ListingStore):
    """A folder in any fsspec filesystem."""

    def _stage(self, name: str, expected_bytes: int | None) -> GenericStaged:
        return GenericStaged(self, name, temporary_name(staged=True))

    def _put(self, name: str, data: bytes, if_absent: bool, if_version: str | None) -> None:
        with GenericStaged(self, name, temporary_name(staged=False)) as staged:
            staged.write(data)
            staged.complete()
            staged.publish()

    def _read(self, name: str) -> bytes:
        self.fs.invalidate_cache(self.root)
        data: bytes = self.fs.cat_file(self.path(name))
        return data

    @staticmethod
    def _parse(name: str, entry: dict[str, Any]) -> StoredObject:
        for key in _MODIFIED_KEYS:
            modified = entry.get(key)
            if isinstance(modified, datetime):
                return StoredObject(name, entry["size"], None, modified.timestamp())
            if isinstance(modified, (int, float)):
                return StoredObject(name, entry["size"], None, float(modified))
        return StoredObject(name, entry["size"])
