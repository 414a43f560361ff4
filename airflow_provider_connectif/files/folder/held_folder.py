# SPDX-License-Identifier: Apache-2.0
"""A folder while a writer holds its lease: what dead writers left is deleted, and new objects are published."""

from __future__ import annotations

import dataclasses
import logging
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_provider_connectif.files.errors import DestinationError, FileError, FolderTaken
from airflow_provider_connectif.files.folder.lease import Lease
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME, Manifest, is_stored
from airflow_provider_connectif.files.folder.notes import Note, announce, find_abandoned, merge
from airflow_provider_connectif.files.stores.errors import VersionConflict

if TYPE_CHECKING:
    from airflow_provider_connectif.files.stores.base import Store, StoredObject
    from airflow_provider_connectif.files.stores.staged import Staged

log = logging.getLogger(__name__)


class HeldFolder:
    """A folder while its lease is held.

    :param store: the folder
    :param lease: its lease, which has been acquired
    """

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self._manifest_version: str | None = None
        #: What the folder contained when it was last looked at.
        self.listing: dict[str, StoredObject] = {}
        #: The objects that may be visible although no manifest lists them.
        self.unlisted: Note = lease.note

    def look(self) -> Manifest | None:
        """List the folder, read its manifest, and delete what dead writers published without a manifest.

        :raises FolderTaken: if another process has taken over the folder
        :raises ManifestUnreadable: if the manifest is not valid
        :raises DestinationError: if the store fails
        """
        self.listing = self._lease.list_folder()
        manifest = self._read_manifest() if MANIFEST_NAME in self.listing else None
        self.unlisted = self._lease.note
        self._delete_unlisted(manifest)
        self.unlisted = {}
        return manifest

    def find(self, name: str) -> StoredObject | None:
        """Return an object, as of the last look, also if the store spells its name differently."""
        if name in self.listing or not any(is_same_spelling(name, each) for each in self.listing):
            return self.listing.get(name)
        return self._store.info(name)

    def contains(self, manifest: Manifest) -> bool:
        """Return whether every object of a manifest is there, as of the last look."""
        return all(is_stored(file, self.find(file.path)) for file in manifest.files)

    def publish(self, staged: Sequence[Staged], manifest: Manifest, old: Manifest | None) -> Manifest:
        """Make objects visible, and write the manifest that lists them.

        :param staged: the objects, all complete
        :param manifest: the manifest of these objects, still without their ETags and without what it replaces
        :param old: the folder's manifest, as of the last look
        :return: the manifest that was written
        :raises FolderTaken: if another process has taken over the folder
        :raises DestinationError: if the store fails
        """
        inherited = self._lease.note
        own = announce({each.name: each.bytes for each in staged}, self.listing)
        self._lease.announce(merge(inherited, own))
        self.unlisted = self._lease.note
        try:
            for each in staged:
                self._lease.check()
                each.publish()
            etags = [each.etag for each in staged]
            files = (dataclasses.replace(file, etag=etag) for file, etag in zip(manifest.files, etags, strict=True))
            manifest = dataclasses.replace(manifest, files=tuple(files))
            # An ETag is the store's response to the publication: it need not be asked again.
            if inherited or not all(etags):
                self._verify(manifest)
            replaced = old.names | set(old.replaces) if old else set()
            replaced |= find_abandoned(inherited, self.listing, manifest.names)
            manifest = dataclasses.replace(manifest, replaces=tuple(sorted(replaced - manifest.names)))
            self._write_manifest(manifest)
        except FolderTaken:
            raise
        except BaseException:
            self._take_back(staged, old)
            raise
        self.unlisted = {}
        return manifest

    def delete_replaced(self, manifest: Manifest) -> Manifest:
        """Delete the objects that the manifest replaces; return and store the manifest without them.

        :raises FolderTaken: if another process has taken over the folder
        :raises DestinationError: if the store fails
        """
        if not manifest.replaces:
            return manifest
        names = set(manifest.replaces) - manifest.names
        if any(is_same_spelling(old, new) for old in names for new in manifest.names):
            self.listing = self._lease.list_folder()
            names = {old for old in names if not self._is_same_object(old, manifest.names)}
        self._delete(names)
        manifest = dataclasses.replace(manifest, replaces=())
        self._write_manifest(manifest)
        return manifest

    def _is_same_object(self, old: str, new_names: set[str]) -> bool:
        """Return whether the store, which may ignore case, has one object for an old and a new name."""
        return any(
            is_same_spelling(old, new) and not {old, new} <= self.listing.keys() for new in new_names if new != old
        )

    def _verify(self, manifest: Manifest) -> None:
        """Make sure that the objects are there, before the manifest is written and anything old is deleted."""
        self.listing = self._lease.list_folder()
        if not self.contains(manifest):
            raise DestinationError(
                "Objects that were just stored are missing in the folder, or have another size: something else "
                "deletes or replaces them. Run the task again."
            )

    def _take_back(self, staged: Sequence[Staged], old: Manifest | None) -> None:
        """Delete what was published, after an error. What may still become visible is left to the next writer."""
        try:
            self.listing = self._lease.list_folder()
            manifest = self._read_manifest() if MANIFEST_NAME in self.listing else None
            self._delete_unlisted(old, manifest)
        except FolderTaken:
            return  # The writer that has taken over deletes them.
        except FileError as error:
            log.warning("The store fails, so the next run has to delete what this one made visible: %s", error)
            return
        listed = manifest.names if manifest else set()
        unknown = {each.name for each in staged if each.outcome_unknown} - listed
        self.unlisted = {name: each for name, each in self.unlisted.items() if name in unknown}

    def _delete_unlisted(self, *manifests: Manifest | None) -> None:
        listed = {name for each in manifests if each for name in (*each.names, *each.replaces)}
        self._delete(find_abandoned(self.unlisted, self.listing, listed))

    def _delete(self, names: set[str]) -> None:
        for name in sorted(names):
            self._lease.check()
            self._store.delete(name)
            self.listing.pop(name, None)

    def _read_manifest(self) -> Manifest | None:
        if self._store.conditional_writes:
            data, self._manifest_version = self._store.read_versioned(MANIFEST_NAME) or (None, None)
        else:
            data = self._store.read(MANIFEST_NAME)
        return None if data is None else Manifest.from_bytes(data)

    def _write_manifest(self, manifest: Manifest) -> None:
        self._lease.check()
        data = manifest.to_bytes()
        conditions: Mapping[str, str | bool] = {}
        if self._store.conditional_writes:
            version = self._manifest_version
            conditions = {"if_absent": True} if version is None else {"if_version": version}
        try:
            self._manifest_version = self._store.put(MANIFEST_NAME, data, **conditions)  # type: ignore[arg-type]
        except (DestinationError, VersionConflict) as error:
            # The response may be lost although the manifest was written.
            found = self._read_manifest()
            if found is not None and found.to_bytes() == data:
                return
            if isinstance(error, DestinationError):
                raise
            self._lease.confirm()
            raise DestinationError(
                f"Something else changed the folder's {MANIFEST_NAME} while this task was storing an export. Run the "
                "task again."
            ) from error


def is_same_spelling(one: str, other: str) -> bool:
    """Return whether a store that ignores case, or normalizes Unicode, considers two names as one."""
    return _fold(one) == _fold(other)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
