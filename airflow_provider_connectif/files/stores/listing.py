# SPDX-License-Identifier: Apache-2.0
"""What a folder holds, asked through any fsspec filesystem, whose cache of listings is never trusted."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from typing import Any

from airflow_provider_connectif.files.stores.base import Store, StoredObject


class ListingStore(Store):
    """A store whose objects are looked up and deleted as fsspec does it."""

    @staticmethod
    @abstractmethod
    def told(name: str, found: dict[str, Any]) -> StoredObject:
        """Understand what the filesystem tells of an object."""

    def info(self, name: str) -> StoredObject:
        self.fs.invalidate_cache(self.root)
        found = self.fs.info(self.path(name))
        if found["type"] != "file":
            raise FileNotFoundError(name)
        return self.told(name, found)

    def find(self, prefix: str) -> list[StoredObject]:
        self.fs.invalidate_cache(self.root)
        try:
            listed = self.fs.ls(self.root, detail=True)
        except FileNotFoundError:
            return []
        named = [(each["name"].rstrip("/").rsplit("/", 1)[-1], each) for each in listed if each["type"] == "file"]
        return [self.told(name, each) for name, each in named if name.startswith(prefix)]

    def delete(self, name: str) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm_file(self.path(name))
        finally:
            self.fs.invalidate_cache(self.root)
