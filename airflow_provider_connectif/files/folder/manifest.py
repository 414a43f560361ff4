# SPDX-License-Identifier: Apache-2.0
"""The manifest, which says that a folder is complete, and what it contains.

``_connectif_manifest.json`` is written after all objects are visible: a reader that finds it finds them complete. Its
fields:

``version``
    1. A later, incompatible format has a higher number, which this version refuses.
``export``
    The export as the API describes it, with its ``id``; never with the URL of its file.
``file_format``
    ``csv``, ``csv.gz``, ``parquet`` or ``archive``.
``column_types``
    The types of the columns that were declared, by name. Only present for ``parquet``, if there are any.
``files``
    A list of objects: ``path`` (the name in the folder), ``bytes``, ``sha256`` (hexadecimal, of the stored content)
    and, if the store has one, ``etag``. Except for ``archive``: ``rows`` (the number of records without the header),
    ``columns`` (their names, in order) and ``part``, which identifies the file within the export and is the same for
    every export of that type: empty for the main file. Only for ``csv.gz`` and ``parquet``: ``digest``, the CRC-32 and
    the length of the text. Earlier manifests do not have these.
``skipped``
    Names of members of the export's archive that were left out because they are not data, such as ``.DS_Store``. Only
    present if there are any.
``replaces``
    Names of objects of an earlier export that are to be deleted. Only present from the time the new manifest is
    written until these objects are deleted. If a run is killed in between, the next one deletes them.
``writer``
    The task instance that wrote it: ``dag_id``, ``run_id``, ``task_id``, ``map_index``, and the run's ``clear_number``.
``changed_by``
    The task instance that stored the same content before, and whose asset events are about it. Only present if the
    files have the content of those that they replaced.
``written_at``
    The time, in ISO 8601, UTC.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_connectif.files.errors import ManifestUnreadable
from airflow_provider_connectif.files.object_names import is_plain_name
from airflow_provider_connectif.files.stores.base import Store, StoredObject

MANIFEST_NAME = "_connectif_manifest.json"
VERSION = 1


@dataclass(frozen=True)
class StoredFile:
    """One stored object of an export.

    :param path: its name in the folder
    :param bytes: its length
    :param sha256: the SHA-256 of its content, hexadecimal
    :param etag: the store's identifier of this version of it, if it has one
    :param rows: the number of its records without the header; None if unknown
    :param columns: the names of its columns, in order; None if unknown
    :param part: which of the export's files it is; None if unknown
    :param digest: the CRC-32 and the length of the text, if the same text may be stored as different bytes
    """

    path: str
    bytes: int
    sha256: str
    etag: str | None = None
    rows: int | None = None
    columns: tuple[str, ...] | None = None
    part: str | None = None
    digest: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry in the manifest."""
        columns = None if self.columns is None else list(self.columns)
        optional = {
            "etag": self.etag or None,
            "rows": self.rows,
            "columns": columns,
            "part": self.part,
            "digest": self.digest,
        }
        entry = {"path": self.path, "bytes": self.bytes, "sha256": self.sha256}
        return entry | {name: value for name, value in optional.items() if value is not None}

    def describe(self, folder: str) -> dict[str, Any]:
        """Return the entry in the result of a task.

        :param folder: the URI of the folder
        """
        return {
            "path": f"{folder}/{self.path}",
            "bytes": self.bytes,
            "sha256": self.sha256,
            "rows": self.rows,
            "columns": None if self.columns is None else list(self.columns),
            "part": self.part,
        }


def describe_format(file_format: str, column_types: Mapping[str, str]) -> str:
    """Return what an export is stored as, for messages."""
    return f"{file_format} with column_types {dict(column_types)}" if column_types else file_format


