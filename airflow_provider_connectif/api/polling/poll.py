# SPDX-License-Identifier: Apache-2.0
"""One poll for many exports, in as few requests as possible."""

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
class PollResult:
    """The result of one poll.

    :param exports: by id: the export, or the error if there is no such export
    :param newest: by filter: the newest export that matches, or None
    """

    exports: Mapping[str, Export | NotFound]
    newest: Mapping[ExportFilter, Export | None]


def poll_exports(
    client: ConnectifClient,
    export_ids: Iterable[str],
    filters: Iterable[ExportFilter] = (),
    *,
    page_size: int = 50,
) -> PollResult:
    """Read many exports in about ``min(exports, pages of the list)`` requests.

    Up to two exports are requested by id. For more, the list is read until all of them are found, or until as many
    pages contained none of them as there are exports missing. The missing ones are then requested by id, which shows
    whether they were deleted or are only not listed. A filter needs the whole list, which has no documented order.

    :param client: the API
    :param export_ids: the exports to read; repeated ids are read once
    :param filters: find the newest export that matches each of them
    :param page_size: the number of exports per request
    :raises ApiError: any but :class:`NotFound`
    """
    ids = list(dict.fromkeys(export_ids))
    newest: dict[ExportFilter, Export | None] = dict.fromkeys(filters)
    found: dict[str, Export | NotFound] = {}
    missing = set(ids)
    if newest:
        for export in client.list_exports(page_size=page_size):
            if export.id in missing:
                found[export.id] = export
            for export_filter, best in newest.items():
                if export_filter.matches(export) and (best is None or creation_key(export) > creation_key(best)):
                    newest[export_filter] = export
    elif len(ids) > 2:
        useless_pages = 0
        for page in client.list_pages(page_size=page_size):
            on_page = {export.id: export for export in page if export.id in missing}
            found.update(on_page)
            missing.difference_update(on_page)
            useless_pages += not on_page
            if useless_pages >= len(missing):
                break
    for export_id in ids:
        if export_id not in found:
            try:
                found[export_id] = client.get_export(export_id)
            except NotFound as error:
                found[export_id] = error
    return PollResult(found, newest)
