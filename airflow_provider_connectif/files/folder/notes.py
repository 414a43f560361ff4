# SPDX-License-Identifier: Apache-2.0
"""Notes about objects that are being made visible, for the run that follows a killed one.

A *note* lists the objects that a writer is about to publish, with what was there before. It is part of the writer's
lease, and is written before the first of them becomes visible. If the writer dies, the next one knows which objects
are the dead one's: those that differ from what was there before, and that no manifest lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_connectif.files.object_names import is_plain_name, is_reserved_name
from airflow_provider_connectif.files.stores.base import StoredObject

#: What distinguishes two versions of an object in a listing: its size, ETag and time.
Fingerprint = tuple[int, str | None, float | None]


@dataclass(frozen=True)
class Announced:
    """One object that is about to be published.

    :param sizes: its size; several if a second writer announced it before the first one was cleaned up after
    :param before: what was there under its name; None if nothing was
    """

    sizes: tuple[int, ...]
    before: Fingerprint | None

    def matches(self, found: StoredObject) -> bool:
        """Return whether what is there now was published according to this note."""
        return found.size in self.sizes and fingerprint(found) != self.before


#: Objects by their names.
Note = Mapping[str, Announced]


def announce(sizes: Mapping[str, int], listing: Mapping[str, StoredObject]) -> dict[str, Announced]:
    """Return the note for objects that are about to be published.

    :param sizes: their sizes, by name
    :param listing: what the folder contains now
    """
    return {name: Announced((size,), fingerprint(listing.get(name))) for name, size in sizes.items()}


def merge(older: Note, newer: Note) -> dict[str, Announced]:
    """Return one note for two of them, of which the older one knows what was there before both."""
    merged = {**newer, **older}
    for name in set(older) & set(newer):
        sizes = dict.fromkeys((*older[name].sizes, *newer[name].sizes))
        merged[name] = Announced(tuple(sizes), older[name].before)
    return merged


def find_abandoned(note: Note, listing: Mapping[str, StoredObject], listed: Iterable[str]) -> set[str]:
    """Return the names of the objects that were published according to a note and that no manifest lists.

    An object of another size was put there by someone else since, and is not touched.

    :param listing: what the folder contains now
    :param listed: the names that the manifest lists
    """
    candidates = (set(note) & set(listing)) - set(listed)
    return {name for name in candidates if note[name].matches(listing[name])}


def fingerprint(found: StoredObject | None) -> Fingerprint | None:
    """Return what distinguishes this version of an object from others."""
    # An ETag suffices: a store's clock may show one time in a listing, and another one elsewhere.
    return None if found is None else (found.size, found.etag, None if found.etag else found.modified)


def note_to_json(note: Note) -> dict[str, Any]:
    """Return a note as JSON-compatible values."""
    return {name: {"sizes": list(each.sizes), "before": each.before} for name, each in note.items()}


def note_from_json(content: object) -> dict[str, Announced]:
    """Read a note; entries that are not valid are ignored, because objects are deleted according to it."""
    note = {}
    for name, entry in content.items() if isinstance(content, dict) else ():
        try:
            before = entry["before"]
            if is_plain_name(name) and not is_reserved_name(name):
                sizes = tuple(int(size) for size in entry["sizes"])
                note[name] = Announced(sizes, None if before is None else (int(before[0]), before[1], before[2]))
        except (KeyError, TypeError, ValueError, IndexError):
            continue
    return note
