# SPDX-License-Identifier: Apache-2.0
"""Any other fsspec filesystem, by its memory filesystem."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_provider_connectif.files.stores.generic import GenericStore
from airflow_provider_connectif.files.stores.temporary_names import PREFIX, SUFFIX
from tests.files.stores.objects import FAR_FUTURE
from tests.stores import Place


def test_abandoned_temporary_files_are_deleted_after_a_day(memory_store: Place) -> None:
    temporary = f"{PREFIX}0123456789abcdef{SUFFIX}"
    for name in (temporary, f"{PREFIX}notes", "a.part"):
        memory_store.write(name, b"half")
    memory_store.store(clock=lambda: 0.0).delete_abandoned_uploads([])
    assert temporary in memory_store.names()
    memory_store.store(clock=lambda: FAR_FUTURE).delete_abandoned_uploads([])
    assert memory_store.names() == {f"{PREFIX}notes", "a.part"}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"modified": datetime(2027, 1, 15, 8, tzinfo=timezone.utc)}, 1_800_000_000.0),
        ({"mtime": 1_800_000_000}, 1_800_000_000.0),
        ({"last_modified": None, "created": 1.5}, 1.5),
        ({"modified": "yesterday"}, None),
        ({}, None),
    ],
)
def test_timestamps_are_read_under_the_keys_that_filesystems_use(
    entry: dict[str, object], expected: float | None
) -> None:
    assert GenericStore._parse("a.csv", {"size": 1, **entry}).modified == expected
