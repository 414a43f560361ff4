# SPDX-License-Identifier: Apache-2.0
"""What every store must be able to do, and what all of them share.

A *store* is one folder in one place (a bucket's prefix, a directory). It knows how that place makes an object
appear whole or not at all; it knows nothing of exports, manifests or archives.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import logging
import re
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from airflow_provider_connectif.files.errors import DestinationError, FileError

log = logging.getLogger(__name__)

MIB = 1024 * 1024

#: Bytes that may wait for a helper thread before the writer is made to wait for it.
BESIDE_LIMIT = 8 * MIB


@dataclass(frozen=True)
class StoredObject:
    """What a store tells of one object.

    :param name: its name in the folder
    :param size: its length in bytes
    :param etag: what the store calls its version, or None where there is no such thing
    :param modified: seconds since the epoch by the store's clock, or None when the store does not tell
    """

    name: str
    size: int
    etag: str | None = None
    modified: float | None = None


@contextlib.contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn whatever a store raises into a :class:`DestinationError` that says what was being done.

    Errors that already are ours, ``FileNotFoundError`` and ``FileExistsError`` pass: they are answers.
    """
    try:
        yield
    except Exception as error:
        _forget_locals(error)
        if isinstance(error, (FileError, FileNotFoundError, FileExistsError)):
            raise
        reason = str(error).strip() or "no reason given"
        # Some libraries quote the address of a request, whose query may hold a token for the store.
        told = re.sub(r"\?[^\s'\"<>]+=[^\s'\"<>]*", "?…", reason)
        raise DestinationError(f"The destination failed while {doing}: {type(error).__name__}: {told}") from (
            error if told == reason else None
        )


def _forget_locals(error: BaseException) -> None:
    """Have the frames that an error came through let go of what they worked with.

    Otherwise a part of some megabytes lives as long as the error does. In gcsfs that is a view of a ``BytesIO``, and
    Python 3.12.0 and 3.12.1 crash when they collect one as garbage (https://github.com/python/cpython/issues/111049).
    """
    met: set[int] = set()
    following: list[BaseException | None] = [error]
    while following:
        each = following.pop()
        if each is not None and id(each) not in met:
            met.add(id(each))
            traceback.clear_frames(each.__traceback__)
            following += [each.__cause__, each.__context__]


