# SPDX-License-Identifier: Apache-2.0
"""Notes show the next writer which objects a killed one published without a manifest."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.files.folder.notes import (
    Announced,
    announce,
    find_abandoned,
    merge,
    note_from_json,
    note_to_json,
)
from airflow_provider_connectif.files.stores.base import StoredObject

BEFORE = StoredObject("a.csv", 3, "old", 1.0)
AFTER = StoredObject("a.csv", 3, "new", 2.0)


def test_an_object_that_appeared_since_the_note_was_written_is_abandoned() -> None:
    note = announce({"a.csv": 3}, {})
    assert find_abandoned(note, {"a.csv": AFTER}, ()) == {"a.csv"}
    assert find_abandoned(note, {}, ()) == set()


def test_an_object_that_was_replaced_since_the_note_was_written_is_abandoned() -> None:
    note = announce({"a.csv": 3}, {"a.csv": BEFORE})
    assert find_abandoned(note, {"a.csv": AFTER}, ()) == {"a.csv"}


def test_an_object_that_was_there_before_is_not() -> None:
    note = announce({"a.csv": 3}, {"a.csv": BEFORE})
    assert find_abandoned(note, {"a.csv": BEFORE}, ()) == set()
    # A listing and a look at one object may show different times for one version.
    assert find_abandoned(note, {"a.csv": StoredObject("a.csv", 3, "old", 1.5)}, ()) == set()


def test_where_there_are_no_etags_the_time_shows_that_an_object_was_replaced() -> None:
    note = announce({"a.csv": 3}, {"a.csv": StoredObject("a.csv", 3, None, 1.0)})
    assert find_abandoned(note, {"a.csv": StoredObject("a.csv", 3, None, 1.0)}, ()) == set()
    assert find_abandoned(note, {"a.csv": StoredObject("a.csv", 3, None, 2.0)}, ()) == {"a.csv"}


def test_an_object_that_a_manifest_lists_or_that_has_another_size_is_not_abandoned() -> None:
    note = announce({"a.csv": 3}, {})
    assert find_abandoned(note, {"a.csv": AFTER}, {"a.csv"}) == set()
    assert find_abandoned(note, {"a.csv": StoredObject("a.csv", 4, "x", 1.0)}, ()) == set()


def test_a_merged_note_knows_both_sizes_and_what_was_there_before_both() -> None:
    older, newer = announce({"a.csv": 3}, {}), announce({"a.csv": 5, "b.csv": 1}, {"a.csv": AFTER})
    assert merge(older, newer) == {"a.csv": Announced((3, 5), None), "b.csv": Announced((1,), None)}


def test_a_note_is_read_as_it_was_written() -> None:
    note = announce({"a.csv": 3, "b.csv": 1}, {"a.csv": BEFORE})
    assert note_from_json(note_to_json(note)) == note


@pytest.mark.parametrize("name", ["../a.csv", "x/a.csv", "_connectif_manifest.json", ".connectif_lease.json", ""])
def test_a_note_never_contains_a_name_that_no_export_has(name: str) -> None:
    assert note_from_json({name: {"sizes": [1], "before": None}}) == {}


@pytest.mark.parametrize("entry", [None, {}, {"sizes": 1, "before": None}, {"sizes": ["x"], "before": None}, [1]])
def test_an_invalid_entry_of_a_note_is_ignored(entry: object) -> None:
    assert note_from_json({"a.csv": entry, "b.csv": {"sizes": [1], "before": None}}) == {"b.csv": Announced((1,), None)}
