# SPDX-License-Identifier: Apache-2.0
"""Delivery of an export's files to a folder, in an order in which a kill at any time does no harm.

The states of a folder, and what a process that is killed there leaves to the next run:

1. *Unchanged.* The manifest, if there is one, describes the old export. All new objects are uploaded, but none is
   visible. Left behind: invisible uploads, which the store or a later run removes.
2. *Publishing.* A note lists the new objects, which become visible one after the other. The old manifest is still
   there; if new objects have the names of old ones, it is no longer true, and its sizes and ETags show that. Left
   behind: complete objects that no manifest lists. The next run replaces them, or deletes them according to the note.
3. *New.* The manifest describes the new export. Its ``replaces`` names the old objects that still exist. Left behind:
   old objects, which the next run deletes according to that list, whatever else it does.
4. *Done.* The old objects are deleted, and the manifest is written again without ``replaces``. The note and the claim
   are deleted; if they remain they do no harm, and the next run of the task deletes them.

If the store fails in state 1, the old export is untouched. If it fails in state 2, the new objects are deleted again,
except those that replaced old ones. An object that no manifest of this provider lists is replaced if a new one has its
name, and is otherwise never touched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_connectif.files.errors import (
    ArchiveUnsupported,
    DestinationError,
    FileError,
    FolderConflict,
    RemoteFileChanged,
)
from airflow_provider_connectif.files.folder.claims import Claim
from airflow_provider_connectif.files.folder.manifest import (
    MANIFEST_NAME,
    Manifest,
    StoredFile,
    is_intact,
    read_manifest,
    write_manifest,
)
from airflow_provider_connectif.files.folder.notes import PublishingNote
from airflow_provider_connectif.files.folder.writers import conflict_with, in_same_run
from airflow_provider_connectif.files.object_names import is_reserved_name

if TYPE_CHECKING:
    from airflow_provider_connectif.files.stores.base import Store
    from airflow_provider_connectif.files.stores.staged import Staged
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
    if_exists: IfExists = "replace",
    writer: Mapping[str, Any],
    on_progress: Callable[[str, int, int | None], None] | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Store an export's files in a folder, with a manifest, once.

    Nothing is downloaded if the folder already holds this export in this format.

    :param open_archive: opens the export's file; called only if something has to be downloaded, and a second time if
        the file changed while it was read
    :param store: the folder
    :param uri: the same folder as the author of the DAG wrote it; the paths in the result begin with it
    :param export: the export, as JSON-compatible values, with its ``id``
    :param file_format: ``csv``, ``csv.gz`` or ``archive``
    :param if_exists: what to do if the folder holds another export: ``replace`` it, ``skip`` (keep a complete one, and
        return its result), or fail with an ``error``
    :param writer: the task instance: ``dag_id``, ``run_id``, ``task_id``, ``map_index``
    :param on_progress: called with an object's name, the number of bytes of it written so far, and its final size if
        known
    :param clock: returns the current time, in seconds since the epoch
    :param sleep: waits for a number of seconds
    :return: ``export_id``, ``destination``, ``files`` (each with ``path``, ``bytes``, ``sha256``) and ``manifest``
    :raises FolderConflict: if the folder belongs to another task instance of the same run or, with ``error``, to
        another export
    :raises ManifestUnreadable: if the folder has a manifest that is not valid
    :raises DestinationError: if the store fails
    """
    if if_exists not in ("replace", "skip", "error"):
        raise ValueError(f"if_exists must be 'replace', 'skip' or 'error', not {if_exists!r}")
    delivery = _Delivery(
        store=store,
        uri=uri,
        export={name: value for name, value in export.items() if name not in _URL_FIELDS},
        file_format=file_format,
        if_exists=if_exists,
        writer=dict(writer),
        on_progress=on_progress,
        clock=clock,
        claim=Claim(store, writer, clock=clock, sleep=sleep),
        note=PublishingNote(store, writer, clock=clock),
    )
    return delivery.run(open_archive)


