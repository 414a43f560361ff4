# SPDX-License-Identifier: Apache-2.0
"""The manifest, which says that a folder is complete, and with what.

``_connectif_manifest.json`` is written after all objects are visible: who finds it finds them whole. Its
fields:

``version``
    1. A later, incompatible form has a higher number, and is refused by this one.
``export``
    The export as the API describes it, with its ``id``; never with the address of its file.
``file_format``
    ``csv``, ``csv.gz`` or ``archive``.
``files``
    A list of objects: ``path`` (the name in the folder), ``bytes``, ``sha256`` (hexadecimal, of what is
    stored) and, where the store has one, ``etag``.
``replaces``
    Names of objects of an earlier export that are to be deleted. Only there for the moment between the new
    manifest and the end of the deletion, or when a run was killed in that moment; the next run deletes them.
``writer``
    Which task wrote it: ``dag_id``, ``run_id``, ``task_id``, ``map_index``.
``written_at``
    When, in ISO 8601, UTC.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_connectif.files.errors import ManifestUnreadable
from airflow_provider_connectif.files.stores.base import Store

MANIFEST_NAME = "_connectif_manifest.json"
VERSION = 1


@dataclass(frozen=True)
class StoredFile:
    """One object of an export, as it was stored.

    :param path: its name in the folder
    :param bytes: its length
    :param sha256: of its content, hexadecimal
    :param etag: the store's name for this version of it, where there is one
    """

    path: str
    bytes: int
    sha256: str
    etag: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry in the manifest."""
        entry = {"path": self.path, "bytes": self.bytes, "sha256": self.sha256}
        return {**entry, "etag": self.etag} if self.etag else entry


@dataclass(frozen=True)
class Manifest:
    """What the manifest says; see the fields above."""

    export: Mapping[str, Any]
    file_format: str
    files: tuple[StoredFile, ...]
    writer: Mapping[str, Any]
    written_at: str
    replaces: tuple[str, ...] = field(default=())

    @property
    def names(self) -> set[str]:
        """The names of its objects."""
        return {file.path for file in self.files}

    def is_of(self, export: Mapping[str, Any], file_format: str) -> bool:
        """Whether it tells of this export in this format."""
        return self.export["id"] == export["id"] and self.file_format == file_format

    def to_bytes(self) -> bytes:
        """Its form in the folder: the same content gives the same bytes."""
        content: dict[str, Any] = {
            "version": VERSION,
            "export": dict(self.export),
            "file_format": self.file_format,
            "files": [file.to_json() for file in self.files],
            "writer": dict(self.writer),
            "written_at": self.written_at,
        }
        if self.replaces:
            content["replaces"] = list(self.replaces)
        return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read it, distrustfully: objects are deleted by what it says.

        :raises ManifestUnreadable: when it is not what :meth:`to_bytes` writes
        """
        try:
            content = json.loads(data)
            version = content["version"]
            if version != VERSION:
                raise ManifestUnreadable(
                    f"The folder's {MANIFEST_NAME} has version {version!r}, and this provider knows version "
                    f"{VERSION}. Update the provider, or choose another destination."
                )
            if not isinstance(content["export"]["id"], str):
                raise TypeError("export.id is no string")
            return cls(
                export=content["export"],
                file_format=str(content["file_format"]),
                files=tuple(_file(entry) for entry in content["files"]),
                writer=dict(content["writer"]),
                written_at=str(content["written_at"]),
                replaces=tuple(_name(name) for name in content.get("replaces", ())),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ManifestUnreadable(
                f"The folder's {MANIFEST_NAME} was not written by this provider, or was changed since "
                f"({type(error).__name__}: {error}), so nobody can say which objects belong to it. Delete or move "
                "that file, or choose another destination."
            ) from error


def read_manifest(folder: Store) -> Manifest | None:
    """The folder's manifest, or None when it has none.

    :raises ManifestUnreadable: when there is one that cannot be understood
    :raises DestinationError: when the store fails
    """
    data = folder.read(MANIFEST_NAME)
    return None if data is None else Manifest.from_bytes(data)


def write_manifest(folder: Store, manifest: Manifest) -> None:
    """Put the manifest into the folder, in one step.

    :raises DestinationError: when the store fails
    """
    data = manifest.to_bytes()
    try:
        folder.put(MANIFEST_NAME, data)
    except Exception:
        # The answer may be lost where the manifest is not: then it is as if the answer had come.
        if folder.read(MANIFEST_NAME) != data:
            raise


def is_intact(folder: Store, manifest: Manifest) -> bool:
    """Whether every object of the manifest is there, as far as can be told without reading it.

    Compared are the sizes and, where the store has them, the ETags. On a local folder an object that was
    overwritten by another of the same size is not noticed.

    :raises DestinationError: when the store fails
    """
    for file in manifest.files:
        found = folder.info(file.path)
        if found is None or found.size != file.bytes:
            return False
        if file.etag and found.etag and file.etag != found.etag:
            return False
    return True


def _file(entry: Mapping[str, Any]) -> StoredFile:
    size = entry["bytes"]
    if not isinstance(size, int) or size < 0:
        raise TypeError("a file's bytes are no number")
    etag = entry.get("etag")
    return StoredFile(_name(entry["path"]), size, str(entry["sha256"]), None if etag is None else str(etag))


def _name(name: object) -> str:
    if not isinstance(name, str) or not name or "/" in name or name in (".", "..", MANIFEST_NAME):
        raise ValueError(f"{name!r} is no name of an object in the folder")
    return name
