# SPDX-License-Identifier: Apache-2.0
"""Contents of objects for the tests of stores, and how they are uploaded."""

from __future__ import annotations

import hashlib
import random

from airflow_provider_connectif.files.stores.base import Store
from airflow_provider_connectif.files.stores.staged import ByteBudget

MIB = 1024 * 1024

#: A time in seconds since the epoch at which everything that these tests write is older than any limit.
FAR_FUTURE = 4e9


def random_bytes(size: int) -> bytes:
    """Return the same bytes for the same size."""
    return random.Random(1).randbytes(size)


def in_chunks(data: bytes, size: int = MIB) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def digest(data: bytes) -> str:
    """Return the SHA-256, to compare large contents: pytest takes minutes to explain how those differ."""
    return hashlib.sha256(data).hexdigest()


def without_budget(store: Store) -> Store:
    """Make a store send even small objects while they are written; return it."""
    store.budget = ByteBudget(0)
    return store


def upload(store: Store, name: str, data: bytes) -> None:
    with store.stage(name) as staged:
        for chunk in in_chunks(data):
            staged.write(chunk)
        staged.complete()
        staged.publish()
