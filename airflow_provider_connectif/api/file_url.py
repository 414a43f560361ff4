# SPDX-License-Identifier: Apache-2.0
"""The signed URL of an export's file: valid for 100 minutes, new with every request, and a secret."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_connectif.api.errors import ExportFailed, InvalidArgument, UnexpectedResponse

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.models import Export

log = logging.getLogger(__name__)

_MAX_PAUSE = 30.0


class FileUrls:
    """The signed URLs of a finished export's file: each call returns one, first the one that came with the export.

    :param client: the client
    :param export: the export
    """

    def __init__(self, client: ConnectifClient, export: Export) -> None:
        self._client = client
        self._export = export
        #: Whether a URL was returned, so that something was downloaded.
        self.used = False

    def __call__(self) -> str:
        first = None if self.used else self._export.file_url
        self.used = True
        return first or fresh_file_url(self._client, self._export.id)


def fresh_file_url(
    client: ConnectifClient,
    export_id: str,
    *,
    attempts: int = 8,
    pause: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Request a new signed URL of a finished export's file.

    A finished export may lack one for a short time: then the request is repeated, with pauses that double.

    :param client: the client
    :param export_id: the export's id
    :param attempts: maximum number of requests
    :param pause: seconds before the first repetition
    :param sleep: sleeps for a number of seconds
    :return: the signed URL. Anyone who has it can read personal data, so it must not be logged.
    :raises InvalidArgument: if the export is not finished
    :raises ExportFailed: if the export failed
    :raises UnexpectedResponse: if it is finished but still has no URL
    :raises ApiError: if a request fails
    """
    for attempt in range(attempts):
        export = client.get_existing_export(export_id, seen=True)
        if export.failed:
            raise ExportFailed(export.id, export.status)
        # A URL may be reported before the file is complete: only the status decides.
        if not export.finished:
            raise InvalidArgument(
                "export_id",
                f"export {export.id} is not finished ({export.describe_progress()}): wait for it with "
                "ConnectifExportSensor first.",
            )
        if export.file_url:
            return export.file_url
        if attempt + 1 < attempts:
            delay = min(pause * 2**attempt, _MAX_PAUSE)
            log.info("Export %s is finished but has no file yet: requesting it again in %.0f s.", export.id, delay)
            sleep(delay)
    raise UnexpectedResponse(
        f"Export {export_id} is finished, but the API did not return the URL of its file in {attempts} responses."
    )
