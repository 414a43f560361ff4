# SPDX-License-Identifier: Apache-2.0
"""A store in memory, and writers that take turns at each request to it, in an order that a seed decides."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_connectif.files.folder.lease import Timing
from airflow_provider_connectif.files.stores.base import Store, StoredObject
from airflow_provider_connectif.files.stores.errors import VersionConflict
from airflow_provider_connectif.files.stores.staged import Staged
from tests.files.exports import Clock

#: Receives the request as text, and a function that performs it; returns what that function returns.
Hook = Callable[[str, Callable[[], Any]], Any]


class Killed(BaseException):
    """The process is dead: nothing of it runs any more, except ``finally`` blocks without effect."""


@dataclass
class Bucket:
    """The content of a store: name to content, version and time.

    :param conditional: whether it honours conditions
    :param etags: whether it has ETags; otherwise versions are told apart by their times
    :param ignores_case: whether it is a file system that preserves case, but ignores it
    """

    conditional: bool = True
    etags: bool = True
    ignores_case: bool = False
    clock: Callable[[], float] = field(default_factory=Clock)
    objects: dict[str, tuple[bytes, str, float]] = field(default_factory=dict)
    writes: int = 0

    def spelled(self, name: str) -> str:
        """Return the name under which an object is stored."""
        if not self.ignores_case:
            return name
        return next((each for each in self.objects if each.lower() == name.lower()), name)

    def write(self, name: str, data: bytes) -> str:
        """Write an object, and return its version."""
        self.writes += 1
        tick = 0.0 if self.etags else self.writes / 1e6
        self.objects[self.spelled(name)] = (data, f"v{self.writes}", self.clock() // 1 + tick)
        return f"v{self.writes}"

    def found(self, name: str) -> StoredObject:
        data, version, modified = self.objects[self.spelled(name)]
        return StoredObject(name, len(data), version if self.etags else None, modified)

    def store(self, hook: Hook | None = None) -> SimulatedStore:
        """Return a store for one writer."""
        return SimulatedStore(self, hook or (lambda _, perform: perform()))

    def names(self) -> set[str]:
        """Return the names of all objects."""
        return set(self.objects)


class SimulatedStore(Store):
    """The folder as one writer sees it."""

    def __init__(self, bucket: Bucket, hook: Hook) -> None:
        super().__init__(None, "")
        self.bucket = bucket
        self.request = hook

    def _conditional_writes(self) -> bool:
        return self.bucket.conditional

    def _stage(self, name: str, expected_bytes: int | None) -> SimulatedStaged:
        return SimulatedStaged(self, name)

    def _put(self, name: str, data: bytes, if_absent: bool, if_version: str | None) -> str | None:
        def perform() -> str:
            exists = self.bucket.spelled(name) in self.bucket.objects
            if self.bucket.conditional and if_absent and exists:
                raise VersionConflict(name)
            if self.bucket.conditional and if_version is not None:
                self._require(name, if_version)
            return self.bucket.write(name, data)

        version = self.request(f"PUT {name}", perform)
        return version if self.bucket.conditional else None

    def _require(self, name: str, version: str) -> None:
        if self.bucket.spelled(name) not in self.bucket.objects:
            raise VersionConflict(name)
        if self.bucket.objects[self.bucket.spelled(name)][1] != version:
            raise VersionConflict(name)

    def _read(self, name: str) -> bytes:
        return self._read_versioned(name)[0]

    def _read_versioned(self, name: str) -> tuple[bytes, str]:
        def perform() -> tuple[bytes, str]:
            if self.bucket.spelled(name) not in self.bucket.objects:
                raise FileNotFoundError(name)
            return self.bucket.objects[self.bucket.spelled(name)][:2]

        found: tuple[bytes, str] = self.request(f"GET {name}", perform)
        return found

    def _info(self, name: str) -> StoredObject:
        def perform() -> StoredObject:
            if self.bucket.spelled(name) not in self.bucket.objects:
                raise FileNotFoundError(name)
            return self.bucket.found(name)

        found: StoredObject = self.request(f"HEAD {name}", perform)
        return found

    def _find(self, prefix: str) -> list[StoredObject]:
        found: list[StoredObject] = self.request(
            "LIST", lambda: [self.bucket.found(name) for name in self.bucket.objects if name.startswith(prefix)]
        )
        return found

    def _delete(self, name: str) -> None:
        self.request(f"DELETE {name}", lambda: self.bucket.objects.pop(self.bucket.spelled(name), None))

    def _delete_version(self, name: str, version: str) -> None:
        def perform() -> None:
            if self.bucket.spelled(name) in self.bucket.objects:
                self._require(name, version)
                del self.bucket.objects[self.bucket.spelled(name)]

        self.request(f"DELETE {name}", perform)


class SimulatedStaged(Staged):
    """An object that becomes visible by one request."""

    def __init__(self, store: SimulatedStore, name: str) -> None:
        super().__init__(name)
        self._store = store
        self._data = b""

    def _write(self, data: bytes) -> None:
        self._data += data

    def _complete(self) -> None:
        self._store.request(f"UPLOAD {self.name}", lambda: None)

    def _publish(self) -> str | None:
        version: str = self._store.request(
            f"PUBLISH {self.name}", lambda: self._store.bucket.write(self.name, self._data)
        )
        return version if self._store.bucket.etags else None

    def _discard(self) -> None:
        return


class KilledAt:
    """A hook that kills its process at a request.

    :param nth: the number of that request, from 1
    :param after: whether it is performed before the kill
    """

    def __init__(self, nth: int, *, after: bool) -> None:
        self._nth = nth
        self._after = after
        self._count = 0
        self.request = ""

    def __call__(self, request: str, perform: Callable[[], Any]) -> Any:
        self._count += 1
        if self._count == self._nth:
            self.request = request
            if self._after:
                perform()
        if self._count >= self._nth:
            raise Killed(request)
        return perform()


class FailsAt(KilledAt):
    """A hook that makes one request fail; with ``after`` it is performed, and its response is lost."""

    def __call__(self, request: str, perform: Callable[[], Any]) -> Any:
        self._count += 1
        if self._count != self._nth:
            return perform()
        self.request = request
        if self._after:
            perform()
        raise TimeoutError("no response")


class Turns:
    """Runs functions as threads of which one runs at a time; they change at each request and while they sleep.

    :param seed: decides the order
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self.log: list[str] = []
        self._wakes: dict[int, float] = {}
        self._current = -1
        self._changed = threading.Condition()
        self.results: dict[int, Any] = {}

    def timing(self, **changes: Any) -> Timing:
        """Return the timing for writers."""
        return Timing(monotonic=self.clock, sleep=self.sleep, **changes)

    def sleep(self, seconds: float) -> None:
        """Let the others run, until the time has come."""
        self._yield(self.clock.now + seconds)

    def hook(self, request: str, perform: Callable[[], Any]) -> Any:
        """Let another writer run before and after a request."""
        self._yield(self.clock.now)
        self.log.append(f"{self._current}: {request}")
        result = perform()
        self._yield(self.clock.now)
        return result

    def run(self, functions: list[Callable[[], Any]]) -> dict[int, Any]:
        """Run all of them to their ends, and return what each returned or raised."""
        threads = [
            threading.Thread(target=self._run_one, args=(number, function), daemon=True)
            for number, function in enumerate(functions)
        ]
        self._wakes = dict.fromkeys(range(len(functions)), self.clock.now)
        for thread in threads:
            thread.start()
        with self._changed:
            self._choose()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        return self.results

    def _run_one(self, number: int, function: Callable[[], Any]) -> None:
        self._wait_for_turn(number)
        try:
            self.results[number] = function()
        except BaseException as error:
            self.results[number] = error
        with self._changed:
            del self._wakes[number]
            self._choose()

    def _yield(self, wake: float) -> None:
        number = self._current
        with self._changed:
            self._wakes[number] = wake
            self._choose()
        self._wait_for_turn(number)

    def _wait_for_turn(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._current == number, timeout=60)

    def _choose(self) -> None:
        if not self._wakes:
            return
        ready = [number for number, wake in sorted(self._wakes.items()) if wake <= self.clock.now]
        if not ready:
            self.clock.now = min(self._wakes.values())
            ready = [number for number, wake in sorted(self._wakes.items()) if wake <= self.clock.now]
        self._current = self.random.choice(ready)
        self._changed.notify_all()
