# SPDX-License-Identifier: Apache-2.0
"""Which exports have finished since the last poll, going only by what the API reports.

Exports finish in a different order than they were created, several in one millisecond, by a clock that is not ours. One
may appear after others that finished later, because it was skipped while pages shifted, or because its status lagged.
So the latest finished exports are remembered by id, and anything that finished at or before a certain time counts as
seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.timestamps import parse_timestamp_or_none

#: How many exports are remembered by id: those that finished last. An export that appears late is still new if it
#: finished after the oldest of them. (So many ids stay below the 64 KB that Airflow advises for a value.)
MAX_IDS = 800


@dataclass(frozen=True)
class Cursor:
    """Which finished exports have been seen.

    :param floor: every export that finished at or before this time counts as seen; None if there is no such time
    :param seen: the ids of other exports that have been seen, each with its finishing time, or None if the API reports
        none
    """

    floor: datetime | None
    seen: Mapping[str, datetime | None]

    @classmethod
    def start(cls, exports: Iterable[Export], *, max_ids: int = MAX_IDS) -> Cursor:
        """Return a cursor that has seen what is finished now.

        :param exports: all finished exports
        :param max_ids: how many are remembered by id
        """
        return cls(None, {}).advance(exports, max_ids=max_ids)

    def new_exports(self, exports: Iterable[Export]) -> list[Export]:
        """Return the exports that have not been seen, in the order of their finishing times.

        :param exports: all finished exports
        """
        unseen = {export.id: export for export in exports if self.is_new(export)}
        return sorted(unseen.values(), key=finishing_key)

    def is_new(self, export: Export) -> bool:
        """Return whether a finished export has not been seen."""
        return export.id not in self.seen and self._is_above(export)

    def advance(self, exports: Iterable[Export], *, complete: bool = True, max_ids: int = MAX_IDS) -> Cursor:
        """Return a cursor that has seen these exports too.

        :param exports: all finished exports, or some of them
        :param complete: whether they are all; then exports without a finishing time that are not among them are
            forgotten
        :param max_ids: how many are remembered by id
        """
        listed = {export.id: export.finished_at for export in exports}
        # Without a finishing time, an id can only be forgotten when it is no longer listed.
        known = listed if complete else {**self.seen, **listed}
        undated = {export_id: None for export_id, finished_at in known.items() if finished_at is None}
        dated = {
            export_id: finished_at
            for export_id, finished_at in {**self.seen, **listed}.items()
            if finished_at is not None and (self.floor is None or finished_at > self.floor)
        }
        newest_first = sorted(dated.items(), key=lambda item: (item[1], item[0]), reverse=True)
        if len(newest_first) <= max_ids:
            return Cursor(self.floor, {**dated, **undated})
        floor = newest_first[max_ids][1]
        remembered = {export_id: finished_at for export_id, finished_at in dated.items() if finished_at > floor}
        return Cursor(floor, {**remembered, **undated})

    def to_json(self) -> dict[str, Any]:
        """Return JSON that :meth:`from_json` reads."""
        return {
            "floor": self.floor.isoformat() if self.floor else None,
            "seen": {
                export_id: finished_at.isoformat() if finished_at else None
                for export_id, finished_at in self.seen.items()
            },
        }

    @classmethod
    def from_json(cls, body: object) -> Cursor:
        """Read a cursor.

        :param body: decoded JSON
        :raises ValueError: if it is not a cursor
        """
        if not isinstance(body, Mapping) or "floor" not in body or not isinstance(body.get("seen"), Mapping):
            raise ValueError("This is not a cursor of finished exports.")
        seen = {str(export_id): _read_optional(value) for export_id, value in body["seen"].items()}
        return cls(_read_optional(body["floor"]), seen)

    def _is_above(self, export: Export) -> bool:
        return self.floor is None or export.finished_at is None or export.finished_at > self.floor


def _read_optional(value: object) -> datetime | None:
    timestamp = parse_timestamp_or_none(value)
    if timestamp is None and value is not None:
        raise ValueError(f"{value!r} is not a timestamp.")
    return timestamp


def finishing_key(export: Export) -> tuple[bool, float, str]:
    """Return a key that sorts exports by their finishing times."""
    finished_at = export.finished_at
    return finished_at is None, finished_at.timestamp() if finished_at else 0.0, export.id