@dataclass(frozen=True)
class Manifest:
    """The content of a manifest; see the fields above."""

    export: Mapping[str, Any]
    file_format: str
    files: tuple[StoredFile, ...]
    writer: Mapping[str, Any]
    written_at: str
    replaces: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    changed_by: Mapping[str, Any] | None = None
    column_types: Mapping[str, str] = field(default_factory=dict)

    @property
    def announcer(self) -> Mapping[str, Any]:
        """The writer that stored this content first, and whose asset events are about it."""
        return self.writer if self.changed_by is None else self.changed_by

    def has_content_of(self, other: Manifest) -> bool:
        """Return whether the files have the same content, whatever they are named."""
        return self._format == other._format and self._digests() == other._digests()

    @property
    def _format(self) -> tuple[str, Mapping[str, str]]:
        return self.file_format, self.column_types

    def _digests(self) -> list[str]:
        return sorted(file.digest or file.sha256 for file in self.files)

    @property
    def names(self) -> set[str]:
        """The names of its objects."""
        return {file.path for file in self.files}

    def is_for(self, export: Mapping[str, Any], file_format: str, column_types: Mapping[str, str]) -> bool:
        """Return whether it describes this export in this format."""
        return self.export["id"] == export["id"] and self._format == (file_format, column_types)

    def to_bytes(self) -> bytes:
        """Return the manifest as it is stored: equal manifests have equal bytes."""
        content: dict[str, Any] = {
            "version": VERSION,
            "export": dict(self.export),
            "file_format": self.file_format,
            "files": [file.to_json() for file in self.files],
            "writer": dict(self.writer),
            "written_at": self.written_at,
        }
        if self.column_types:
            content["column_types"] = dict(self.column_types)
        if self.skipped:
            content["skipped"] = list(self.skipped)
        if self.changed_by is not None:
            content["changed_by"] = dict(self.changed_by)
        if self.replaces:
            content["replaces"] = list(self.replaces)
        return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest strictly, because objects are deleted according to it.

        :raises ManifestUnreadable: if it is not what :meth:`to_bytes` returns
        """
        try:
            content = json.loads(data)
            version = content["version"]
            if version != VERSION:
                raise ManifestUnreadable(
                    f"The folder's {MANIFEST_NAME} has version {version!r}, but this provider supports only version "
                    f"{VERSION}. Update the provider, or choose another destination."
                )
            if not isinstance(content["export"]["id"], str):
                raise TypeError("export.id is not a string")
            return cls(
                export=content["export"],
                file_format=str(content["file_format"]),
                files=tuple(_parse_file(entry) for entry in content["files"]),
                writer=dict(content["writer"]),
                written_at=str(content["written_at"]),
                replaces=tuple(_checked_name(name) for name in content.get("replaces", ())),
                skipped=tuple(str(name) for name in content.get("skipped", ())),
                column_types={str(name): str(kind) for name, kind in content.get("column_types", {}).items()},
                changed_by=None if content.get("changed_by") is None else dict(content["changed_by"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ManifestUnreadable(
                f"The folder's {MANIFEST_NAME} was not written by this provider, or was changed since "
                f"({type(error).__name__}: {error}), so it does not show which objects belong to it. Delete or move "
                "that file, or choose another destination."
            ) from error


def read_manifest(store: Store) -> Manifest | None:
    """Return the folder's manifest, or None if it has none.

    :raises ManifestUnreadable: if the manifest is not valid
    :raises DestinationError: if the store fails
    """
    data = store.read(MANIFEST_NAME)
    return None if data is None else Manifest.from_bytes(data)


def is_stored(file: StoredFile, found: StoredObject | None) -> bool:
    """Return whether what was found in the folder is this object, as far as can be seen without reading it.

    Sizes are compared and, if the store has them, ETags. In a local folder an object that was overwritten by another
    one of the same size is not noticed.
    """
    if found is None or found.size != file.bytes:
        return False
    return not file.etag or not found.etag or file.etag == found.etag


def _parse_file(entry: Mapping[str, Any]) -> StoredFile:
    etag, columns, part, digest = (entry.get(name) for name in ("etag", "columns", "part", "digest"))
    return StoredFile(
        path=_checked_name(entry["path"]),
        bytes=_checked_number("bytes", entry["bytes"]),
        sha256=str(entry["sha256"]),
        etag=None if etag is None else str(etag),
        rows=None if entry.get("rows") is None else _checked_number("rows", entry["rows"]),
        columns=None if columns is None else tuple(str(name) for name in columns),
        part=None if part is None else str(part),
        digest=None if digest is None else str(digest),
    )


def _checked_number(name: str, value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError(f"a file's {name} are not a whole number of at least 0")
    return value


def _checked_name(name: str) -> str:
    if not is_plain_name(name) or name == MANIFEST_NAME:
        raise ValueError(f"{name!r} is not a valid name for an object of an export")
    return name
