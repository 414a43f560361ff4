# SPDX-License-Identifier: Apache-2.0
"""Uploading an export's files to a folder, in which they are not visible yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_connectif.files.errors import ArchiveUnsupported
from airflow_provider_connectif.files.folder.manifest import StoredFile
from airflow_provider_connectif.files.object_names import is_reserved_name
from airflow_provider_connectif.files.tables.names import part_names

if TYPE_CHECKING:
    from airflow_provider_connectif.files.stores.base import Store
    from airflow_provider_connectif.files.stores.staged import Staged
    from airflow_provider_connectif.files.tables.contents import Contents
    from airflow_provider_connectif.files.unpack.members import Member


class Upload(NamedTuple):
    """The uploaded files of an export."""

    #: The objects, complete but not visible.
    staged: list[Staged]
    #: The same objects for the manifest, without ETags.
    files: tuple[StoredFile, ...]
    #: The names of files that are not data, and were left out.
    skipped: tuple[str, ...]


def upload(
    open_archive: Callable[[], Iterable[Member]],
    store: Store,
    stack: ExitStack,
    *,
    names: set[str],
    on_progress: Callable[[str, int, int | None], None] | None,
) -> Upload:
    """Upload the members of an archive.

    :param open_archive: opens the export's file
    :param store: the folder
    :param stack: what closes the archive, and discards the objects that are not published, when it is left
    :param names: receives the name of each object before anything of it is uploaded
    :param on_progress: called with an object's name, the number of bytes of it written so far, and its final size if
        known
    :raises FileError: the export's file cannot be read, or the store fails
    """
    archive = open_archive()
    members = iter(archive)
    for opened in (archive, members):
        if hasattr(opened, "close"):
            stack.callback(opened.close)
    staged: dict[str, Staged] = {}
    contents: dict[str, Contents] = {}
    source_names: list[str] = []
    for member in members:
        name = member.name
        if name in staged or is_reserved_name(name):
            raise ArchiveUnsupported(f"The export's file {name!r} cannot be stored under that name")
        names.add(name)
        staged[name] = stack.enter_context(store.stage(name, member.size))
        if member.sha256 is not None:
            staged[name].take_sha256_from(member.sha256)
        for chunk in member.chunks():
            staged[name].write(chunk)
            if on_progress is not None:
                on_progress(name, staged[name].bytes, member.size)
        staged[name].complete()
        if member.contents is not None:
            contents[name] = member.contents
            source_names.append(member.source_name)
    parts = dict(zip(contents, part_names(source_names), strict=True))
    files = tuple(_describe(each, contents.get(name), parts.get(name)) for name, each in staged.items())
    return Upload(list(staged.values()), files, tuple(getattr(archive, "skipped", ())))


def _describe(staged: Staged, contents: Contents | None, part: str | None) -> StoredFile:
    file = StoredFile(staged.name, staged.bytes, staged.sha256, part=part)
    return file if contents is None else replace(file, **contents._asdict())
