# SPDX-License-Identifier: Apache-2.0
"""Choosing from the list of exports: functions of the exports alone, which come one by one, page by page.

The list has no documented order and no filters, so a choice reads all of it, and keeps no more than it gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_connectif.api.file_names import title_of
from airflow_provider_connectif.api.models import FINISHED, Export
from airflow_provider_connectif.api.polling.survey import Match, age_key, moment_of


def _title(export: Export) -> str | None:
    return title_of(export.file_name, export.file_extension) if export.file_name else None


_KINDS: Mapping[str, Callable[[Export], str | None]] = {
    "report_id": lambda export: export.report_id,
    "export_type": lambda export: export.export_type,
    "file_name": _title,
}

LATEST_PER = tuple(_KINDS)
"""What :func:`latest_of_each` tells exports apart by."""


@dataclass(frozen=True)
class Selection:
    """Describes the exports that somebody wants of the list.

    :param match: by the export's fields.
    :param status: the status, such as ``finished``; None for any.
    :param finished_after: only exports that finished after this moment (aware).
    :param latest_per: one of :data:`LATEST_PER`: of the exports that fit, only the newest of each; None for all.
    """

    match: Match = field(default_factory=Match)
    status: str | None = FINISHED
    finished_after: datetime | None = None
    latest_per: str | None = None

    @classmethod
    def of(
        cls,
        arguments: Mapping[str, Any],
        *,
        status: str | None = FINISHED,
        finished_after: str | datetime | None = None,
        latest_per: str | None = None,
    ) -> Selection:
        """Make a selection of an operator's arguments.

        :param arguments: those of a match, by name.
        :param status: the status; None for any.
        :param finished_after: an aware datetime or ISO 8601 date-time with a zone.
        :param latest_per: one of :data:`LATEST_PER`, or None.
        :raises InvalidArgument: where a moment is none, or names no zone.
        """
        return cls(Match.of(arguments), status, moment_of("finished_after", finished_after), latest_per)

    def fits(self, export: Export) -> bool:
        """Tell whether an export is one of those, leaving aside that others of its kind may be newer."""
        if self.status is not None and export.status.casefold() != self.status.casefold():
            return False
        if self.finished_after is not None:
            finished = _finished_at(export)
            if finished is None or finished <= self.finished_after:
                return False
        return self.match.fits(export)

    def choose(self, exports: Iterable[Export]) -> list[Export]:
        """Give those of the exports that are wanted, oldest first.

        :param exports: the whole list, in any order.
        """
        fitting: Iterable[Export] = (export for export in exports if self.fits(export))
        if self.latest_per is not None:
            fitting = latest_of_each(fitting, self.latest_per)
        return sorted(fitting, key=age_key)


def latest_of_each(exports: Iterable[Export], per: str) -> Iterator[Export]:
    """Keep the newest export of each kind, by the moment of its creation.

    An export that lacks what tells the kinds apart (a file's name, a report) is kept: nobody knows what it is one of.

    :param exports: in any order.
    :param per: ``report_id``; ``export_type``; or ``file_name``, the whole name without what the vendor appends.
    """
    kind_of = _KINDS[per]
    newest: dict[str, Export] = {}
    for export in exports:
        kind = kind_of(export)
        if kind is None:
            yield export
        elif kind not in newest or age_key(export) > age_key(newest[kind]):
            newest[kind] = export
    yield from newest.values()


def _finished_at(export: Export) -> datetime | None:
    """The moment at which it finished; where the API leaves that out of a finished one, it was made before."""
    return export.finished_at or (export.created_at if export.finished else None)
