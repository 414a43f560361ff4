# SPDX-License-Identifier: Apache-2.0
"""Objects that appear whole or not at all.

A :class:`Folder` is where an export's objects go. An object is staged (written, invisible), completed (every
byte is at the store, still invisible), then published, which shows it whole in one step, or discarded, which
leaves no trace::

    with folder.stage("activities.csv") as staged:
        for chunk in chunks:
            staged.write(chunk)
        staged.complete()
        staged.publish()

How, depends on the place: see the modules of :mod:`airflow_provider_connectif.files.stores`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.files.stores.base import Staged, Store, StoredObject, store_errors

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger(__name__)

__all__ = ["Folder", "Staged", "StoredObject"]


class Folder:
    """A folder in any fsspec filesystem.

    Its methods raise :class:`~airflow_provider_connectif.files.errors.DestinationError` when the store fails.

    :param fs: the filesystem; it is used as it is, and not closed
    :param path: the folder's path in it (``bucket/some/prefix``, ``/data/exports``), with or without its
        protocol
    :param clock: tells the present moment, in seconds since the epoch
    """

    def __init__(self, fs: AbstractFileSystem, path: str, *, clock: Callable[[], float] = time.time) -> None:
        self.fs = fs
        self.path = path
        self._clock = clock
        self._kept_store: Store | None = None

    @property
    def exclusive_put(self) -> bool:
        """Whether :meth:`put` with ``exclusive`` is decided by the store, for all who write at once."""
        return self._store.exclusive_put

    def stage(self, name: str, expected_bytes: int | None = None) -> Staged:
        """Begin the object ``name``.

        :param name: a plain name, without folders
        :param expected_bytes: the most that is expected to come, for the choice of part sizes
        """
        return self._store.stage(_plain(name), expected_bytes)

    def put(self, name: str, data: bytes, *, exclusive: bool = False) -> None:
        """Write a small object whole.

        :param exclusive: fail if there is one by that name
        :raises FileExistsError: if there is one (only where :attr:`exclusive_put` is True)
        """
        with store_errors(f"writing {name}"):
            self._store.put(_plain(name), data, exclusive=exclusive)

    def read(self, name: str) -> bytes | None:
        """The whole content of a small object, or None when there is none."""
        try:
            with store_errors(f"reading {name}"):
                return self._store.read(_plain(name))
        except FileNotFoundError:
            return None

    def info(self, name: str) -> StoredObject | None:
        """What the store tells of an object, or None when there is none."""
        try:
            with store_errors(f"looking at {name}"):
                return self._store.info(_plain(name))
        except FileNotFoundError:
            return None

    def find(self, prefix: str = "") -> list[StoredObject]:
        """The folder's own objects (none of folders inside it) whose name begins with ``prefix``."""
        with store_errors("listing the folder"):
            return self._store.find(prefix)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; those that are not there are fine."""
        for name in names:
            with store_errors(f"deleting {name}"):
                self._store.delete(_plain(name))

    def sweep(self, names: Iterable[str]) -> None:
        """Take away what killed processes left unpublished.

        Never raises: the right to do so may be missing.
        """
        try:
            self._store.sweep(set(names), self._clock())
        except Exception as error:
            log.debug("Leftovers of earlier runs could not be looked for: %s", type(error).__name__)

    @property
    def _store(self) -> Store:
        if self._kept_store is None:
            self._kept_store = _store_for(self.fs, self.path)
        return self._kept_store


def _store_for(fs: Any, path: str) -> Store:
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    root: str = fs._strip_protocol(path).rstrip("/")
    # Each needs a package that need not be installed: imported when there is a filesystem made of it.
    if "s3" in protocols and hasattr(fs, "call_s3"):
        from airflow_provider_connectif.files.stores.s3 import S3Store

        return S3Store(fs, root)
    if "abfs" in protocols and hasattr(fs, "service_client"):
        from airflow_provider_connectif.files.stores.azure import AzureStore

        return AzureStore(fs, root)
    if "gs" in protocols and hasattr(fs, "credentials"):
        from airflow_provider_connectif.files.stores.gcs import GCSStore

        return GCSStore(fs, root)
    if "file" in protocols:
        from airflow_provider_connectif.files.stores import local

        return local.store(fs, root or "/")
    from airflow_provider_connectif.files.stores.generic import GenericStore

    return GenericStore(fs, root)


def _plain(name: str) -> str:
    if not name or "/" in name or name in (".", ".."):
        raise ValueError(f"{name!r} is no name of an object in a folder: it must be plain, without folders")
    return name
