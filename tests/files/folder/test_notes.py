# SPDX-License-Identifier: Apache-2.0
"""Notes show the next run which objects a killed one published without a manifest."""

from __future__ import annotations

from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from airflow_provider_connectif.files.folder.notes import EXPIRES_AFTER, PublishingNote
from tests.files.exports import contents, deliver_to, export, writer
from tests.stores import Place

MINUTE = 60.0


def note_of(place: Place, later: float = 0.0, **changes: object) -> PublishingNote:
    """Return a note whose clock shows the store's own time, plus some seconds."""
    return PublishingNote(place.store(), writer(**changes), clock=place.clock(later))


def test_a_note_of_another_run_counts_only_when_it_is_old(memory_store: Place) -> None:
    note_of(memory_store, run_id="sunday").write([("a.csv", 1)])
    young = note_of(memory_store, later=EXPIRES_AFTER - MINUTE)
    old = note_of(memory_store, later=EXPIRES_AFTER + MINUTE)
    young.read_abandoned()
    assert young.abandoned_objects == {}
    old.read_abandoned()
    assert old.abandoned_objects == {"a.csv": 1}


def test_a_note_of_an_earlier_try_counts_at_once(place: Place) -> None:
    note_of(place).write([("a.csv", 1)])
    note = note_of(place)
    note.read_abandoned()
    assert note.abandoned_objects == {"a.csv": 1}


def test_a_note_is_deleted_with_the_old_ones_that_were_read(place: Place) -> None:
    note_of(place, run_id="sunday").write([("a.csv", 1)])
    note = note_of(place, later=EXPIRES_AFTER + MINUTE)
    note.read_abandoned()
    note.write([("b.csv", 2)])
    note.delete()
    assert place.names() == set()


def test_an_abandoned_object_is_deleted_only_if_it_has_the_size_in_the_note(memory_store: Place) -> None:
    note_of(memory_store).write([("a.csv", 1), ("b.csv", 1), ("../c.csv", 1), (MANIFEST_NAME, 1)])
    memory_store.write("a.csv", b"1")
    memory_store.write("b.csv", b"of someone else")
    described, archive = export()
    deliver_to(memory_store, described, archive)
    assert memory_store.names() == {*contents(archive), MANIFEST_NAME, "b.csv"}
