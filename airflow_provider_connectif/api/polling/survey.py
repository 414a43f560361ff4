# SPDX-License-Identifier: Apache-2.0
"""Looking at exports that somebody waits for, in as few requests as there can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.errors import InvalidArgument, NotFound
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.timestamps import parse_moment

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient


@dataclass(frozen=True)
class Survey:
    """What one round of looking found.

    :param exports: by id: the export, or the error that there is none.
    :param newest: by match: the newest export that fits, None where none does.
    """

    exports: Mapping[str, Export | NotFound]
    newest: Mapping[Match, Export | None]


def survey(
    client: ConnectifClient,
    export_ids: Iterable[str],
    matches: Iterable[Match] = (),
    *,
    page_size: int = 50,
) -> Survey:
    """Look at many exports in about ``min(exports, pages of the list)`` requests.

    Few are asked for by id. For many, the list is walked until all are seen, or until as many pages were in vain as
    exports are not seen yet; those are then asked for by id, so that an export that was deleted is told apart from
    one that is not listed. A match needs the whole list, which has no documented order.

    :param client: the API.
    :param export_ids: what to read; repeated ones are read once.
    :param matches: what else to look for.
    :param page_size: exports asked for at once.
    :raises ApiError: by kind, other than :class:`NotFound`.
    """
    wanted = list(dict.fromkeys(export_ids))
    newest: dict[Match, Export | None] = dict.fromkeys(matches)
    found: dict[str, Export | NotFound] = {}
    missing = set(wanted)
    if newest:
        for export in client.list_exports(page_size=page_size):
            if export.id in missing:
                found[export.id] = export
            for match, best in newest.items():
                if match.fits(export) and (best is None or age_key(export) > age_key(best)):
                    newest[match] = export
    elif len(wanted) > 2:
        in_vain = 0
        for page in client.list_pages(page_size=page_size):
            here = {export.id: export for export in page if export.id in missing}
            found.update(here)
            missing.difference_update(here)
            in_vain += not here
            if in_vain >= len(missing):
                break
    for export_id in wanted:
        if export_id not in found:
            try:
                found[export_id] = client.get_export(export_id)
            except NotFound as problem:
                found[export_id] = problem
    return Survey(found, newest)


@dataclass(frozen=True)
class Match:
    """Describes an export that somebody else makes: the newest one that fits is meant.

    :param export_type: its type.
    :param created_after: only exports made after this moment (aware).
    :param origin: ``api`` or ``app``.
    :param report_id: the Data Explorer report.
    :param segment_id: the segment.
    """

    export_type: str | None = None
    created_after: datetime | None = None
    origin: str | None = None
    report_id: str | None = None
    segment_id: str | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Match:
        """Make a match of an operator's arguments.

        :param arguments: by name; ``created_after`` as an aware datetime or ISO 8601 date-time with a zone.
        :raises InvalidArgument: where ``created_after`` is no such moment.
        """
        return cls(**{**arguments, "created_after": moment_of("created_after", arguments.get("created_after"))})

    def fits(self, export: Export) -> bool:
        """Tell whether an export is one of those that are meant."""
        if self.created_after is not None and (export.created_at is None or export.created_at <= self.created_after):
            return False
        pairs = (
            (self.export_type, export.export_type),
            (self.report_id, export.report_id),
            (self.segment_id, export.segment_id),
        )
        if self.origin is not None and (export.origin or "").casefold() != self.origin.casefold():
            return False
        return all(asked is None or asked == is_so for asked, is_so in pairs)

    def as_arguments(self) -> dict[str, Any]:
        """Give what :meth:`of` makes the same match from, as JSON can hold it."""
        moment = self.created_after
        return {**vars(self), "created_after": moment.isoformat() if moment is not None else None}

    def __str__(self) -> str:
        asked = {name: value for name, value in vars(self).items() if value is not None}
        return ", ".join(f"{name}={value}" for name, value in asked.items()) or "any export"


def moment_of(name: str, value: object) -> datetime | None:
    """Read a moment that a DAG author gave.

    :param name: the argument's name, for the error.
    :param value: an aware datetime, an ISO 8601 date-time with a zone, or None.
    :raises InvalidArgument: where it is neither.
    """
    right = "write a date-time with a zone, such as '2026-11-01T00:00:00+00:00'."
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = parse_moment(value)
        except ValueError:
            raise InvalidArgument(name, f"{value!r} is no ISO 8601 date-time; {right}") from None
    if not isinstance(value, datetime):
        raise InvalidArgument(name, f"{value!r} is no moment; {right}")
    if value.tzinfo is None:
        raise InvalidArgument(name, f"{value.isoformat()!r} names no time zone; {right}")
    return value


def age_key(export: Export) -> tuple[bool, float, str]:
    """Order exports by their creation, oldest first."""
    created = export.created_at
    return created is not None, created.timestamp() if created else 0.0, export.id
