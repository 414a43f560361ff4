# SPDX-License-Identifier: Apache-2.0
"""Notes about objects that are being made visible, for the run that follows a killed one.

A *note* (``.connectif_publishing.<run>.<task>.json``) lists the objects that a task instance is about to publish. It is
written before the first of them becomes visible, and deleted when the manifest lists them. A process that is killed in
between leaves it behind, so that a later run can delete objects that no manifest lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_provider_connectif.files.folder.json_objects import read_json, to_json
from airflow_provider_connectif.files.folder.writers import run_key, task_key
from airflow_provider_connectif.files.object_names import is_plain_name
from airflow_provider_connectif.files.stores.base import Store, StoredObject

PREFIX = ".connectif_publishing."

#: Seconds after which a note belongs to a dead process: publishing itself takes no longer than seconds.
EXPIRES_AFTER = 3600.0


class PublishingNote:
    """The note of one task instance.

    :param store: the folder
    :param writer: the task instance: ``dag_id``, ``run_id``, ``task_id``, ``map_index``
    :param clock: returns the current time, in seconds since the epoch
    """

    def __init__(self, store: Store, writer: Mapping[str, Any], *, clock: Callable[[], float]) -> None:
        self._store = store
        self._writer = dict(writer)
        self._clock = clock
        self.name = f"{PREFIX}{run_key(writer)}.{task_key(writer)}.json"
        self._expired: list[str] = []
        #: Names and sizes of objects that killed processes may have published, and that no manifest may list.
        self.abandoned_objects: dict[str, int] = {}

    def read_abandoned(self) -> None:
        """Fill :attr:`abandoned_objects` from expired notes and from one of an earlier try.

        :raises DestinationError: if the store fails
        """
        for note in self._store.find(PREFIX):
            if note.name != self.name and not self._is_expired(note):
                continue
            self._expired.append(note.name)
            for entry in read_json(self._store, note.name).get("objects", ()):
                if isinstance(entry, list) and len(entry) == 2 and is_plain_name(entry[0]):
                    self.abandoned_objects[entry[0]] = entry[1]

    def write(self, objects: Iterable[tuple[str, int]]) -> None:
        """Record which objects, by name and size, are about to become visible.

        :raises DestinationError: if the store fails
        """
        content = {"writer": self._writer, "objects": [[name, size] for name, size in objects]}
        self._store.put(self.name, to_json(content))

    def delete(self) -> None:
        """Delete this note and those read before: the manifest lists their objects, or they no longer exist.

        :raises DestinationError: if the store fails
        """
        self._store.delete([self.name, *(name for name in self._expired if name != self.name)])

    def _is_expired(self, note: StoredObject) -> bool:
        return note.modified is not None and self._clock() - note.modified > EXPIRES_AFTER
