# SPDX-License-Identifier: Apache-2.0
"""Delivery of an export's files to a folder, in an order in which a kill at any time does no harm.

The states of a folder, and what a process that is killed there leaves to the next run:

1. *Unchanged.* The manifest, if there is one, describes the old export. The writer holds the folder's lease, and
   uploads the new objects, of which none is visible. Left behind: the lease, and invisible uploads.
2. *Publishing.* The note in the lease lists the new objects, which become visible one after the other. The old manifest
   is still there; if new objects have the names of old ones, it is no longer true, and its sizes and ETags show that.
   Left behind: the lease with the note, and complete objects that no manifest lists. The next writer deletes them.
3. *New.* The manifest describes the new export. Its ``replaces`` names the old objects that still exist. Left behind:
   the lease, and old objects, which the next run deletes according to that list, whatever else it does.
4. *Done.* The old objects are deleted, the manifest is written again without ``replaces``, and the lease is deleted.

If the store fails in state 1, the old export is untouched. If it fails in state 2, the new objects are deleted again,
except those that replaced old ones. A request whose outcome is unknown counts as neither done nor undone: the folder is
looked at, and what may still arrive stays in the note of a lease that is released, not deleted.

An object that neither a manifest nor a note of this provider lists is replaced if a new one has its name and
``if_exists`` is ``replace``, is a conflict otherwise, and is never deleted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_connectif.files.errors import (
    ArchiveEmpty,
    DestinationError,
    FolderConflict,
    FolderTaken,
    RemoteFileChanged,
)
from airflow_provider_connectif.files.folder.held_folder import HeldFolder, is_same_spelling
from airflow_provider_connectif.files.folder.lease import Lease, Timing
from airflow_provider_connectif.files.folder.leases import create_lease, has_leftovers
from airflow_provider_connectif.files.folder.manifest import (
    MANIFEST_NAME,
    Manifest,
    describe_format,
    is_stored,
    read_manifest,
)
from airflow_provider_connectif.files.folder.upload import Upload, upload
from airflow_provider_connectif.files.folder.writers import (
    AnnouncementCheck,
    conflict_with,
    in_same_run,
    is_same_task,
)

if TYPE_CHECKING:
    from airflow_provider_connectif.files.stores.base import Store
    from airflow_provider_connectif.files.stores.staged import Staged
    from airflow_provider_connectif.files.tables.schema import CheckColumns, SchemaChange
    from airflow_provider_connectif.files.unpack.members import Member

log = logging.getLogger(__name__)

IfExists = Literal["replace", "skip", "error"]

#: Fields of an export that hold the URL of its file, which is a secret.
_URL_FIELDS = ("fileUrl", "file_url")


def deliver(
    open_archive: Callable[[], Iterable[Member]],
    store: Store,
    *,
    uri: str,
    export: Mapping[str, Any],
    file_format: str,
    column_types: Mapping[str, str] | None = None,
    if_exists: IfExists = "replace",
    writer: Mapping[str, Any],
    on_progress: Callable[[str, int, int | None], None] | None = None,
    look_first: bool = True,
    clock: Callable[[], float] = time.time,
    timing: Timing | None = None,
    is_announced: AnnouncementCheck | None = None,
    check_columns: CheckColumns | None = None,
) -> dict[str, Any]:
    """Store an export's files in a folder, with a manifest, once.

    Nothing is downloaded if the folder already holds this export in this format. If another writer is storing in the
    folder, this one waits for it.

    :param open_archive: opens the export's file; called only if something has to be downloaded, and a second time if
        the file changed while it was read, or if another process took over the folder
    :param store: the folder
    :param uri: the same folder as the author of the DAG wrote it; the paths in the result begin with it
    :param export: the export, as JSON-compatible values, with its ``id``
    :param file_format: ``csv``, ``csv.gz``, ``parquet`` or ``archive``
    :param column_types: the types of columns that are not text, in the spelling of
        :func:`~airflow_provider_connectif.files.tables.types.parse_column_types`; only for ``parquet``
    :param if_exists: what to do if the folder holds another export: ``replace`` it, ``skip`` (keep a complete one, and
        return its result), or fail with an ``error``. With the last two, files that this provider did not store are
        not overwritten.
    :param writer: the task instance: ``dag_id``, ``run_id``, ``task_id``, ``map_index``, ``clear_number``
    :param on_progress: called with an object's name, the number of bytes of it written so far, and its final size if
        known
    :param look_first: False skips the first look at the folder, which saves a request. Use it if the folder was just
        seen to hold no export. If another writer stores the same export meanwhile, the download is discarded.
    :param clock: returns the current time, in seconds since the epoch
    :param timing: how long to wait for other writers
    :param is_announced: returns whether others know what a writer stored; if not, it does not count as ``unchanged``.
        None: they always do
    :param check_columns: returns what changed in the columns. It is called before anything becomes visible, where what
        it raises leaves the folder as it was, and again for the result
    :return: ``export_id``, ``destination``, ``files`` (each with ``path``, ``bytes``, ``sha256``, ``rows``,
        ``columns`` and ``part``), ``manifest``, ``unchanged`` and ``schema_changes``
    :raises FolderConflict: if the folder belongs to another task instance of the same run or, with ``error``, to
        another export; or if a file that this provider did not store is in the way
    :raises FolderBusy: if another writer is still storing in the folder after a while
    :raises FolderTaken: if another process took over the folder twice, because this one seemed to be dead
    :raises ManifestUnreadable: if the folder has a manifest that is not valid
    :raises DestinationError: if the store fails
    """
    delivery = _Delivery(
        store=store,
        uri=uri,
        export={name: value for name, value in export.items() if name not in _URL_FIELDS},
        file_format=file_format,
        column_types=dict(column_types or {}),
        if_exists=if_exists,
        writer=dict(writer),
        on_progress=on_progress,
        clock=clock,
        timing=timing or Timing(),
        is_announced=is_announced,
        check_columns=check_columns,
    )
    return delivery.run(open_archive, look_first)


def find_delivered(
    store: Store,
    *,
    uri: str,
    writer: Mapping[str, Any],
    export_id: str | None = None,
    timing: Timing | None = None,
    is_announced: AnnouncementCheck | None = None,
    check_columns: CheckColumns | None = None,
) -> dict[str, Any] | None:
    """Return the result of the complete export that a folder holds, whichever export that is.

    :param store: the folder
    :param uri: the same folder as the author of the DAG wrote it; the paths in the result begin with it
    :param writer: the task instance: ``dag_id``, ``run_id``, ``task_id``, ``map_index``, ``clear_number``
    :param export_id: the id of the export that the task is to store, if it exists already
    :param timing: how long to wait for other writers
    :param is_announced: see :func:`deliver`
    :param check_columns: see :func:`deliver`
    :return: what :func:`deliver` returns; None if the folder holds no complete export
    :raises FolderConflict: if the folder belongs to another task instance of the same run
    :raises ManifestUnreadable: if the folder has a manifest that is not valid
    :raises DestinationError: if the store fails
    """
    found = read_manifest(store)
    if found is None:
        return None
    if found.export["id"] != export_id and in_same_run(found.writer, writer):
        raise conflict_with(found.writer)
    delivery = _Delivery(
        store=store,
        uri=uri,
        export=found.export,
        file_format=found.file_format,
        column_types=found.column_types,
        if_exists="skip",
        writer=dict(writer),
        timing=timing or Timing(),
        is_announced=is_announced,
        check_columns=check_columns,
    )
    return delivery.find(found)


@dataclasses.dataclass
class _Delivery:
    store: Store
    uri: str
    export: Mapping[str, Any]
    file_format: str
    column_types: Mapping[str, str]
    if_exists: IfExists
    writer: dict[str, Any]
    timing: Timing
    is_announced: AnnouncementCheck | None
    check_columns: CheckColumns | None
    on_progress: Callable[[str, int, int | None], None] | None = None
    clock: Callable[[], float] = time.time
    #: Whether the folder may hold the export already, so that it is looked at again before anything is downloaded.
    may_be_stored: bool = False
    #: The names of the objects that were uploaded.
    uploaded: set[str] = dataclasses.field(default_factory=set)

    def run(self, open_archive: Callable[[], Iterable[Member]], look_first: bool) -> dict[str, Any]:
        manifest = self._find_undisturbed(read_manifest(self.store)) if look_first else None
        if manifest is None:
            lease = self._create_lease()
            try:
                manifest = self._hold(lease, lambda folder: self._store(folder, open_archive))
            except FolderTaken as error:
                # By a second process of this task, or while this one was suspended: what it published is looked after,
                # and perhaps the other process has stored the same export.
                log.warning("%s", error)
                manifest = self._hold(lease, lambda folder: self._store(folder, open_archive), take_over=False)
        return self._result(manifest)

    def find(self, manifest: Manifest) -> dict[str, Any] | None:
        found = self._find_undisturbed(manifest) or self._hold(self._create_lease(), lambda _: None)
        return None if found is None else self._result(found)

    def _create_lease(self) -> Lease:
        export = {"id": self.export["id"], "file_format": self.file_format}
        if self.column_types:
            export["column_types"] = dict(self.column_types)
        return create_lease(self.store, self.writer, export, self.timing)

    def _find_undisturbed(self, found: Manifest | None) -> Manifest | None:
        """Return the manifest if it is to be kept, and nothing has to be stored or cleaned up."""
        if found is None or not self._is_wanted(found):
            return None
        self.may_be_stored = True
        listing = {each.name: each for each in self.store.find()}
        complete = all(is_stored(file, listing.get(file.path)) for file in found.files)
        return found if complete and not found.replaces and not has_leftovers(self.store, listing) else None

    def _hold(self, lease: Lease, work: Callable[[HeldFolder], Any], *, take_over: bool = True) -> Any:
        folder = None
        try:
            lease.acquire(take_over=take_over)
            folder = HeldFolder(self.store, lease)
            manifest = self._work(lease, folder, work)
            released = lease.release(folder.unlisted)
        except BaseException:
            # An interrupt may come at any time, also before a line above has ended.
            lease.release(lease.note if folder is None else folder.unlisted)
            raise
        if not released:
            raise lease.taken()
        return manifest

    def _work(self, lease: Lease, folder: HeldFolder, work: Callable[[HeldFolder], Any]) -> Any:
        try:
            look_first = lease.contended or self.may_be_stored
            manifest = (self._keep(folder, folder.look()) if look_first else None) or work(folder)
        except FolderTaken:
            raise
        except BaseException as error:
            # A writer that takes over the folder deletes these uploads, which makes them fail.
            if isinstance(error, DestinationError) and lease.is_lost():
                raise lease.taken() from error
            self._delete_abandoned_uploads(lease)
            raise
        self._delete_abandoned_uploads(lease)
        return manifest

    def _delete_abandoned_uploads(self, lease: Lease) -> None:
        """Delete what a dead writer uploaded; this one has published or discarded its own uploads."""
        if lease.took_over:
            self.store.delete_abandoned_uploads(self.uploaded)

    def _keep(self, folder: HeldFolder, found: Manifest | None) -> Manifest | None:
        """Return the folder's manifest if its objects are complete and are to be kept, and nothing has to be stored."""
        if found is None or not self._is_wanted(found) or not folder.contains(found):
            return None
        return folder.delete_replaced(found)

    def _is_wanted(self, found: Manifest) -> bool:
        """Return whether the export that the folder holds is to be kept, if it is complete."""
        same = found.is_for(self.export, self.file_format, self.column_types)
        if not same and in_same_run(found.writer, self.writer):
            raise conflict_with(found.writer)
        if self.if_exists == "error" and not same:
            raise FolderConflict(
                f"The folder holds export {found.export['id']} as "
                f"{describe_format(found.file_format, found.column_types)}, and if_exists is 'error', so it is not "
                f"replaced by export {self.export['id']} as {describe_format(self.file_format, self.column_types)}. "
                "Use if_exists='replace', or another destination."
            )
        return same or self.if_exists == "skip"

    def _store(self, folder: HeldFolder, open_archive: Callable[[], Iterable[Member]]) -> Manifest:
        try:
            return self._upload_and_publish(folder, open_archive)
        except RemoteFileChanged:
            log.info("The export's file changed while it was read; reading it again from the start")
            return self._upload_and_publish(folder, open_archive)

    def _upload_and_publish(self, folder: HeldFolder, open_archive: Callable[[], Iterable[Member]]) -> Manifest:
        with contextlib.ExitStack() as stack:
            uploaded = upload(open_archive, self.store, stack, names=self.uploaded, on_progress=self.on_progress)
            if not uploaded.staged:
                raise ArchiveEmpty(
                    f"The archive of export {self.export['id']} contains no files, so nothing was stored or replaced. "
                    "Run the task again; if that does not help, create the export again."
                )
            # The folder may have changed before it was held, or while a claim had to settle.
            found = folder.look()
            if (kept := self._keep(folder, found)) is not None:
                return kept
            self._check_names(folder, uploaded.staged, found)
            before = found if found is not None and folder.contains(found) else None
            manifest = self._create_manifest(uploaded, before)
            self._schema_changes(manifest)
            manifest = folder.publish(uploaded.staged, manifest, found)
        return folder.delete_replaced(manifest)

    def _check_names(self, folder: HeldFolder, staged: list[Staged], found: Manifest | None) -> None:
        """Make sure that nothing is overwritten that this provider did not store, unless ``if_exists`` allows it."""
        if self.if_exists == "replace":
            return
        foreign = {name for name in folder.listing if found is None or name not in {*found.names, *found.replaces}}
        for each in staged:
            if any(is_same_spelling(each.name, name) for name in foreign) and folder.find(each.name) is not None:
                raise FolderConflict(
                    f"The folder contains a file {each.name}, which this provider did not store there, and if_exists "
                    f"is {self.if_exists!r}, so it is not overwritten. Move the file, use if_exists='replace', or "
                    "another destination."
                )

    def _create_manifest(self, uploaded: Upload, before: Manifest | None) -> Manifest:
        manifest = Manifest(
            export=self.export,
            file_format=self.file_format,
            column_types=self.column_types,
            files=uploaded.files,
            writer=self.writer,
            written_at=datetime.fromtimestamp(self.clock(), timezone.utc).isoformat(timespec="seconds"),
            skipped=uploaded.skipped,
        )
        if before is not None and manifest.has_content_of(before) and self._is_announced(before.announcer):
            return dataclasses.replace(manifest, changed_by=before.announcer)
        return manifest

    def _is_unchanged(self, manifest: Manifest) -> bool:
        """Return whether others know of the folder's content already, so that this task need not announce it."""
        announcer = manifest.announcer
        own = dict(announcer) == self.writer or is_same_task(announcer, self.writer)
        return not own and self._is_announced(announcer)

    def _is_announced(self, announcer: Mapping[str, Any]) -> bool:
        return self.is_announced is None or self.is_announced(announcer)

    def _result(self, manifest: Manifest) -> dict[str, Any]:
        uri = self.uri.rstrip("/")
        return {
            "export_id": manifest.export["id"],
            "destination": self.uri,
            "files": [file.describe(uri) for file in manifest.files],
            "manifest": f"{uri}/{MANIFEST_NAME}",
            "unchanged": self._is_unchanged(manifest),
            "schema_changes": self._schema_changes(manifest),
        }

    def _schema_changes(self, manifest: Manifest) -> list[SchemaChange]:
        columns = {file.part: file.columns for file in manifest.files if file.part is not None}
        return [] if self.check_columns is None else self.check_columns(manifest.export, columns)
