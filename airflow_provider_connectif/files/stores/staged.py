# SPDX-License-Identifier: Apache-2.0
"""Objects that are being written and are not visible yet."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.background import BackgroundCalls
from airflow_provider_connectif.files.stores.errors import store_errors

log = logging.getLogger(__name__)


class Staged(ABC):
    """An object that is written, completed, and then published or discarded.

    Until :meth:`publish` returns, nothing is visible under its name. An exception in any method discards it, and so
    does leaving a ``with`` block before it is published.

    :param name: the object's name in its folder
    """

    def __init__(self, name: str) -> None:
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

    @property
    def published(self) -> bool:
        """Whether the object is visible."""
        return self._state == "published"

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
            self._write(data)
            self.bytes += len(data)

    def complete(self) -> None:
        """Send every byte to the store, still invisible; size and checksum are known afterwards."""
        self._require_state("open")
        with self._discard_on_error(f"completing {self.name}"):
            self._complete()
            self._hashing.finish()
            self.sha256 = (self._get_sha256 or self._digest.hexdigest)()
            self._state = "complete"

    def publish(self) -> None:
        """Make the object visible under its name, replacing what was there."""
        self._require_state("complete")
        with self._discard_on_error(f"publishing {self.name}"):
            self.etag = self._publish()
            self._state = "published"

    def discard(self) -> None:
        """Remove what was not published. Never raises; may be called at any time, and more than once."""
        if self._state in ("published", "discarded"):
            return
        self._state = "discarded"
        self._hashing.close()
        try:
            self._discard()
        except Exception as error:
            log.warning("The unfinished upload of %s could not be removed: %s", self.name, type(error).__name__)

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
    def _complete(self) -> None: ...

    @abstractmethod
    def _publish(self) -> str | None:
        """Return the ETag of the published object, if the store has one."""

    @abstractmethod
    def _discard(self) -> None: ...


class StagedFile(Staged):
    """An object that is written through a file of an fsspec filesystem, in a background thread."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._file: Any = None
        self._writing = BackgroundCalls()

    @abstractmethod
    def _open(self) -> Any:
        """Open the file for writing."""

    def _write(self, data: bytes) -> None:
        self._writing.submit(self._opened().write, data, size=len(data))

    def _complete(self) -> None:
        file = self._opened()
        self._writing.finish()
        file.close()

    def _opened(self) -> Any:
        if self._file is None:
            self._file = self._open()
        return self._file
