# SPDX-License-Identifier: Apache-2.0
"""The link from a task to its report in the Connectif application.

It is made where the task runs, of the connection's ``app_url`` and ``store_id`` alone; Airflow keeps it as an XCom, so
the API server never reads a connection for it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

log = logging.getLogger(__name__)

_SHOWN = "_connectif_report_link"


class ConnectifReportLink(BaseOperatorLink):
    """Leads to the Data Explorer report that the task's export is of."""

    name = "Connectif report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Give the report's address, or an empty text where there is none.

        :param operator: the task as it has run; Airflow asks in the task's own process, at its end.
        :param ti_key: which task instance.
        """
        return getattr(operator, _SHOWN, "")


def set_report_link(operator: Any, report_id: str | None) -> None:
    """Have the task show a link to a report, where its connection says where the application is.

    :param operator: the running task, with a ``connectif_conn_id``.
    :param report_id: the Data Explorer report; None where the export is of none.
    """
    if not report_id:
        return
    from airflow.providers.common.compat.sdk import BaseHook

    try:
        extra = BaseHook.get_connection(operator.connectif_conn_id).extra_dejson
    except Exception as problem:
        # No export is worth failing for the sake of a link.
        log.debug("No link to the report: %s.", type(problem).__name__)
        return
    object.__setattr__(operator, _SHOWN, report_url(extra, report_id))


def report_url(extra: Mapping[str, Any], report_id: str) -> str:
    """Give a report's address in the application.

    :param extra: the connection's; ``app_url`` and ``store_id`` are what counts.
    :param report_id: the Data Explorer report.
    :return: an empty text where either is missing, or ``app_url`` is no plain web address.
    """
    app_url, store_id = str(extra.get("app_url") or "").strip(), str(extra.get("store_id") or "").strip()
    if not app_url or not store_id:
        return ""
    try:
        parts = urlsplit(app_url)
        host = parts.netloc
    except ValueError:
        return ""
    # No other scheme, for people click on it; no user or query, for a secret may be in them.
    if parts.scheme not in ("http", "https") or not host or "@" in host or parts.query or parts.fragment:
        return ""
    base = app_url.rstrip("/")
    return f"{base}/store/{quote(store_id, safe='')}/data-explorer-report/{quote(report_id, safe='')}"
