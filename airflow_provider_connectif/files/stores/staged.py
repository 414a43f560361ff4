# SPDX-License-Identifier: Apache-2.0
"""Objects that are being written and are not visible yet."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from airflow_provider_connectif.files.background import BackgroundCalls
from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.errors import store_errors

log = logging.getLogger(__name__)


class ByteBudget:
    """A limit on the bytes that several objects hold together."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def has(self, size: int) -> bool:
        """Return whether ``size`` more bytes fit."""
        return size <= self._left

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes, and return whether they fit."""
        if not self.has(size):
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Release ``size`` bytes that were reserved."""
        self._left += size


class Staged(ABC):
    """An object that is written, completed, and then published or discarded.

    Until :meth:`publish` is called, nothing is visible under its name. An exception in any method discards it, and so
    does leaving a ``with`` block before it is published. An exception in :meth:`publish` does not show whether the
    object is visible: the request may have succeeded, and only its response been lost.

    :param name: the object's name in its folder
    :param budget: the bytes that small objects may hold until they are published, each in one request; None if all
        objects are sent while they are written
    :param expected_bytes: the expected maximum size, if known
    """

    def __init__(self, name: str, budget: ByteBudget | None = None, expected_bytes: int | None = None) -> None:
        self.name = name
        self.bytes = 0
        #: Hexadecimal; set when the object is completed.
        self.sha256 = ""
        #: The store's identifier of this version of the object, if it has one; set when the object is published.
        self.etag: str | None = None
        self._state = "open"
        self._digest = hashlib.sha256()
        self._hashing = BackgroundCalls()
        self._get_sha256: Callable[[], str] | None = None
        self._budget = budget
        #: The content, while the object is small.
        self._kept: list[bytes] | None = None
        if budget is not None and budget.has(expected_bytes or 0):
            self._kept = []

    @property
    def outcome_unknown(self) -> bool:
        """Whether publishing failed, so that only the store can show if the object is visible."""
        return self._state == "unknown"

    def take_sha256_from(self, get_sha256: Callable[[], str]) -> None:
        """Do not compute the SHA-256, but call ``get_sha256`` for it (hexadecimal) when everything has been written."""
        self._get_sha256 = get_sha256

    def write(self, data: bytes) -> None:
        """Append ``data``.

        :raises DestinationError: if the store fails
        """
        self._require_state("open")
        data = bytes(data)
        if not data:
            return
        with self._discard_on_error(f"writing {self.name}"):
            if self._get_sha256 is None:
                # hashlib releases the interpreter's lock, so this takes no time where there is a second core.
                self._hashing.submit(self._digest.update, data, size=len(data))
            if not self._keep(data):
                self._write(data)
            self.bytes += len(data)

    def complete(self) -> None:
        """Send every byte to the store, still invisible, and verify that it has them; those of small objects are kept.

        Size and checksum are known afterwards.
        """
        self._require_state("open")
        with self._discard_on_error(f"completing {self.name}"):
            if self._kept is None:
                self._complete()
            self._hashing.finish()
            self.sha256 = (self._get_sha256 or self._digest.hexdigest)()
            self._state = "complete"

    def publish(self) -> None:
        """Make the object visible under its name, replacing what was there."""
        self._require_state("complete")
        with self._discard_on_error(f"publishing {self.name}"):
            self._state = "publishing"
            self.etag = self._publish() if self._kept is None else self._publish_small(b"".join(self._kept))
            self._state = "published"
        self._release()

    def discard(self) -> None:
        """Remove what is not visible. Never raises; may be called at any time, and more than once."""
        if self._state in ("published", "discarded", "unknown"):
            return
        self._state = "unknown" if self._state == "publishing" else "discarded"
        self._release()
        self._hashing.close()
        try:
            self._discard()
        except FileNotFoundError:
            return  # the request that failed has had an effect after all
        except Exception as error:
            log.warning("The unfinished upload of %s could not be removed: %s", self.name, type(error).__name__)

    def _keep(self, data: bytes) -> bool:
        """Keep ``data`` in memory if the object is small so far; otherwise write what was kept."""
        if self._kept is None or self._budget is None:
            return False
        if self._budget.take(len(data)):
            self._kept.append(data)
            return True
        kept = self._kept
        self._release()
        for each in kept:
            self._write(each)
        return False

    def _release(self) -> None:
        if self._kept is not None and self._budget is not None:
            self._budget.give_back(sum(len(each) for each in self._kept))
        self._kept = None

    def __enter__(self) -> Staged:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.discard()

    @contextlib.contextmanager
    def _discard_on_error(self, action: str) -> Iterator[None]:
        try:
            with store_errors(action):
                yield
        except (FileNotFoundError, FileExistsError) as error:
            self.discard()
            raise DestinationError(f"The destination failed while {action}: {error}") from error
        except BaseException:
            self.discard()
            raise

    def _require_state(self, state: str) -> None:
        if self._state != state:
            raise ValueError(f"{self.name} is {self._state}, but must be {state} for this")

    @abstractmethod
    def _write(self, data: bytes) -> None: ...

    @abstractmethod
    def _complete(self) -> None:
        """Send the rest, and verify what the store has received, by its length at least; hold no memory afterwards."""

    @abstractmethod
    def _publish(self) -> str | None:
        """Make the object visible, and return its ETag, if the store has one."""

    def _publish_small(self, data: bytes) -> str | None:
        """Write an object that was never sent, and make it visible, in one request; return its ETag."""
        raise NotImplementedError

    @abstractmethod
    def _discard(self) -> None:
        """Remove what is not visible."""


def require_size(name: str, stored: int, expected: int) -> None:
    """Make sure that the store has received all bytes of an object.

    :raises DestinationError: if the two numbers of bytes differ
    """
    if stored != expected:
        raise DestinationError(
            f"{expected:,} bytes of {name} were sent, but the store has {stored:,}, so the object is not published. "
            "Run the task again."
        )
