# SPDX-License-Identifier: Apache-2.0
"""Any other fsspec filesystem: a hidden temporary name, then a move.

Weaker than the others: many filesystems move by copying and deleting, and a reader who looks in that moment
may see a part of the object. It never stays so: a move that fails is an error, and the next run replaces the
object.
"""

from __future__ import annotations

import contextlib
import uuid
from datetime import datetime
from typing import Any

from airflow_provider_connectif.files.stores.base import BackgroundCalls, Staged, StoredObject
from airflow_provider_connectif.files.stores.listing import ListingStore

PREFIX = ".connectif-"
SUFFIX = ".part"

#: An unfinished file that nobody has written to for this long belongs to a process that is dead.
ABANDONED_AFTER = 24 * 3600.0


class GenericStaged(Staged):
    """An object under a hidden name."""

    def __init__(self, store: GenericStore, name: str) -> None:
        super().__init__(name)
        self._store = store
        self._temporary = store.path(f"{PREFIX}{uuid.uuid4().hex}{SUFFIX}")
        self._file: Any = None
        self._beside = BackgroundCalls()

    def _open(self) -> Any:
        if self._file is None:
            self._store.fs.makedirs(self._store.root, exist_ok=True)
            self._file = self._store.fs.open(self._temporary, "wb")
        return self._file

    def _write(self, data: bytes) -> None:
        self._beside.do(self._open().write, data, size=len(data))

    def _complete(self) -> None:
        file = self._open()
        self._beside.finish()
        file.close()

    def _publish(self) -> str | None:
        self._store.fs.mv(self._temporary, self._store.path(self.name))
        self._store.fs.invalidate_cache(self._store.root)
        return None

    def _discard(self) -> None:
        self._beside.close()
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.close()
            with contextlib.suppress(FileNotFoundError):
                self._store.fs.rm_file(self._temporary)
            self._store.fs.invalidate_cache(self._store.root)


class GenericStore(ListingStore):
    """A folder of any fsspec filesystem."""

    def stage(self, name: str, expected_bytes: int | None = None) -> GenericStaged:
        return GenericStaged(self, name)

    def put(self, name: str, data: bytes, *, exclusive: bool = False) -> None:
        with GenericStaged(self, name) as staged:
            staged.write(data)
            staged.complete()
            staged.publish()

    def read(self, name: str) -> bytes:
        self.fs.invalidate_cache(self.root)
        data: bytes = self.fs.cat_file(self.path(name))
        return data

    @staticmethod
    def told(name: str, found: dict[str, Any]) -> StoredObject:
        moments = (found.get(key) for key in ("modified", "mtime", "last_modified", "LastModified", "created"))
        for moment in moments:
            if isinstance(moment, datetime):
                return StoredObject(name, found["size"], None, moment.timestamp())
            if isinstance(moment, (int, float)):
                return StoredObject(name, found["size"], None, float(moment))
        return StoredObject(name, found["size"])

    def sweep(self, names: set[str], now: float) -> None:
        for each in self.find(PREFIX):
            old = each.modified is not None and now - each.modified > ABANDONED_AFTER
            if old and each.name.endswith(SUFFIX):
                self.delete(each.name)
