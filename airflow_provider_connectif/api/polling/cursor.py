# SPDX-License-Identifier: Apache-2.0
"""Which exports have ended since the last poll, going only by what the API reports.

A cursor is either for exports that finished or for those that failed. Exports end in a different order than they were
created, several in one millisecond, by a clock that is not ours. One may appear after others that ended later, because
it was skipped while pages shifted, or because its status lagged. So the latest exports are remembered by id, and
anything that ended at or before a certain time counts as seen.

It is not known whether the API reports when an export failed. If it does not, a failed export counts as having ended
when it was created: otherwise the cursor would grow with the number of failed exports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.timestamps import parse_timestamp_or_none

#: How many exports are remembered by id: those that ended last. An export that appears late is still new if it ended
#: after the oldest of them. (So many ids stay below the 64 KB that Airflow advises for a value.)
MAX_IDS = 800


@dataclass(frozen=True)
class Cursor:
    """Which of the exports that have ended have been seen.

    :param floor: exports that ended at or before this time count as seen; None for no such limit
    :param seen: the ids of other exports that have been seen, each with the time at which it ended, or None if the API
        reports none
    """

    floor: datetime | None
    seen: Mapping[str, datetime | None]

    @classmethod
    def start(cls, exports: Iterable[Export], *, max_ids: int = MAX_IDS) -> Cursor:
        """Return a cursor that has seen what has ended by now.

        :param exports: all exports that have ended
        :param max_ids: how many are remembered by id
        """
        return cls(None, {}).advance(exports, max_ids=max_ids)

    def new_exports(self, exports: Iterable[Export]) -> list[Export]:
        """Return the exports that have not been seen, in the order in which they ended.

        :param exports: all exports that have ended
        """
        unseen = {export.id: export for export in exports if self.is_new(export)}
        return sorted(unseen.values(), key=ending_key)

    def is_new(self, export: Export) -> bool:
        """Return whether an export that has ended has not been seen."""
        return export.id not in self.seen and self._is_above(export)

    def advance(self, exports: Iterable[Export], *, complete: bool = True, max_ids: int = MAX_IDS) -> Cursor:
        """Return a cursor that has seen these exports too.

        :param exports: all exports that have ended, or some of them
        :param complete: whether they are all; then exports without a time that are not among them are forgotten
        :param max_ids: how many are remembered by id
        """
        listed = {export.id: ending_time(export) for export in exports}
        # An id without a time can be removed only when the API no longer lists it.
        known = listed if complete else {**self.seen, **listed}
        undated = {export_id: None for export_id, ended_at in known.items() if ended_at is None}
        dated = {
            export_id: ended_at
            for export_id, ended_at in {**self.seen, **listed}.items()
            if ended_at is not None and (self.floor is None or ended_at > self.floor)
        }
        newest_first = sorted(dated.items(), key=lambda item: (item[1], item[0]), reverse=True)
        if len(newest_first) <= max_ids:
            return Cursor(self.floor, {**dated, **undated})
        floor = newest_first[max_ids][1]
        remembered = {export_id: ended_at for export_id, ended_at in dated.items() if ended_at > floor}
        return Cursor(floor, {**remembered, **undated})

    def to_json(self) -> dict[str, Any]:
        """Return JSON that :meth:`from_json` reads."""
        return {
            "floor": self.floor.isoformat() if self.floor else None,
            "seen": {
                export_id: ended_at.isoformat() if ended_at else None for export_id, ended_at in self.seen.items()
            },
        }

    @classmethod
    def from_json(cls, body: object) -> Cursor:
        """Read a cursor.

        :param body: decoded JSON
        :raises ValueError: if it is not a cursor
        """
        if not isinstance(body, Mapping) or "floor" not in body or not isinstance(body.get("seen"), Mapping):
            raise ValueError("This is not a cursor of exports.")
        seen = {str(export_id): _read_optional(value) for export_id, value in body["seen"].items()}
        return cls(_read_optional(body["floor"]), seen)

    def _is_above(self, export: Export) -> bool:
        ended_at = ending_time(export)
        return self.floor is None or ended_at is None or ended_at > self.floor


def _read_optional(value: object) -> datetime | None:
    timestamp = parse_timestamp_or_none(value)
    if timestamp is None and value is not None:
        raise ValueError(f"{value!r} is not a timestamp.")
    return timestamp


def ending_time(export: Export) -> datetime | None:
    """Return when an export ended, or None if the API reports no time to go by."""
    return export.finished_at or (export.created_at if export.failed else None)


def ending_key(export: Export) -> tuple[bool, float, str]:
    """Return a key that sorts exports by the times at which they ended."""
    ended_at = ending_time(export)
    return ended_at is None, ended_at.timestamp() if ended_at else 0.0, export.id
