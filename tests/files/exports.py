# SPDX-License-Identifier: Apache-2.0
"""Sample exports with their files, and the task instances that store them."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_connectif.files.folder import lease_claims, lease_object
from airflow_provider_connectif.files.folder.delivery import deliver
from airflow_provider_connectif.files.folder.lease import Timing
from airflow_provider_connectif.files.tables.contents import Contents
from tests.stores import Place

MIB = 1024 * 1024


class Clock:
    """The time, which passes only while someone sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Member:
    """One file of an export."""

    sha256: Callable[[], str] | None = None
    contents: Contents | None = None

    def __init__(self, name: str, data: bytes, error: Exception | None = None) -> None:
        self.name = self.source_name = name
        self.size: int | None = len(data)
        self._data = data
        self._error = error

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, len(self._data), MIB):
            yield self._data[at : at + MIB]
        if self._error:
            raise self._error


class Archive:
    """Opens an export's file, and counts how often."""

    def __init__(self, *members: Member, error: Exception | None = None) -> None:
        self.members = members
        self.opened = 0
        self.error = error

    def __call__(self) -> Iterator[Member]:
        self.opened += 1
        return self._each()

    def _each(self) -> Iterator[Member]:
        yield from self.members
        if self.error:
            raise self.error


def export(number: int = 1, size: int = 1000) -> tuple[dict[str, Any], Archive]:
    """Return an export with two files, whose names contain its number."""
    data = random.Random(number).randbytes(size)
    members = [Member(f"activities-{number}.csv", data), Member(f"activities-{number}-products.csv", data[:500])]
    return {"id": f"{number:024x}", "exportType": "activities"}, Archive(*members)


def contents(archive: Archive) -> dict[str, bytes]:
    """Return the files that a folder must hold, by name."""
    return {member.name: b"".join(member.chunks()) for member in archive.members}


def writer(**changes: Any) -> dict[str, Any]:
    """Return the description of a task instance."""
    return {"dag_id": "lake", "run_id": "monday", "task_id": "store", "map_index": -1, **changes}


def simulated_timing() -> Timing:
    """Return a timing with a clock of its own, on which a lease of a dead process expires at once."""
    clock = Clock()
    return Timing(monotonic=clock, sleep=clock.sleep)


def impatient_timing(place: Place) -> Timing:
    """Return a timing for concurrent writers: they wait for each other, but look often.

    Where the store's clock decides, they must wait for that.
    """
    settle = 0.0 if place.store().conditional_writes else 2.0
    return Timing(sleep=lambda seconds: time.sleep(seconds if seconds < 2.0 else 0.05), settle_seconds=settle)


def deliver_to(
    place: Place,
    described: dict[str, Any],
    archive: Callable[[], Any],
    *,
    file_format: str = "csv",
    by: dict[str, Any] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """Deliver an export to a folder, on a clock that advances while the code sleeps."""
    arguments.setdefault("timing", simulated_timing())
    return deliver(
        archive,
        place.store(),
        uri=place.uri,
        export=described,
        file_format=file_format,
        writer=by or writer(),
        **arguments,
    )


def snapshot(place: Place) -> dict[str, bytes]:
    """Return all visible objects of a folder."""
    return {name: place.read(name) for name in place.names()}


def digests(found: dict[str, bytes]) -> dict[str, str]:
    """Return SHA-256 digests, to compare large contents: pytest takes minutes to explain how those differ."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


def without_lease(found: dict[str, bytes]) -> dict[str, bytes]:
    """Return objects without the lease of the folder, which remains if the outcome of a publication is unknown."""
    return {name: data for name, data in found.items() if not name.startswith((lease_object.NAME, lease_claims.PREFIX))}
