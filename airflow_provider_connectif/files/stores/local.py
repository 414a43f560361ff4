# SPDX-License-Identifier: Apache-2.0
"""Files in a folder of this machine, or of a file server that is mounted here.

A file is written under a hidden name in the same folder, synced to disk, and renamed, which replaces what was there in
one step. Conditional writers hold a lock on a hidden file in the folder, which the system releases when a process ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from airflow_provider_connectif.files.background import MIB, BackgroundCalls
from airflow_provider_connectif.files.stores.base import Store, StoredObject
from airflow_provider_connectif.files.stores.errors import VersionConflict
from airflow_provider_connectif.files.stores.staged import Staged, require_size
from airflow_provider_connectif.files.stores.temporary_names import PREFIX, SUFFIX, temporary_name

#: Data is synced to disk each time so many bytes have been written, to keep the last wait short.
_SYNC_EVERY = 64 * MIB

#: The file that conditional writers lock; it exists only meanwhile.
LOCK_NAME = f"{PREFIX}lock{SUFFIX}"

#: For each thread, ``file``: the last lock file that it has opened, and ``held``: whether it has locked it.
_own_lock = threading.local()

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


class LocalStaged(Staged):
    """A hidden file."""

    def __init__(self, store: LocalStore, name: str, temporary: str) -> None:
        super().__init__(name)
        self._store = store
        self._temporary_path = store.path(temporary)
        self._fd = -1
        self._unsynced = 0
        self._syncing = BackgroundCalls()

    def _open(self) -> None:
        os.makedirs(self._store.root, exist_ok=True)
        self._fd = os.open(self._temporary_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            self._open()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._unsynced += len(data)
        if self._unsynced >= _SYNC_EVERY:
            self._unsynced = 0
            self._syncing.submit(_sync, self._fd, size=_SYNC_EVERY)

    def _complete(self) -> None:
        if self._fd < 0:
            self._open()
        self._syncing.finish()
        _sync(self._fd)
        require_size(self.name, os.fstat(self._fd).st_size, self.bytes)
        self._close()

    def _publish(self) -> None:
        os.replace(self._temporary_path, self._store.path(self.name))
        _sync_folder(self._store.root)

    def _discard(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary_path)
        self._close()

    def _close(self) -> None:
        self._syncing.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class LocalStore(Store):
    """A folder."""

    def __init__(self, fs: Any, root: str, **kwargs: Any) -> None:
        super().__init__(fs, os.path.abspath(root or "/"), **kwargs)
        self._locks_work: bool | None = None

    def _check(self, name: str) -> bool:
        # Missing folders are created.
        existing = self.root
        while not os.path.lexists(existing):
            existing = os.path.dirname(existing)
        if not os.path.isdir(existing):
            raise NotADirectoryError(f"{existing} is not a folder")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(f"the user that runs the task may not write to {existing}")
        return os.path.exists(self.path(name))

    def _stage(self, name: str, expected_bytes: int | None) -> LocalStaged:
        return LocalStaged(self, name, temporary_name(staged=True))

    def _conditional_writes(self) -> bool:
        if self._locks_work is None:
            with self._folder_lock() as locked:
                self._locks_work = locked
        return self._locks_work

    def _put(self, name: str, data: bytes, if_absent: bool, if_version: str | None) -> str:
        with contextlib.ExitStack() as stack:
            if if_absent or if_version is not None:
                stack.enter_context(self._folder_lock())
                self._require_version(name, if_version)
            staged = stack.enter_context(LocalStaged(self, name, temporary_name(staged=False)))
            staged.write(data)
            staged.complete()
            staged.publish()
        return _version(data)

    def _read(self, name: str) -> bytes:
        with open(self.path(name), "rb") as file:
            return file.read()

    def _read_versioned(self, name: str) -> tuple[bytes, str]:
        data = self._read(name)
        return data, _version(data)

    def _delete_version(self, name: str, version: str) -> None:
        with self._folder_lock():
            self._require_version(name, version)
            self._delete(name)

    def _require_version(self, name: str, version: str | None) -> None:
        try:
            current = _version(self._read(name))
        except FileNotFoundError:
            current = None
        if current != version:
            raise VersionConflict(f"{name} has another version" if current else f"{name} does not exist")

    @contextlib.contextmanager
    def _folder_lock(self) -> Iterator[bool]:
        """Keep other conditional writers, also on other machines, out of the folder; yield whether this works there."""
        os.makedirs(self.root, exist_ok=True)
        try:
            yield _acquire_lock(self.path(LOCK_NAME))
        finally:
            _release_lock()

    def _info(self, name: str) -> StoredObject:
        found = os.stat(self.path(name))
        return StoredObject(name, found.st_size, None, found.st_mtime)

    def _find(self, prefix: str) -> list[StoredObject]:
        try:
            names = os.listdir(self.root)
        except FileNotFoundError:
            return []
        found = []
        for name in names:
            if name.startswith(prefix):
                with contextlib.suppress(FileNotFoundError):
                    if os.path.isfile(self.path(name)):
                        found.append(self._info(name))
        return found

    def _delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(name))


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _acquire_lock(path: str) -> bool:
    """Open and lock this thread's lock file, and return whether the mount supports this."""
    while True:
        # What an interrupt has left of this thread's last lock would block this one forever.
        _release_lock()
        _own_lock.held = False
        _own_lock.file = file = open(path, "ab", buffering=0)  # noqa: SIM115  closed below
        locked = _lock(file.fileno())
        # Between the two calls above, the last holder may have deleted the file.
        if os.fstat(file.fileno()).st_nlink:
            _own_lock.held = True
            return locked


def _release_lock() -> None:
    """Delete and close this thread's lock file, if there is one; also if that was interrupted before."""
    file = getattr(_own_lock, "file", None)
    if file is None or file.closed:
        return
    if _own_lock.held and os.fstat(file.fileno()).st_nlink:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file.name)
    file.close()


def _lock(fd: int) -> bool:
    """Lock a file, and return whether the mount supports this."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _sync(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        # Some mounts do not support this call; a full disk or a lost server is an error.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _sync(fd)
    finally:
        os.close(fd)
