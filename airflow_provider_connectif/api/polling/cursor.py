# SPDX-License-Identifier: Apache-2.0
"""Which exports have finished since one looked last, by what the vendor says alone.

Exports finish in another order than they were made in, several in one millisecond, by a clock that is not ours, and
one may come to light after others that finished later: it was skipped while pages shifted, or its status lagged. So
what was seen is remembered by id, for the newest exports, and by a finishing time below which all counts as seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.timestamps import read_moment

LOOK_BACK = 800
"""How many exports are remembered by id, the latest finished ones. One that comes to light late is still news
as long as it finished after the oldest of them. (So many ids stay below the 64 KB that Airflow advises for a value.)
"""


@dataclass(frozen=True)
class Cursor:
    """How far somebody has heard of finished exports.

    :param floor: what finished at this moment or before counts as seen; None for nothing.
    :param seen: the ids seen besides, each with its finishing time; None where the API tells none.
    """

    floor: datetime | None
    seen: Mapping[str, datetime | None]

    @classmethod
    def at(cls, exports: Iterable[Export], *, look_back: int = LOOK_BACK) -> Cursor:
        """Begin here: what has finished until now is no news.

        :param exports: the finished ones, the whole list's.
        :param look_back: how many to remember by id.
        """
        return cls(None, {}).after(exports, look_back=look_back)

    def news(self, exports: Iterable[Export]) -> list[Export]:
        """Give those that were not seen yet, by their finishing times.

        :param exports: the finished ones, the whole list's.
        """
        fresh = {export.id: export for export in exports if export.id not in self.seen and self._is_above(export)}
        return sorted(fresh.values(), key=_finishing_key)

    def after(self, exports: Iterable[Export], *, look_back: int = LOOK_BACK) -> Cursor:
        """Move on, once these have been heard of.

        :param exports: the finished ones, the whole list's.
        :param look_back: how many to remember by id.
        """
        listed = {export.id: export.finished_at for export in exports}
        # Without a finishing time there is no telling when to forget it, but that it is listed no more.
        undated = {export_id: None for export_id, moment in listed.items() if moment is None}
        dated = {export_id: moment for export_id, moment in {**self.seen, **listed}.items() if moment is not None}
        dated = {export_id: moment for export_id, moment in dated.items() if self.floor is None or moment > self.floor}
        newest_first = sorted(dated.items(), key=lambda item: (item[1], item[0]), reverse=True)
        if len(newest_first) <= look_back:
            return Cursor(self.floor, {**dated, **undated})
        floor = newest_first[look_back][1]
        return Cursor(floor, {**{key: moment for key, moment in dated.items() if moment > floor}, **undated})

    def to_json(self) -> dict[str, Any]:
        """Give what :meth:`from_json` makes the same cursor from."""
        return {
            "floor": self.floor.isoformat() if self.floor else None,
            "seen": {key: moment.isoformat() if moment else None for key, moment in self.seen.items()},
        }

    @classmethod
    def from_json(cls, body: object) -> Cursor:
        """Read a cursor.

        :param body: decoded JSON.
        :raises ValueError: where it is none.
        """
        if not isinstance(body, Mapping) or "floor" not in body or not isinstance(body.get("seen"), Mapping):
            raise ValueError("This is no cursor of finished exports.")
        return cls(_moment(body["floor"]), {str(key): _moment(value) for key, value in body["seen"].items()})

    def _is_above(self, export: Export) -> bool:
        return self.floor is None or export.finished_at is None or export.finished_at > self.floor


def _moment(value: object) -> datetime | None:
    moment = read_moment(value)
    if moment is None and value is not None:
        raise ValueError(f"{value!r} is no moment.")
    return moment


def _finishing_key(export: Export) -> tuple[bool, float, str]:
    moment = export.finished_at
    return moment is None, moment.timestamp() if moment else 0.0, export.id
