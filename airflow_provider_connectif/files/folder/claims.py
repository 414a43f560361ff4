# SPDX-License-Identifier: Apache-2.0
"""Small objects with which the writers of a folder tell each other, and their successors, what they are about
to do.

A *claim* (``.connectif_claim.<run>…json``) is there while a task instance works on the folder. Two task
instances of one run that aim at one folder are a mistake, and the manifest tells only of those that have
finished; the claim tells of those that work at the same moment. One of them stores, the others fail.

- Where the store can create an object only if there is none (``Store.exclusive_put``), the claim has one
  name for the whole run, and who creates it has it.
- Elsewhere each task instance writes a claim of its own, and the earliest by the store's clock wins (by name
  within one moment). Such clocks tick in seconds, so a claim is good only when it has stood for
  :data:`SETTLE` seconds and still is the earliest. That time passes while the export is uploaded.

A claim of the same task instance is no obstacle: it is that of an earlier try, or of a second process of this
one. A claim that is older than a day is that of a process that was killed, and nobody's any more.

A *note* (``.connectif_publishing.<run>.<task>.json``) lists the objects that are made visible at this moment.
It goes when the manifest lists them. A run that is killed in between leaves it, so that a later one can
delete what no manifest knows.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_provider_connectif.files.errors import FileError, FolderConflict
from airflow_provider_connectif.files.stores.base import Store, StoredObject

log = logging.getLogger(__name__)

_CLAIM = ".connectif_claim."
_NOTE = ".connectif_publishing."

#: Names that begin so are ours; an export's object cannot have one.
RESERVED_PREFIX = ".connectif"

#: Seconds that a claim must stand where the store cannot decide: twice the tick of its clock.
SETTLE = 2.0

#: Seconds after which a claim is that of a dead process.
CLAIM_DEAD_AFTER = 24 * 3600.0

#: Seconds after which a note is: publishing itself takes moments.
NOTE_DEAD_AFTER = 3600.0


class Claim:
    """The right of one task instance to write to a folder.

    :param folder: where
    :param writer: who: ``dag_id``, ``run_id``, ``task_id``, ``map_index``
    :param clock: tells the present moment, in seconds since the epoch
    :param sleep: waits for a number of seconds
    """

    def __init__(
        self,
        folder: Store,
        writer: Mapping[str, Any],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._folder = folder
        self._writer = dict(writer)
        self._clock = clock
        self._sleep = sleep
        run = _short(writer.get("dag_id"), writer.get("run_id"))
        task = _short(writer.get("task_id"), writer.get("map_index"))
        self._of_run = f"{_CLAIM}{run}."
        self._name = f"{self._of_run}json" if folder.exclusive_put else f"{self._of_run}{task}.json"
        self._note = f"{_NOTE}{run}.{task}.json"
        self._claimed_at = 0.0
        self._dead_notes: list[str] = []
        #: objects, with their sizes, that killed runs may have made visible without a manifest that lists
        #: them
        self.abandoned: dict[str, int] = {}

    def take(self) -> None:
        """Claim the folder.

        :raises FolderConflict: when another task instance of the same run has claimed it
        :raises DestinationError: when the store fails
        """
        if self._folder.exclusive_put:
            self._take_exclusively()
        else:
            self._take_by_time()
        self._claimed_at = self._clock()
        self._gather_notes()

    def confirm(self) -> None:
        """Make sure, before anything becomes visible, that the claim is the only one.

        :raises FolderConflict: when an earlier claim has come to light
        """
        if not self._folder.exclusive_put:
            if (rest := self._claimed_at + SETTLE - self._clock()) > 0:
                self._sleep(rest)
            self._fail_unless_earliest()

    def announce(self, objects: Iterable[tuple[str, int]]) -> None:
        """Note which objects, by name and size, are about to become visible."""
        self._folder.put(self._note, _to_json({"writer": self._writer, "objects": [list(o) for o in objects]}))

    def settled(self) -> None:
        """The manifest lists what was announced, or nothing of it is there: the notes can go."""
        self._folder.delete([self._note, *self._dead_notes])

    def release(self) -> None:
        """Give the folder back. Never raises: a claim that stays hinders nobody but the mistaken."""
        try:
            if self._reads_as_mine(self._name):
                self._folder.delete([self._name])
        except FileError as error:
            log.info("The claim %s could not be taken away: %s", self._name, error)

    def forget(self) -> None:
        """Take away what an earlier, killed try of this task instance left. Never raises."""
        try:
            self._folder.delete([self._note, self._name])
        except FileError as error:
            log.info("The claim %s could not be taken away: %s", self._name, error)

    def _take_exclusively(self) -> None:
        content = _to_json({"writer": self._writer})
        for _ in range(3):
            try:
                self._folder.put(self._name, content, exclusive=True)
            except FileExistsError:
                held = self._folder.info(self._name)
                if held is None:
                    continue  # given back in this moment
                if self._reads_as_mine(self._name):
                    return
                if not self._dead(held, CLAIM_DEAD_AFTER):
                    self._refuse(self._name)
                self._folder.delete([self._name])
            else:
                return
        self._refuse(self._name)

    def _take_by_time(self) -> None:
        mine = self._folder.info(self._name)
        # A claim of an earlier try keeps its place in the order, unless it is too old to count.
        if mine is None or self._dead(mine, CLAIM_DEAD_AFTER):
            self._folder.put(self._name, _to_json({"writer": self._writer}))
        self._fail_unless_earliest()

    def _fail_unless_earliest(self) -> None:
        claims = [claim for claim in self._folder.find(self._of_run) if not self._dead(claim, CLAIM_DEAD_AFTER)]
        first = min(claims, key=lambda claim: (claim.modified or 0.0, claim.name), default=None)
        if first is not None and first.name != self._name:
            self._folder.delete([self._name])
            self._refuse(first.name)

    def _gather_notes(self) -> None:
        for note in self._folder.find(_NOTE):
            if note.name != self._note and not self._dead(note, NOTE_DEAD_AFTER):
                continue
            content = self._read(note.name)
            self._dead_notes.append(note.name)
            for entry in content.get("objects", ()):
                if isinstance(entry, list) and len(entry) == 2 and _is_plain(entry[0]):
                    self.abandoned[entry[0]] = entry[1]
        for claim in self._folder.find(_CLAIM):
            if claim.name != self._name and self._dead(claim, CLAIM_DEAD_AFTER):
                self._dead_notes.append(claim.name)

    def _dead(self, found: StoredObject, after: float) -> bool:
        return found.modified is not None and self._clock() - found.modified > after

    def _reads_as_mine(self, name: str) -> bool:
        return bool(self._read(name).get("writer") == self._writer)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(self._folder.read(name) or b"{}")
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def _refuse(self, name: str) -> None:
        raise conflict_within_run(self._read(name).get("writer") or {})


def conflict_within_run(other: Mapping[str, Any]) -> FolderConflict:
    """The error for a folder that another task instance of the same run uses, with the mend."""
    index = other.get("map_index")
    mapped = f"[{index}]" if isinstance(index, int) and index >= 0 else ""
    return FolderConflict(
        f"Task {other.get('task_id', 'unknown')}{mapped} of the same run stores its export in this folder, and "
        "one would delete what the other stored. Give each its own folder: put {export_id}, or another field "
        "that tells the exports apart, into `destination`."
    )


def _short(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def _to_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, sort_keys=True) + "\n").encode()


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and bool(name) and "/" not in name and name not in (".", "..")
