# SPDX-License-Identifier: Apache-2.0
"""The address of an export's file: signed, good for 100 minutes, new with every request, and a secret."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_connectif.api.errors import ExportFailed, InvalidArgument, UnexpectedResponse

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

log = logging.getLogger(__name__)


def fresh_address(
    client: ConnectifClient,
    export_id: str,
    *,
    attempts: int = 8,
    pause: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Ask for a fresh address of a finished export's file.

    A finished export has been seen without one for a moment: then it is asked again, with pauses that double.

    :param client: the API.
    :param export_id: the export's id.
    :param attempts: how often it is asked at the most.
    :param pause: seconds before it is asked again.
    :param sleep: takes seconds.
    :return: the address. Whoever holds it can read personal data: it must not be logged.
    :raises InvalidArgument: where the export is not finished.
    :raises ExportFailed: where it never will be.
    :raises UnexpectedResponse: where it is finished and still has no address.
    :raises ApiError: by kind.
    """
    for attempt in range(attempts):
        export = client.get_export(export_id)
        if export.failed:
            raise ExportFailed(export.id, export.status)
        # The address has been seen before the file was whole: the status alone decides.
        if not export.finished:
            raise InvalidArgument(
                "export_id",
                f"export {export.id} is not finished ({export.describe_progress()}): wait for it with "
                "ConnectifExportSensor first.",
            )
        if export.file_url:
            return export.file_url
        if attempt + 1 < attempts:
            wait = min(pause * 2**attempt, 30.0)
            log.info("Export %s is finished but has no file yet: asking again in %.0f s.", export.id, wait)
            sleep(wait)
    raise UnexpectedResponse(
        f"Export {export_id} is finished, but the API gave no address of its file, asked {attempts} times."
    )
