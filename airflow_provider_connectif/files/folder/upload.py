# SPDX-License-Identifier: Apache-2.0
"""Uploading an export's files to a folder, in which they are not visible yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_connectif.files.errors import ArchiveUnsupported
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
    #: What is in the objects that are CSV files, by name: fields of
    #: :class:`~airflow_provider_connectif.files.folder.manifest.StoredFile`.
    contents: dict[str, dict[str, Any]]
    #: The names of files that are not data, and were left out.
    skipped: tuple[str, ...]


def upload(
    open_archive: Callable[[], Iterable[Member]],
    store: Store,
    stack: ExitStack,
    *,
    names: set[str],
    on_progress: Callable[[str, int, int | None], None],
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
    contents: dict[str, tuple[str, Contents]] = {}
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
            on_progress(name, staged[name].bytes, member.size)
        staged[name].complete()
        if member.contents is not None:
            contents[name] = member.source_name, member.contents
    return Upload(list(staged.values()), _describe_contents(contents), tuple(getattr(archive, "skipped", ())))


def _describe_contents(contents: Mapping[str, tuple[str, Contents]]) -> dict[str, dict[str, Any]]:
    parts = part_names([source_name for source_name, _ in contents.values()])
    return {
        name: {"rows": found.rows, "columns": found.columns, "part": part, "digest": found.digest}
        for (name, (_, found)), part in zip(contents.items(), parts, strict=True)
    }
