# SPDX-License-Identifier: Apache-2.0
"""What all stores have in common.

A *store* is one folder in one place: a prefix in a bucket, a directory. It knows how that place makes an object appear
whole or not at all; it knows nothing about exports, manifests or archives.

An object is staged (written, invisible), completed (every byte is at the store, still invisible), and then published,
which makes it visible as a whole in one step, or discarded, which leaves no trace::

    with store.stage("activities.csv") as staged:
        for chunk in chunks:
            staged.write(chunk)
        staged.complete()
        staged.publish()
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_connectif.files.background import MIB
from airflow_provider_connectif.files.object_names import is_plain_name
from airflow_provider_connectif.files.stores.errors import store_errors
from airflow_provider_connectif.files.stores.staged import ByteBudget, Staged
from airflow_provider_connectif.files.stores.temporary_names import PREFIX, is_staged, is_temporary

log = logging.getLogger(__name__)

#: The bytes that all small objects of a folder may hold together until they are published.
MAX_SMALL_BYTES = 8 * MIB

#: Seconds after which a hidden file that any writer may have written belongs to a dead process.
ABANDONED_AFTER = 24 * 3600.0


@dataclass(frozen=True)
class StoredObject:
    """The properties of one object.

    :param name: its name in the folder
    :param size: its length in bytes
    :param etag: the store's identifier of this version of the object, or None if it has none
    :param modified: seconds since the epoch by the store's clock, or None if the store does not say
    """

    name: str
    size: int
    etag: str | None = None
    modified: float | None = None


class Store(ABC):
    """One folder in one place.

    Its methods check names and raise :class:`~airflow_provider_connectif.files.errors.DestinationError` if the store
    fails. Subclasses implement the protected methods of the same names.

    :param fs: the fsspec filesystem; shared with others, and never closed here
    :param root: the folder's path in it, without a slash at the end
    :param clock: returns the current time, in seconds since the epoch
    """

    def __init__(self, fs: Any, root: str, *, clock: Callable[[], float] = time.time) -> None:
        self.fs = fs
        self.root = root
        self._clock = clock
        #: What small objects of this folder may hold until they are published.
        self.budget = ByteBudget(MAX_SMALL_BYTES)

    def path(self, name: str) -> str:
        """Return the path of the object ``name`` in :attr:`fs`."""
        return f"{self.root}/{name}" if self.root else name

    @property
    def conditional_writes(self) -> bool:
        """Whether :meth:`put` and :meth:`delete` accept conditions, which also hold among concurrent writers.

        Finding out may take a few requests the first time.
        """
        with store_errors("finding out whether the store honours conditional requests"):
            return self._conditional_writes()

    def check(self, name: str) -> bool:
        """Check that the folder can be used, as far as that shows without writing, with one request.

        :param name: the name of an object
        :return: whether this object exists
        :raises FileNotFoundError: if the bucket or container does not exist
        :raises DestinationError: if the store refuses access, or cannot be reached
        """
        with store_errors("looking at the folder"):
            return self._check(name)

    def stage(self, name: str, expected_bytes: int | None = None) -> Staged:
        """Begin the object ``name``.

        :param name: a plain name, without folders
        :param expected_bytes: the expected maximum size, from which part sizes are chosen; it is not a limit
        """
        _check_name(name)
        return self._stage(name, expected_bytes)

    def put(
        self,
        name: str,
        data: bytes,
        *,
        if_absent: bool = False,
        if_version: str | None = None,
    ) -> str | None:
        """Write a small object in one step, if the condition is met.

        Conditions are possible where :attr:`conditional_writes` is True. Client libraries repeat a request whose
        response was lost, so a :class:`VersionConflict` may be with what this very call has written.

        :param if_absent: only if there is no such object
        :param if_version: only if the object has this version, which an earlier call returned
        :return: the object's new version; None where conditions are not possible
        :raises VersionConflict: if the condition is not met
        """
        _check_name(name)
        if if_absent or if_version is not None:
            self._require_conditional_writes()
        with store_errors(f"writing {name}"):
            return self._put(name, data, if_absent, if_version)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small object, or None if it does not exist."""
        _check_name(name)
        try:
            with store_errors(f"reading {name}"):
                return self._read(name)
        except FileNotFoundError:
            return None

    def read_versioned(self, name: str) -> tuple[bytes, str] | None:
        """Return the content of a small object and its version, or None if it does not exist.

        Possible where :attr:`conditional_writes` is True.
        """
        _check_name(name)
        self._require_conditional_writes()
        try:
            with store_errors(f"reading {name}"):
                return self._read_versioned(name)
        except FileNotFoundError:
            return None

    def info(self, name: str) -> StoredObject | None:
        """Return the properties of an object, or None if it does not exist."""
        _check_name(name)
        try:
            with store_errors(f"looking up {name}"):
                return self._info(name)
        except FileNotFoundError:
            return None

    def find(self, prefix: str = "") -> list[StoredObject]:
        """Return the objects in the folder itself, not in folders below it, whose names begin with ``prefix``."""
        with store_errors("listing the folder"):
            return self._find(prefix)

    def delete(self, name: str) -> None:
        """Delete an object, if it exists."""
        _check_name(name)
        with store_errors(f"deleting {name}"):
            self._delete(name)

    def delete_version(self, name: str, version: str) -> None:
        """Delete an object if it has this version.

        Possible where :attr:`conditional_writes` is True. Some S3-compatible stores ignore the condition of a deletion.

        :raises VersionConflict: if it has another version, or does not exist
        """
        _check_name(name)
        self._require_conditional_writes()
        with store_errors(f"deleting {name}"):
            self._delete_version(name, version)

    def delete_abandoned_uploads(self, names: Iterable[str]) -> None:
        """Delete the unpublished uploads of these objects that killed processes left behind.

        Only for the one writer of the folder, and only when it has published its own objects: every other upload is
        then abandoned. Never raises: the permission to do this may be missing.
        """
        try:
            self._delete_abandoned_uploads(set(names))
        except Exception as error:
            log.debug("Abandoned uploads could not be deleted: %s", type(error).__name__)

    def _check(self, name: str) -> bool:
        return any(each.name == name for each in self._find(name))

    @abstractmethod
    def _stage(self, name: str, expected_bytes: int | None) -> Staged: ...

    def _require_conditional_writes(self) -> None:
        if not self.conditional_writes:
            raise ValueError("The store does not support conditional writes")

    def _conditional_writes(self) -> bool:
        """Return whether conditions are possible; the three methods that need this are then implemented."""
        return False

    @abstractmethod
    def _put(self, name: str, data: bytes, if_absent: bool, if_version: str | None) -> str | None:
        """Write an object in one step, and return its version; raise ``VersionConflict`` if the condition fails."""

    def _read_versioned(self, name: str) -> tuple[bytes, str]:
        """Return content and version, never from a cache; raise ``FileNotFoundError`` if it does not exist."""
        raise NotImplementedError

    def _delete_version(self, name: str, version: str) -> None:
        """Delete an object if it has this version; raise ``VersionConflict`` if not."""
        raise NotImplementedError

    def _read(self, name: str) -> bytes:
        """Return an object's content, never from a cache; raise ``FileNotFoundError`` if it does not exist."""
        return self._read_versioned(name)[0]

    @abstractmethod
    def _info(self, name: str) -> StoredObject:
        """Return an object's properties, never from a cache; raise ``FileNotFoundError`` if it does not exist."""

    @abstractmethod
    def _find(self, prefix: str) -> list[StoredObject]:
        """Return the objects whose names begin with ``prefix``, never from a cache."""

    @abstractmethod
    def _delete(self, name: str) -> None:
        """Delete an object, if it exists."""

    def _delete_abandoned_uploads(self, names: set[str]) -> None:
        """Delete every upload of the objects ``names``; by default the hidden files that objects are staged in."""
        for each in self._find(PREFIX):
            is_old = each.modified is not None and self._clock() - each.modified > ABANDONED_AFTER
            if is_staged(each.name) or (is_old and is_temporary(each.name)):
                self._delete(each.name)


def without_quotes(etag: str | None) -> str | None:
    """Return an ETag without the quotes that it has in HTTP headers."""
    return etag.strip('"') if etag else None


def _check_name(name: str) -> None:
    if not is_plain_name(name):
        raise ValueError(f"{name!r} is not a plain name: the name of an object in a folder must not contain folders")
