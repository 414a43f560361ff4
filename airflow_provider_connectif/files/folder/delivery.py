# SPDX-License-Identifier: Apache-2.0
"""An export's files brought into a folder, in an order that a kill at any moment does not harm.

The states of a folder, and what a process that dies there leaves to the next run:

1. *As it was.* The manifest, if there is one, tells of the old export. All new objects are uploaded, and not
   one is visible. Left behind: uploads that nobody sees, which the store or a later run takes away.
2. *Announced.* A note lists the new objects, which become visible one after the other. The old manifest is
   still there; where new objects have the names of old ones it no longer holds, and its sizes and ETags show
   that. Left behind: whole objects that no manifest lists. The next run replaces them, or deletes them by the
   note.
3. *New.* The manifest tells of the new export. Its ``replaces`` names the old objects that are still there.
   Left behind: old objects, which the next run deletes by that list, whatever else it does.
4. *Done.* The old objects are deleted, and the manifest is written again, without ``replaces``. The note and
   the claim are taken away; if they stay they harm nobody, and the next run of the task takes them.

A store that fails in state 1 leaves the old export untouched. One that fails in state 2 has the new objects
taken back, those at least that did not take the place of old ones. An object that no manifest of ours lists
is replaced where a new one has its name, and otherwise never touched.
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
from airflow_provider_connectif.files.folder.claims import RESERVED_PREFIX, Claim, conflict_within_run
from airflow_provider_connectif.files.folder.manifest import (
    MANIFEST_NAME,
    Manifest,
    StoredFile,
    is_intact,
    read_manifest,
    write_manifest,
)

if TYPE_CHECKING:
    from airflow_provider_connectif.files.stores.base import Store
    from airflow_provider_connectif.files.stores.staged import Staged
    from airflow_provider_connectif.files.unpack.members import Member

log = logging.getLogger(__name__)

IfExists = Literal["replace", "skip", "error"]

#: Fields of an export that hold the address of its file, which is a secret.
_ADDRESSES = ("fileUrl", "file_url")


def deliver(
    open_archive: Callable[[], Iterable[Member]],
    folder: Store,
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
    """Bring an export's files into a folder, with a manifest, once.

    Nothing is downloaded when the folder holds this export in this format already.

    :param open_archive: opens the export's file; called only when something has to be downloaded, and a
        second time when the file changed while it was read
    :param folder: where to
    :param uri: the same folder as the author of the DAG wrote it; the result's paths begin with it
    :param export: the export, in a form that JSON can hold, with its ``id``
    :param file_format: ``csv``, ``csv.gz`` or ``archive``
    :param if_exists: what to do with another export in the folder: ``replace`` it, ``skip`` (leave a whole
        one as it is, and return its result), or fail with an ``error``
    :param writer: the task instance: ``dag_id``, ``run_id``, ``task_id``, ``map_index``
    :param on_progress: called with an object's name, the bytes written of it so far, and its final size if
        known
    :param clock: tells the present moment, in seconds since the epoch
    :param sleep: waits for a number of seconds
    :return: ``export_id``, ``destination``, ``files`` (each with ``path``, ``bytes``, ``sha256``) and
        ``manifest``
    :raises FolderConflict: when the folder belongs to another task instance of the same run, or, with
        ``error``, to another export
    :raises ManifestUnreadable: when the folder has a manifest that cannot be understood
    :raises DestinationError: when the store fails
    """
    if if_exists not in ("replace", "skip", "error"):
        raise ValueError(f"if_exists must be 'replace', 'skip' or 'error', not {if_exists!r}")
    kept = {name: value for name, value in export.items() if name not in _ADDRESSES}
    claim = Claim(folder, writer, clock=clock, sleep=sleep)
    delivery = _Delivery(folder, uri, kept, file_format, if_exists, dict(writer), on_progress, clock, claim)
    return delivery.run(open_archive)


@dataclasses.dataclass
class _Delivery:
    folder: Store
    uri: str
    export: Mapping[str, Any]
    file_format: str
    if_exists: IfExists
    writer: dict[str, Any]
    on_progress: Callable[[str, int, int | None], None] | None
    clock: Callable[[], float]
    claim: Claim

    def run(self, open_archive: Callable[[], Iterable[Member]]) -> dict[str, Any]:
        manifest = self._already_there()[1]
        if manifest is not None:
            self.claim.forget()
            return self._result(manifest)
        self.claim.take()
        try:
            try:
                manifest = self._store(open_archive)
            except RemoteFileChanged:
                log.info("The export's file changed while it was read; it is read anew from its start")
                manifest = self._store(open_archive)
        finally:
            self.claim.release()
        return self._result(manifest)

    def _already_there(self) -> tuple[Manifest | None, Manifest | None]:
        """The folder's manifest.

        And once more, if it is the answer: what it lists is whole and to be kept.
        """
        found = read_manifest(self.folder)
        if found is None:
            return None, None
        if _of_one_run(found.writer, self.writer):
            raise conflict_within_run(found.writer)
        same = found.is_of(self.export, self.file_format)
        if self.if_exists == "error" and not same:
            raise FolderConflict(
                f"The folder holds export {found.export['id']} as {found.file_format}, and if_exists is "
                f"'error', so it is not replaced by export {self.export['id']} as {self.file_format}. Use "
                "if_exists='replace', or another destination."
            )
        if (same or self.if_exists == "skip") and is_intact(self.folder, found):
            return found, self._finish(found)
        return found, None

    def _store(self, open_archive: Callable[[], Iterable[Member]]) -> Manifest:
        with contextlib.ExitStack() as stack:
            staged = self._upload(open_archive, stack)
            # What was true before the upload need not be true after it.
            found, answer = self._already_there()
            if answer is not None:
                return answer
            self.claim.confirm()
            self.claim.announce((each.name, each.bytes) for each in staged)
            with self._taken_back(staged, found):
                for each in staged:
                    each.publish()
                manifest = self._manifest(staged, found)
                write_manifest(self.folder, manifest)
        manifest = self._last_look(self._finish(manifest))
        with contextlib.suppress(DestinationError):
            self.claim.settled()
        self.folder.delete_abandoned_uploads(manifest.names)
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
            if name in staged or name == MANIFEST_NAME or name.startswith(RESERVED_PREFIX):
                raise ArchiveUnsupported(f"The export's file {name!r} cannot be stored under that name")
            # An object that is not published is discarded when the stack is left, whatever the reason.
            staged[name] = stack.enter_context(self.folder.stage(name, member.size))
            if member.sha256 is not None:
                staged[name].take_sha256_from(member.sha256)
            for chunk in member.chunks():
                staged[name].write(chunk)
                self._tell(staged[name], member.size)
            staged[name].complete()
        return list(staged.values())

    def _tell(self, staged: Staged, size: int | None) -> None:
        if self.on_progress is not None:
            self.on_progress(staged.name, staged.bytes, size)

    def _manifest(self, staged: list[Staged], found: Manifest | None) -> Manifest:
        new = {each.name for each in staged}
        old = found.names | set(found.replaces) if found else set()
        for name, size in self.claim.abandoned.items():
            there = None if name in old | new or name == MANIFEST_NAME else self.folder.info(name)
            if there is not None and there.size == size:
                old.add(name)
        return Manifest(
            export=self.export,
            file_format=self.file_format,
            files=tuple(StoredFile(each.name, each.bytes, each.sha256, each.etag) for each in staged),
            writer=self.writer,
            written_at=datetime.fromtimestamp(self.clock(), timezone.utc).isoformat(timespec="seconds"),
            replaces=tuple(sorted(old - new)),
        )

    def _finish(self, manifest: Manifest) -> Manifest:
        """Delete what the manifest replaces, and have it say so."""
        if not manifest.replaces:
            return manifest
        self.folder.delete(name for name in manifest.replaces if name not in manifest.names)
        manifest = dataclasses.replace(manifest, replaces=())
        write_manifest(self.folder, manifest)
        return manifest

    def _last_look(self, manifest: Manifest) -> Manifest:
        """See that it is all there; a second process of this task may have worked beside this one."""
        if is_intact(self.folder, manifest):
            return manifest
        now = read_manifest(self.folder)
        if now is not None and now.is_of(self.export, self.file_format) and is_intact(self.folder, now):
            return now
        # It replaced objects by its own, of the same content, before this one wrote the manifest with its
        # ETags?
        files = tuple(dataclasses.replace(file, etag=None) for file in manifest.files)
        manifest = dataclasses.replace(manifest, files=files)
        if not is_intact(self.folder, manifest):
            raise DestinationError(
                "Objects that were just stored are missing in the folder, or have another size: something else "
                "deletes or replaces them. Run the task again."
            )
        write_manifest(self.folder, manifest)
        return manifest

    @contextlib.contextmanager
    def _taken_back(self, staged: list[Staged], found: Manifest | None) -> Iterator[None]:
        try:
            yield
        except BaseException:
            try:
                self._take_back(staged, found)
            except FileError as error:
                log.warning("The store fails, so what this run made visible is left to the next one: %s", error)
            raise

    def _take_back(self, staged: list[Staged], found: Manifest | None) -> None:
        now = read_manifest(self.folder)
        kept = {name for manifest in (found, now) if manifest for name in manifest.names}
        for each in staged:
            if each.published and each.name not in kept:
                there = self.folder.info(each.name)
                if there is not None and there.size == each.bytes and there.etag == each.etag:
                    self.folder.delete([each.name])
        self.claim.settled()

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


def _of_one_run(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether these are two different task instances of the same run."""

    def run(writer: Mapping[str, Any]) -> tuple[Any, Any]:
        return writer.get("dag_id"), writer.get("run_id")

    def task(writer: Mapping[str, Any]) -> tuple[Any, Any]:
        return writer.get("task_id"), writer.get("map_index")

    return None not in run(one) and run(one) == run(other) and task(one) != task(other)