class BackgroundCalls:
    """Calls done one after the other in one helper thread, beside the work of the caller.

    :param limit: how many bytes may wait; a caller that is ahead by more waits
    """

    def __init__(self, limit: int = BESIDE_LIMIT) -> None:
        self._limit = limit
        self._waiting: collections.deque[tuple[Future[Any], int]] = collections.deque()
        self._waiting_bytes = 0
        self._pool: ThreadPoolExecutor | None = None

    def do(self, call: Callable[..., Any], *args: Any, size: int = 0) -> None:
        """Queue ``call(*args)``, which holds ``size`` bytes; raises what an earlier call raised."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="connectif-beside")
        while self._waiting and (self._waiting[0][0].done() or self._waiting_bytes + size > self._limit):
            self._take()
        self._waiting.append((self._pool.submit(call, *args), size))
        self._waiting_bytes += size

    def finish(self) -> None:
        """Wait until all is done, and end the thread.

        Raises what a call raised; the thread is then left to :meth:`close`.
        """
        while self._waiting:
            self._take()
        self.close()

    def close(self) -> None:
        """Drop what has not begun, wait for what has, and end the thread. May be called twice."""
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _take(self) -> None:
        future, size = self._waiting.popleft()
        self._waiting_bytes -= size
        future.result()


class Staged(ABC):
    """An object on its way: written, completed, then published, or discarded.

    Until :meth:`publish` returns, nothing is to be seen under its name. Any exception of any method, and
    leaving a ``with`` block without having published, discards it.

    :param name: the object's name in its folder
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.bytes = 0
        #: hexadecimal, known once completed
        self.sha256 = ""
        #: the store's own name for this version of the object, known once published, where there is one
        self.etag: str | None = None
        self._state = "open"
        self._digest = hashlib.sha256()
        self._hashing = BackgroundCalls()
        self._told_sha256: Callable[[], str] | None = None

    @property
    def published(self) -> bool:
        """Whether the object is to be seen."""
        return self._state == "published"

    def leave_sha256_to(self, told: Callable[[], str]) -> None:
        """Compute no SHA-256: ``told`` gives it, hexadecimal, when all has been written."""
        self._told_sha256 = told

    def write(self, data: bytes) -> None:
        """Add ``data``.

        :raises DestinationError: when the store fails
        """
        self._expect("open")
        data = bytes(data)
        if not data:
            return
        with self._or_discard(f"writing {self.name}"):
            if self._told_sha256 is None:
                # hashlib lets go of the interpreter's lock, so this costs no time where there is a second core.
                self._hashing.do(self._digest.update, data, size=len(data))
            self._write(data)
            self.bytes += len(data)

    def complete(self) -> None:
        """Bring every byte to the store, still invisible; then size and checksum are known."""
        self._expect("open")
        with self._or_discard(f"completing {self.name}"):
            self._complete()
            self._hashing.finish()
            self.sha256 = (self._told_sha256 or self._digest.hexdigest)()
            self._state = "complete"

    def publish(self) -> None:
        """Make the object visible under its name, in place of what was there."""
        self._expect("complete")
        with self._or_discard(f"publishing {self.name}"):
            self.etag = self._publish()
            self._state = "published"

    def discard(self) -> None:
        """Take back what was not published. Never raises, and may be called at any time, more than once."""
        if self._state in ("published", "discarded"):
            return
        self._state = "discarded"
        self._hashing.close()
        try:
            self._discard()
        except Exception as error:
            log.warning("Could not take back the unfinished upload of %s: %s", self.name, type(error).__name__)

    def __enter__(self) -> Staged:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.discard()

    @contextlib.contextmanager
    def _or_discard(self, doing: str) -> Iterator[None]:
        try:
            with store_errors(doing):
                yield
        except (FileNotFoundError, FileExistsError) as error:
            self.discard()
            raise DestinationError(f"The destination failed while {doing}: {error}") from error
        except BaseException:
            self.discard()
            raise

    def _expect(self, state: str) -> None:
        if self._state != state:
            raise ValueError(f"{self.name} is {self._state}; this needs it to be {state}")

    @abstractmethod
    def _write(self, data: bytes) -> None: ...

    @abstractmethod
    def _complete(self) -> None: ...

    @abstractmethod
    def _publish(self) -> str | None: ...

    @abstractmethod
    def _discard(self) -> None: ...


class Store(ABC):
    """One folder in one place.

    :param fs: the fsspec filesystem; it is shared with others, and never closed here
    :param root: the folder's path in it, without a slash at its end
    """

    #: True where :meth:`put` with ``exclusive`` is decided by the store itself, for all who write at once.
    exclusive_put = False

    def __init__(self, fs: Any, root: str) -> None:
        self.fs = fs
        self.root = root

    def path(self, name: str) -> str:
        """The path of the object ``name`` in :attr:`fs`."""
        return f"{self.root}/{name}" if self.root else name

    @abstractmethod
    def stage(self, name: str, expected_bytes: int | None = None) -> Staged:
        """Begin an object; ``expected_bytes`` helps to choose sizes, and binds nobody."""

    @abstractmethod
    def put(self, name: str, data: bytes, *, exclusive: bool = False) -> None:
        """Write a small object whole.

        :raises FileExistsError: with ``exclusive``, when there is one (where :attr:`exclusive_put` is True)
        """

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A small object's content, never from a cache.

        :raises FileNotFoundError: when there is none
        """

    @abstractmethod
    def info(self, name: str) -> StoredObject:
        """What the store tells of an object, never from a cache.

        :raises FileNotFoundError: when there is none
        """

    @abstractmethod
    def find(self, prefix: str) -> list[StoredObject]:
        """The folder's own objects whose name begins with ``prefix``, never from a cache."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete an object; none there is fine."""

    def sweep(self, names: set[str], now: float) -> None:
        """Take away what killed writers left unpublished of the objects ``names``; nothing that may be alive.

        :param now: the present moment, in seconds since the epoch
        """
        return
