# SPDX-License-Identifier: Apache-2.0
"""Looking at exports that somebody waits for, in as few requests as there can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_connectif.api.errors import NotFound
from airflow_provider_connectif.api.filters import ExportFilter, creation_key
from airflow_provider_connectif.api.models import Export

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient


@dataclass(frozen=True)
class Survey:
    """What one round of looking found.

    :param exports: by id: the export, or the error that there is none.
    :param newest: by match: the newest export that fits, None where none does.
    """

    exports: Mapping[str, Export | NotFound]
    newest: Mapping[ExportFilter, Export | None]


def survey(
    client: ConnectifClient,
    export_ids: Iterable[str],
    matches: Iterable[ExportFilter] = (),
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
    newest: dict[ExportFilter, Export | None] = dict.fromkeys(matches)
    found: dict[str, Export | NotFound] = {}
    missing = set(wanted)
    if newest:
        for export in client.list_exports(page_size=page_size):
            if export.id in missing:
                found[export.id] = export
            for match, best in newest.items():
                if match.matches(export) and (best is None or creation_key(export) > creation_key(best)):
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
