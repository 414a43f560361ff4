# SPDX-License-Identifier: Apache-2.0
"""The link from a task to its report in the Connectif application.

The task makes it when it runs, from the connection's ``app_url`` and ``store_id``. Airflow stores it as an XCom, so the
API server never reads a connection for it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_connectif.api.polling.event_loop import event_loop_time
from airflow_provider_connectif.tasks.connections import read_connection_async

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

    from airflow_provider_connectif.api.models import Export

log = logging.getLogger(__name__)

_LINK_ATTRIBUTE = "_connectif_report_link"


class ConnectifReportLink(BaseOperatorLink):
    """Link to the Data Explorer report of the task's export."""

    name = "Connectif report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the report's URL, or an empty string if there is none.

        :param operator: the task after it has run; Airflow calls this in the task's process
        :param ti_key: the key of the task instance
        """
        return getattr(operator, _LINK_ATTRIBUTE, "")


def set_report_link(operator: Any, report_id: str | None) -> None:
    """Set the link that the task shows, if its connection has the URL of the application.

    :param operator: the running task, which has a ``connectif_conn_id``
    :param report_id: the Data Explorer report; None for an export of another type
    """
    if not report_id:
        return
    from airflow.providers.common.compat.sdk import BaseHook

    try:
        extra = BaseHook.get_connection(operator.connectif_conn_id).extra_dejson
    except Exception as error:
        # A missing link is not a reason to fail.
        log.debug("No link to the report: %s.", type(error).__name__)
        return
    object.__setattr__(operator, _LINK_ATTRIBUTE, report_url(extra, report_id))


def report_url(extra: Mapping[str, Any], report_id: str) -> str:
    """Return the URL of a report in the application.

    :param extra: the connection's extra, of which ``app_url`` and ``store_id`` are used
    :param report_id: the Data Explorer report
    :return: an empty string if either is missing, or if ``app_url`` is not a plain ``http`` or ``https`` URL
    """
    app_url, store_id = str(extra.get("app_url") or "").strip(), str(extra.get("store_id") or "").strip()
    if not app_url or not store_id:
        return ""
    try:
        parts = urlsplit(app_url)
        host = parts.netloc
    except ValueError:
        return ""
    # Other schemes are unsafe to click on; user information and queries may contain a secret.
    if parts.scheme not in ("http", "https") or not host or "@" in host or parts.query or parts.fragment:
        return ""
    base = app_url.rstrip("/")
    return f"{base}/store/{quote(store_id, safe='')}/data-explorer-report/{quote(report_id, safe='')}"


class ReportLinks:
    """The links of exports to their reports, for triggers: with one look-up of the connection per minute.

    :param connectif_conn_id: the id of the Airflow connection
    :param log: where it is logged that the connection cannot be read
    """

    def __init__(self, connectif_conn_id: str, log: Any) -> None:
        self._connectif_conn_id = connectif_conn_id
        self._log = log
        self._extra: Mapping[str, Any] = {}
        self._valid_until = -math.inf

    async def find(self, export: Export) -> str | None:
        """Return the URL of the export's report in the Connectif application, if that is known."""
        if export.report_id is None:
            return None
        if event_loop_time() >= self._valid_until:
            try:
                _, self._extra = await read_connection_async(self._connectif_conn_id)
            except Exception as error:
                # A missing link is not a reason to lose the event.
                self._log.warning("No link to the report: %s.", type(error).__name__)
            self._valid_until = event_loop_time() + 60.0
        return report_url(self._extra, export.report_id) or None
