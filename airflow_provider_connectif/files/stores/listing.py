# SPDX-License-Identifier: Apache-2.0
"""Looking up and deleting objects through any fsspec filesystem, without trusting its cache of listings."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from typing import Any

from airflow_provider_connectif.files.stores.base import Store, StoredObject


class ListingStore(Store):
    """A store whose objects are looked up and deleted with the methods of fsspec."""

    @staticmethod
    @abstractmethod
    def _parse(name: str, entry: dict[str, Any]) -> StoredObject:
        """Return the properties of an object from what ``info`` and ``ls`` of the filesystem return."""

    def _info(self, name: str) -> StoredObject:
        self.fs.invalidate_cache(self.root)
        entry = self.fs.info(self.path(name))
        if entry["type"] != "file":
            raise FileNotFoundError(name)
        return self._parse(name, entry)

    def _find(self, prefix: str) -> list[StoredObject]:
        self.fs.invalidate_cache(self.root)
        try:
            listed = self.fs.ls(self.root, detail=True)
        except FileNotFoundError:
            return []
        named = [(each["name"].rstrip("/").rsplit("/", 1)[-1], each) for each in listed if each["type"] == "file"]
        return [self._parse(name, each) for name, each in named if name.startswith(prefix)]

    def _delete(self, name: str) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm_file(self.path(name))
        finally:
            self.fs.invalidate_cache(self.root)
