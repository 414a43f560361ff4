# SPDX-License-Identifier: Apache-2.0
"""Reading the list of exports page by page."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_connectif.api.errors import UnexpectedResponse

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.models import Export

log = logging.getLogger(__name__)

DEFAULT_PAGE_SIZE = 50

# A page without new exports is not the end, since pages shift while they are read; this many in a row are.
_MAX_PAGES_WITHOUT_NEW_EXPORTS = 100


@dataclass(frozen=True)
class ListPage:
    """One page of the list of exports.

    :param exports: its exports, in the API's order
    :param url: the URL that was requested
    :param current: the URL of the response, to which a link is relative
    :param link: the link to the next page, as it is in the response; ``None`` on the last page
    """

    exports: list[Export]
    url: str
    current: str
    link: object = None


class ExportPages:
    """Reads the list page by page.

    A page whose request failed is requested again by the next call, which may pass another client of the same account.

    :param page_size: exports per request
    """

    def __init__(self, page_size: int = DEFAULT_PAGE_SIZE) -> None:
        #: Whether the last page has been read.
        self.done = False
        #: The exports of the last page that was read which were on no earlier page.
        self.new_exports: list[Export] = []
        self._page_size = page_size
        self._url: str | None = None
        self._link_error: UnexpectedResponse | None = None
        self._visited: set[str] = set()
        self._ids: set[str] = set()
        self._pages_without_new = 0

    def read(self, client: ConnectifClient) -> list[Export]:
        """Request the next page and return its exports, including those that were on an earlier page.

        :param client: the API
        :raises ApiError: if the request fails, or if there is no next page although the list does not end
        """
        if self._link_error is not None:
            raise self._link_error
        page = client.get_page(self._url, page_size=self._page_size)
        self._visited.update((page.url, page.current))
        self.new_exports = self._add_new(page.exports)
        self._follow(client, page)
        return page.exports

    def _add_new(self, exports: list[Export]) -> list[Export]:
        new = list({export.id: export for export in exports if export.id not in self._ids}.values())
        self._ids.update(export.id for export in new)
        self._pages_without_new = 0 if new else self._pages_without_new + 1
        return new

    def _follow(self, client: ConnectifClient, page: ListPage) -> None:
        if not page.link:
            self.done = True
            return
        try:
            if self._pages_without_new >= _MAX_PAGES_WITHOUT_NEW_EXPORTS:
                raise UnexpectedResponse(
                    f"The API's list of exports does not end: {self._pages_without_new} consecutive pages had no new "
                    "export."
                )
            self._url = client.resolve_page_link(page)
        except UnexpectedResponse as error:
            # This page can be used: the next one cannot be requested.
            self._link_error = error
            return
        if self._url in self._visited:
            log.warning("The API's list of exports links to a page that was already read; treating it as the end.")
            self.done = True
