# SPDX-License-Identifier: Apache-2.0
"""Claims, which keep two task instances of one run from writing to a folder at the same time.

A *claim* (``.connectif_claim.<run>…json``) exists while a task instance works on the folder. Two task instances of one
run with the same folder are a mistake of the DAG's author. The manifest shows only those that have finished; the claim
shows those that are running. One of them stores its export, the others fail.

- Where the store can create an object only if it does not exist (``Store.exclusive_put``), there is one claim name for
  the whole run, and the task instance that creates the object holds the claim.
- Elsewhere each task instance writes a claim of its own, and the earliest by the store's clock wins (by name if the
  times are equal). Such clocks may tick in seconds, so a claim counts only if it is still the earliest after
  :data:`SETTLE_SECONDS`. That time passes while the export is uploaded.

A claim of the same task instance does not block: it belongs to an earlier try, or to a second process of the current
one. A claim older than a day belongs to a process that was killed, and is ignored and deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_connectif.files.errors import FileError
from airflow_provider_connectif.files.folder.json_objects import read_json, to_json
from airflow_provider_connectif.files.folder.writers import conflict_with, run_key, task_key
from airflow_provider_connectif.files.stores.base import Store, StoredObject

log = logging.getLogger(__name__)

PREFIX = ".connectif_claim."

#: Seconds before a claim counts where the store cannot decide: twice the tick of its clock.
SETTLE_SECONDS = 2.0

#: Seconds after which a claim belongs to a dead process.
EXPIRES_AFTER = 24 * 3600.0


class Claim:
    """The right of one task instance to write to a folder.

    :param store: the folder
    :param writer: the task instance: ``dag_id``, ``run_id``, ``task_id``, ``map_index``
    :param clock: returns the current time, in seconds since the epoch
    :param sleep: waits for a number of seconds
    """

    def __init__(
        self,
        store: Store,
        writer: Mapping[str, Any],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._writer = dict(writer)
        self._clock = clock
        self._sleep = sleep
        self._run_prefix = f"{PREFIX}{run_key(writer)}."
        self.name = f"{self._run_prefix}json" if store.exclusive_put else f"{self._run_prefix}{task_key(writer)}.json"
        self._acquired_at = 0.0
        self._expired: list[str] = []

    def acquire(self) -> None:
        """Claim the folder.

        :raises FolderConflict: if another task instance of the same run holds the claim
        :raises DestinationError: if the store fails
        """
        if self._store.exclusive_put:
            self._acquire_exclusively()
        else:
            self._acquire_by_time()
        self._acquired_at = self._clock()
        claims = self._store.find(PREFIX)
        self._expired = [claim.name for claim in claims if claim.name != self.name and self._is_expired(claim)]

    def confirm(self) -> None:
        """Make sure, before anything becomes visible, that this is the earliest claim.

        :raises FolderConflict: if an earlier claim has appeared
        :raises DestinationError: if the store fails
        """
        if not self._store.exclusive_put:
            if (remaining := self._acquired_at + SETTLE_SECONDS - self._clock()) > 0:
                self._sleep(remaining)
            self._fail_unless_earliest()

    def release(self) -> None:
        """Delete the claim, and expired ones. Never raises: a claim that remains only affects the same run."""
        try:
            if self._is_own(self.name):
                self._store.delete([self.name])
            self._store.delete(self._expired)
        except FileError as error:
            log.info("The claim %s could not be deleted: %s", self.name, error)

    def delete(self) -> None:
        """Delete the claim, whether this process holds it or a killed try of the same task instance left it.

        :raises DestinationError: if the store fails
        """
        self._store.delete([self.name])

    def _acquire_exclusively(self) -> None:
        content = to_json({"writer": self._writer})
        for _ in range(3):
            try:
                self._store.put(self.name, content, exclusive=True)
            except FileExistsError:
                existing = self._store.info(self.name)
                if existing is None:
                    continue  # released in the meantime
                if self._is_own(self.name):
                    return
                if not self._is_expired(existing):
                    self._fail(self.name)
                self._store.delete([self.name])
            else:
                return
        self._fail(self.name)

    def _acquire_by_time(self) -> None:
        existing = self._store.info(self.name)
        # A claim of an earlier try keeps its place in the order, unless it has expired.
        if existing is None or self._is_expired(existing):
            self._store.put(self.name, to_json({"writer": self._writer}))
        self._fail_unless_earliest()

    def _fail_unless_earliest(self) -> None:
        claims = [claim for claim in self._store.find(self._run_prefix) if not self._is_expired(claim)]
        earliest = min(claims, key=lambda claim: (claim.modified or 0.0, claim.name), default=None)
        if earliest is not None and earliest.name != self.name:
            self._store.delete([self.name])
            self._fail(earliest.name)

    def _fail(self, name: str) -> None:
        raise conflict_with(read_json(self._store, name).get("writer") or {})

    def _is_own(self, name: str) -> bool:
        return bool(read_json(self._store, name).get("writer") == self._writer)

    def _is_expired(self, claim: StoredObject) -> bool:
        return claim.modified is not None and self._clock() - claim.modified > EXPIRES_AFTER
