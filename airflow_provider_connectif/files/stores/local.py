# SPDX-License-Identifier: Apache-2.0
"""Files in a folder of this machine, or of a file server that is mounted here.

A file is written under a hidden name in the same folder, brought to the disk, and renamed, which replaces
what was there in one step. While it is written its writer holds a lock on it, which the system takes away
with the process: that is how a later run tells what a killed one left from what another one is writing at
this moment.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import socket
import uuid
from typing import Any

from airflow_provider_connectif.files.stores.base import MIB, BackgroundCalls, Staged, Store, StoredObject

PREFIX = ".connectif-"
SUFFIX = ".part"

#: Where locks do not tell (another machine, a mount without them), an unfinished file is dead after this.
ABANDONED_AFTER = 24 * 3600.0

#: So much is handed to the disk at a time, for the last wait to be short.
_SYNC_EVERY = 64 * MIB

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


class LocalStaged(Staged):
    """A hidden file."""

    def __init__(self, store: LocalStore, name: str) -> None:
        super().__init__(name)
        self._store = store
        self._temporary = ""
        self._fd = -1
        self._unsynced = 0
        self._syncing = BackgroundCalls()

    def _open(self) -> None:
        os.makedirs(self._store.root, exist_ok=True)
        while self._fd < 0:
            temporary = self._store.path(f"{PREFIX}{_machine()}-{uuid.uuid4().hex}{SUFFIX}")
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            self._temporary, self._fd = temporary, fd
            _lock(fd)
            if not os.fstat(fd).st_nlink:
                # Another run took it for abandoned between the two calls above.
                os.close(fd)
                self._fd = -1

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            self._open()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._unsynced += len(data)
        if self._unsynced >= _SYNC_EVERY:
            self._unsynced = 0
            self._syncing.do(_sync, self._fd, size=_SYNC_EVERY)

    def _complete(self) -> None:
        if self._fd < 0:
            self._open()
        self._syncing.finish()
        _sync(self._fd)

    def _publish(self) -> None:
        os.replace(self._temporary, self._store.path(self.name))
        self._close()
        _sync_folder(self._store.root)

    def _discard(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._temporary:
                os.unlink(self._temporary)
        self._close()

    def _close(self) -> None:
        self._syncing.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class LocalStore(Store):
    """A folder."""

    exclusive_put = True

    def stage(self, name: str, expected_bytes: int | None = None) -> LocalStaged:
        return LocalStaged(self, name)

    def put(self, name: str, data: bytes, *, exclusive: bool = False) -> None:
        staged = LocalStaged(self, name)
        with staged:
            staged.write(data)
            staged.complete()
            if not exclusive:
                staged.publish()
                return
            try:
                os.link(staged._temporary, self.path(name))
            except FileExistsError:
                raise
            except OSError:
                # No hard links here (many network mounts): the name is taken in one step, the content
                # follows.
                fd = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
                with os.fdopen(fd, "wb") as file:
                    file.write(data)

    def read(self, name: str) -> bytes:
        with open(self.path(name), "rb") as file:
            return file.read()

    def info(self, name: str) -> StoredObject:
        found = os.stat(self.path(name))
        return StoredObject(name, found.st_size, None, found.st_mtime)

    def find(self, prefix: str) -> list[StoredObject]:
        try:
            names = os.listdir(self.root)
        except FileNotFoundError:
            return []
        found = []
        for name in names:
            if name.startswith(prefix):
                with contextlib.suppress(FileNotFoundError):
                    if os.path.isfile(self.path(name)):
                        found.append(self.info(name))
        return found

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(name))

    def sweep(self, names: set[str], now: float) -> None:
        for each in self.find(PREFIX):
            if not each.name.endswith(SUFFIX):
                continue
            here = each.name.startswith(f"{PREFIX}{_machine()}-")
            if here or (each.modified is not None and now - each.modified > ABANDONED_AFTER):
                self._sweep(each.name)

    def _sweep(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(self.path(name), os.O_WRONLY | os.O_CLOEXEC)
            try:
                # Deleted under the lock: its writer, if it is just being born, sees that and begins anew.
                if _lock(fd, wait=False):
                    os.unlink(self.path(name))
            finally:
                os.close(fd)


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:12]


def _lock(fd: int, *, wait: bool = True) -> bool:
    """Lock a file.

    False when somebody else has it, or when this place knows no locks and ``wait`` is False.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return wait
    return True


def _sync(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        # Some mounts have no such call; a full disk or a lost server is another matter.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _sync(fd)
    finally:
        os.close(fd)


def store(fs: Any, root: str) -> LocalStore:
    """The store for a path of fsspec's local filesystem."""
    return LocalStore(fs, os.path.abspath(root))
