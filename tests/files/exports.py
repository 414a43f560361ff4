# SPDX-License-Identifier: Apache-2.0
"""Sample exports with their files, and the task instances that store them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_connectif.files.folder.delivery import deliver
from tests.stores import Place

MIB = 1024 * 1024


class Member:
    """One file of an export."""

    sha256: Callable[[], str] | None = None

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


def deliver_to(
    place: Place,
    described: dict[str, Any],
    archive: Callable[[], Any],
    *,
    file_format: str = "csv",
    by: dict[str, Any] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """Deliver an export to a folder, without waiting where the code would wait."""
    arguments.setdefault("sleep", lambda seconds: None)
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