def find_delivered(store: Store, *, uri: str, writer: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the result of the complete export that a folder holds, whichever export that is.

    :param store: the folder
    :param uri: the same folder as the author of the DAG wrote it; the paths in the result begin with it
    :param writer: the task instance: ``dag_id``, ``run_id``, ``task_id``, ``map_index``
    :return: what :func:`deliver` returns; None if the folder holds no complete export
    :raises FolderConflict: if the folder belongs to another task instance of the same run
    :raises ManifestUnreadable: if the folder has a manifest that is not valid
    :raises DestinationError: if the store fails
    """
    found = read_manifest(store)
    if found is None:
        return None
    delivery = _Delivery(
        store=store,
        uri=uri,
        export=found.export,
        file_format=found.file_format,
        if_exists="skip",
        writer=dict(writer),
        claim=Claim(store, writer, clock=time.time, sleep=time.sleep),
        note=PublishingNote(store, writer, clock=time.time),
    )
    return delivery.existing_result(found)


@dataclasses.dataclass
class _Delivery:
    store: Store
    uri: str
    export: Mapping[str, Any]
    file_format: str
    if_exists: IfExists
    writer: dict[str, Any]
    claim: Claim
    note: PublishingNote
    on_progress: Callable[[str, int, int | None], None] | None = None
    clock: Callable[[], float] = time.time
    skipped: tuple[str, ...] = ()

    def run(self, open_archive: Callable[[], Iterable[Member]]) -> dict[str, Any]:
        existing = self.existing_result(read_manifest(self.store))
        if existing is not None:
            return existing
        self.claim.acquire()
        try:
            self.note.read_abandoned()
            try:
                manifest = self._upload_and_publish(open_archive)
            except RemoteFileChanged:
                log.info("The export's file changed while it was read; reading it again from the start")
                manifest = self._upload_and_publish(open_archive)
        finally:
            self.claim.release()
        return self._result(manifest)

    def existing_result(self, found: Manifest | None) -> dict[str, Any] | None:
        manifest = self._manifest_to_keep(found)
        if manifest is None:
            return None
        self._delete_leftovers()
        return self._result(manifest)

    def _manifest_to_keep(self, found: Manifest | None) -> Manifest | None:
        """Return the folder's manifest if its objects are complete and are to be kept, and nothing has to be stored."""
        if found is None:
            return None
        if in_same_run(found.writer, self.writer):
            raise conflict_with(found.writer)
        same = found.is_for(self.export, self.file_format)
        if self.if_exists == "error" and not same:
            raise FolderConflict(
                f"The folder holds export {found.export['id']} as {found.file_format}, and if_exists is "
                f"'error', so it is not replaced by export {self.export['id']} as {self.file_format}. Use "
                "if_exists='replace', or another destination."
            )
        if (same or self.if_exists == "skip") and is_intact(self.store, found):
            return self._delete_replaced(found)
        return None

    def _delete_leftovers(self) -> None:
        """Delete the note and the claim of an earlier, killed try. Never raises."""
        try:
            self.note.delete()
            self.claim.delete()
        except FileError as error:
            log.info("The claim %s could not be deleted: %s", self.claim.name, error)

    def _upload_and_publish(self, open_archive: Callable[[], Iterable[Member]]) -> Manifest:
        with contextlib.ExitStack() as stack:
            staged = self._upload(open_archive, stack)
            # The folder may have changed during the upload.
            found = read_manifest(self.store)
            if (kept := self._manifest_to_keep(found)) is not None:
                return kept
            self.claim.confirm()
            self.note.write((each.name, each.bytes) for each in staged)
            with self._unpublish_on_error(staged, found):
                for each in staged:
                    each.publish()
                manifest = self._manifest(staged, found)
                write_manifest(self.store, manifest)
        manifest = self._verify_stored(self._delete_replaced(manifest))
        with contextlib.suppress(DestinationError):
            self.note.delete()
        self.store.delete_abandoned_uploads(manifest.names)
        return manifest

    def _upload(self, open_archive: Callable[[], Iterable[Member]], stack: contextlib.ExitStack) -> list[Staged]:
        archive = open_archive()
        members = iter(archive)
        for opened in (archive, members):
            if hasattr(opened, "close"):
                stack.callback(opened.close)
        staged: dict[str, Staged] = {}
        for member in members:
            name = member.name
            if name in staged or is_reserved_name(name):
                raise ArchiveUnsupported(f"The export's file {name!r} cannot be stored under that name")
            # An object that is not published is discarded when the stack is left, for whatever reason.
            staged[name] = stack.enter_context(self.store.stage(name, member.size))
            if member.sha256 is not None:
                staged[name].take_sha256_from(member.sha256)
            for chunk in member.chunks():
                staged[name].write(chunk)
                self._report_progress(staged[name], member.size)
            staged[name].complete()
        self.skipped = tuple(getattr(archive, "skipped", ()))
        return list(staged.values())

    def _report_progress(self, staged: Staged, size: int | None) -> None:
        if self.on_progress is not None:
            self.on_progress(staged.name, staged.bytes, size)

    def _manifest(self, staged: list[Staged], found: Manifest | None) -> Manifest:
        new = {each.name for each in staged}
        old = found.names | set(found.replaces) if found else set()
        for name, size in self.note.abandoned_objects.items():
            existing = None if name in old | new or name == MANIFEST_NAME else self.store.info(name)
            if existing is not None and existing.size == size:
                old.add(name)
        return Manifest(
            export=self.export,
            file_format=self.file_format,
            files=tuple(StoredFile(each.name, each.bytes, each.sha256, each.etag) for each in staged),
            writer=self.writer,
            written_at=datetime.fromtimestamp(self.clock(), timezone.utc).isoformat(timespec="seconds"),
            replaces=tuple(sorted(old - new)),
            skipped=self.skipped,
        )

    def _delete_replaced(self, manifest: Manifest) -> Manifest:
        """Delete the objects that the manifest replaces; return and store the manifest without them."""
        if not manifest.replaces:
            return manifest
        self.store.delete(name for name in manifest.replaces if name not in manifest.names)
        manifest = dataclasses.replace(manifest, replaces=())
        write_manifest(self.store, manifest)
        return manifest

    def _verify_stored(self, manifest: Manifest) -> Manifest:
        """Make sure that all objects exist; a second process of this task may have worked at the same time.

        :return: the manifest that is now in the folder
        """
        if is_intact(self.store, manifest):
            return manifest
        current = read_manifest(self.store)
        if current is not None and current.is_for(self.export, self.file_format) and is_intact(self.store, current):
            return current
        # Did the other process replace objects by its own, with the same content, before this one wrote the manifest
        # with its own ETags?
        files = tuple(dataclasses.replace(file, etag=None) for file in manifest.files)
        manifest = dataclasses.replace(manifest, files=files)
        if not is_intact(self.store, manifest):
            raise DestinationError(
                "Objects that were just stored are missing in the folder, or have another size: something else "
                "deletes or replaces them. Run the task again."
            )
        write_manifest(self.store, manifest)
        return manifest

    @contextlib.contextmanager
    def _unpublish_on_error(self, staged: list[Staged], found: Manifest | None) -> Iterator[None]:
        try:
            yield
        except BaseException:
            try:
                self._unpublish(staged, found)
            except FileError as error:
                log.warning("The store fails, so the next run has to delete what this one made visible: %s", error)
            raise

    def _unpublish(self, staged: list[Staged], found: Manifest | None) -> None:
        """Delete the objects that this run published, except those that a manifest lists."""
        current = read_manifest(self.store)
        listed = {name for manifest in (found, current) if manifest for name in manifest.names}
        for each in staged:
            if each.published and each.name not in listed:
                existing = self.store.info(each.name)
                if existing is not None and existing.size == each.bytes and existing.etag == each.etag:
                    self.store.delete([each.name])
        self.note.delete()

    def _result(self, manifest: Manifest) -> dict[str, Any]:
        uri = self.uri.rstrip("/")
        return {
            "export_id": manifest.export["id"],
            "destination": self.uri,
            "files": [
                {"path": f"{uri}/{file.path}", "bytes": file.bytes, "sha256": file.sha256} for file in manifest.files
            ],
            "manifest": f"{uri}/{MANIFEST_NAME}",
        }
