# SPDX-License-Identifier: Apache-2.0
"""The lease of a folder: whoever writes to the folder holds it, and others wait.

The lease is a small object in the folder that names its *holder*. Its states, as another writer sees them:

===========  ===========================================================================================================
absent       The folder is free.
held         Its holder is at work, and renews the lease. The other writer waits, and fails after
             :attr:`Timing.wait_seconds`.
dead         Its content has not changed for :attr:`Timing.expire_seconds`, by the clock of the one who waits: no clocks
             of different machines are compared. The other writer takes over.
own          It is held by an earlier attempt of the same task instance, or by a second process of this attempt. The
             other writer takes over at once; the former holder finds out, and stops.
released     Its holder has ended, but does not know what it left in the folder, or could not delete the lease. The
             other writer takes over at once.
===========  ===========================================================================================================

The lease also contains the *note* (see ``notes.py``): what its holder is about to publish. Writing the note therefore
confirms the lease. Whoever takes over keeps the note until the folder has been cleaned up according to it.

There are two kinds: :class:`~airflow_provider_connectif.files.folder.lease_object.LeaseObject` for stores that honour
conditional requests, :class:`~airflow_provider_connectif.files.folder.lease_claims.LeaseClaims` for others.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_connectif.files.errors import FileError, FolderBusy, FolderTaken
from airflow_provider_connectif.files.folder.notes import Note, note_from_json, note_to_json
from airflow_provider_connectif.files.folder.writers import conflict_with, describe_writer, in_same_run, is_same_task
from airflow_provider_connectif.files.stores.base import Store, StoredObject

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """Durations, in seconds, and what measures them.

    :param expire_seconds: a lease that has not changed for this long is dead
    :param wait_seconds: the maximum time to wait for another writer
    :param settle_seconds: how long a claim must exist before it counts, where the store decides nothing: twice the tick
        of its clock
    :param monotonic: returns the current time, from any start
    :param sleep: waits for a number of seconds
    """

    expire_seconds: float = 90.0
    wait_seconds: float = 15 * 60.0
    settle_seconds: float = 2.0
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def renew_seconds(self) -> float:
        """The time between two renewals."""
        return self.expire_seconds / 4

    @property
    def confirm_seconds(self) -> float:
        """A lease that was not renewed for this long must be renewed before the next visible step."""
        return self.expire_seconds * 2 / 3


@dataclass(frozen=True)
class LeaseContent:
    """The content of a lease.

    :param holder: the writer
    :param token: identifies the process
    :param export: the export that is stored, and its format
    :param counter: differs each time the lease is written
    :param note: the objects that may be visible although no manifest lists them
    :param released: whether the holder has ended
    :param since: the time from which a claim counts, by the store's clock
    """

    holder: Mapping[str, Any]
    token: str
    export: Mapping[str, Any] = field(default_factory=dict)
    counter: int = 0
    note: Note = field(default_factory=dict)
    released: bool = False
    since: float | None = None

    def to_bytes(self) -> bytes:
        """Return the content of the object."""
        content = {
            "holder": dict(self.holder),
            "token": self.token,
            "export": dict(self.export),
            "counter": self.counter,
            "publishing": note_to_json(self.note),
            "released": self.released,
            "since": self.since,
        }
        return (json.dumps(content, sort_keys=True) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> LeaseContent:
        """Read a lease. One that cannot be read has an unknown holder, which may be alive."""
        try:
            content = json.loads(data)
            since = content.get("since")
            return cls(
                holder=dict(content["holder"]),
                token=str(content["token"]),
                export=dict(content["export"]),
                counter=int(content["counter"]),
                note=note_from_json(content["publishing"]),
                released=content["released"] is True,
                since=None if since is None else float(since),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(holder={}, token="")


class Lease(ABC):
    """The lease of one writer on one folder.

    :param store: the folder
    :param writer: the task instance: ``dag_id``, ``run_id``, ``task_id``, ``map_index``
    :param export: the export and its format, for other writers
    :param timing: durations and clock
    """

    def __init__(
        self, store: Store, writer: Mapping[str, Any], export: Mapping[str, Any], timing: Timing | None = None
    ) -> None:
        self._store = store
        self._timing = timing or Timing()
        self._content = LeaseContent(dict(writer), uuid.uuid4().hex, dict(export))
        self._confirmed_at = 0.0
        self._held = False
        #: Whether the store may contain this lease, as far as is known.
        self._may_exist = False
        self._taken_by: Mapping[str, Any] | None = None
        self._ended = threading.Event()
        self._lock = threading.RLock()
        self._seen: dict[str, tuple[object, float]] = {}
        #: Whether there was another writer's lease, so that the folder may have changed.
        self.contended = False
        #: Whether it was taken over, so that the folder may have to be cleaned up.
        self.took_over = False

    @property
    def note(self) -> Note:
        """The note, of this writer or of the one it took over from."""
        return self._content.note

    def acquire(self, *, take_over: bool = True) -> None:
        """Wait until the folder is free, and hold it.

        :param take_over: whether a lease of the same task instance is taken over at once
        :raises FolderBusy: if another writer still holds it after :attr:`Timing.wait_seconds`
        :raises FolderConflict: if another task instance of the same run holds it, for another export
        :raises DestinationError: if the store fails
        """
        self._held, self._may_exist, self._taken_by = False, False, None
        try:
            self._wait(take_over)
            self._held = True
            self._ended = threading.Event()
            threading.Thread(target=self._renew_repeatedly, args=(self._ended,), daemon=True).start()
        except BaseException:
            # An interrupted request may have been performed.
            self.release(self.note)
            raise

    def list_folder(self) -> dict[str, StoredObject]:
        """Return what the folder contains, by name, while this writer holds it.

        :raises FolderTaken: if another process has taken over the folder
        :raises DestinationError: if the store fails
        """
        self.check()
        return {each.name: each for each in self._store.find()}

    def announce(self, note: Note) -> None:
        """Replace the note, before anything that it lists becomes visible.

        :raises FolderTaken: if another process has taken over the folder
        :raises DestinationError: if the store fails
        """
        with self._lock:
            self._renew(note=note)

    def check(self) -> None:
        """Make sure, before each visible step, that this writer still holds the folder.

        :raises FolderTaken: if another process has taken over the folder
        :raises DestinationError: if that is not known, and the store fails
        """
        with self._lock:
            if self._taken_by is not None:
                raise self.taken()
            if self._timing.monotonic() - self._confirmed_at >= self._timing.confirm_seconds:
                self._renew()

    def confirm(self) -> None:
        """Make sure, by renewing the lease now, that this writer still holds the folder.

        :raises FolderTaken: if another process has taken over the folder
        :raises DestinationError: if that is not known, and the store fails
        """
        with self._lock:
            self._renew()

    def release(self, note: Note) -> bool:
        """End the lease, if it may exist. Never raises, unless interrupted: a lease that remains is dead after a while.

        May be called again, such as after an interrupt.

        :param note: objects that may be visible although no manifest lists them; the next writer deletes them
        :return: False if another process has taken over the folder, perhaps before the last step
        """
        self._ended.set()
        with self._lock:
            if self._may_exist and self._taken_by is None:
                try:
                    if note:
                        self._renew(note=note, released=True)
                    else:
                        self._delete_or_mark()
                    self._may_exist = False
                except FolderTaken:
                    return False
                except FileError as error:
                    log.info("The lease of the folder could not be released; it expires on its own: %s", error)
            return self._taken_by is None

    def _delete_or_mark(self) -> None:
        try:
            other = self._remove()
        except FileError as error:
            # Without the permission to delete, others would wait until it expires, after each run.
            self._renew(note={}, released=True)
            log.warning("The lease of the folder is marked as released, because it could not be deleted: %s", error)
        else:
            self._taken_by = None if other is None else other.holder

    def taken(self) -> FolderTaken:
        """Return the error for a folder that another process has taken over."""
        return FolderTaken(
            f"The folder was taken over by {describe_writer(self._taken_by or {})} while this task was storing an "
            "export in it. Run the task again."
        )

    def is_lost(self) -> bool:
        """Return whether another process is known to have taken over the folder. Never raises."""
        try:
            self.check()
        except FileError as error:
            return isinstance(error, FolderTaken)
        return False

    def _may_have_expired(self) -> bool:
        return self._timing.monotonic() - self._confirmed_at >= self._timing.expire_seconds

    def _wait(self, take_over: bool) -> None:
        deadline = self._timing.monotonic() + self._timing.wait_seconds
        delay = 2.0
        logged = False
        while (other := self._try_to_acquire(take_over)) is not None:
            self.contended = True
            if other.export != self._content.export and in_same_run(other.holder, self._content.holder):
                raise conflict_with(other.holder)
            remaining = deadline - self._timing.monotonic()
            if remaining <= 0:
                raise self._busy(other)
            if not logged:
                log.info("Waiting for the folder: in use by %s", describe_writer(other.holder))
                logged = True
            self._timing.sleep(min(delay, remaining))
            delay = min(delay * 1.5, 10.0)

    def _renew(self, **changes: Any) -> None:
        content = replace(self._content, counter=self._content.counter + 1, **changes)
        started = self._timing.monotonic()
        taken_by = self._replace(content)
        if taken_by is not None:
            self._taken_by = taken_by.holder
            raise self.taken()
        self._content = content
        self._confirmed_at = started

    def _renew_repeatedly(self, ended: threading.Event) -> None:
        while not ended.wait(self._timing.renew_seconds):
            with self._lock:
                if ended.is_set():
                    return
                try:
                    self._renew()
                except FolderTaken:
                    return
                except FileError as error:
                    log.debug("The lease of the folder could not be renewed: %s", error)

    def _may_take_over(self, other: LeaseContent, key: str, version: object, take_over: bool) -> bool:
        """Return whether another writer's lease is released, the same task's, or dead."""
        now = self._timing.monotonic()
        seen_version, since = self._seen.get(key, (None, now))
        if seen_version != version:
            since = now
        self._seen[key] = (version, since)
        own = take_over and is_same_task(other.holder, self._content.holder)
        if not (other.released or own or now - since >= self._timing.expire_seconds):
            return False
        self.contended = self.took_over = True
        return True

    def _busy(self, other: LeaseContent) -> FolderBusy:
        minutes = round(self._timing.wait_seconds / 60)
        return FolderBusy(
            f"The folder is in use: after {minutes} minutes, {describe_writer(other.holder)} is still storing export "
            f"{other.export.get('id', 'unknown')} in it. Run the task again later, or give each its own folder."
        )

    @abstractmethod
    def _try_to_acquire(self, take_over: bool) -> LeaseContent | None:
        """Acquire the lease, or return the lease of the writer to wait for."""

    @abstractmethod
    def _replace(self, content: LeaseContent) -> LeaseContent | None:
        """Write the lease, or return the lease of the writer that has taken over."""

    @abstractmethod
    def _remove(self) -> LeaseContent | None:
        """Delete the lease, or return the lease of the writer that has taken over."""
