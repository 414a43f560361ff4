# SPDX-License-Identifier: Apache-2.0
"""The operator that asks Connectif for an export."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_connectif.api.export_request import ExportRequest, check_request
from airflow_provider_connectif.links.connectif import ConnectifReportLink, show_report
from airflow_provider_connectif.tasks.arguments import (
    CREATING_ARGUMENTS,
    check,
    creating_arguments,
    is_unknown,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class ConnectifCreateExportOperator(BaseOperator):
    """Asks Connectif for an export, once for each task instance, and returns its id.

    It does not wait: :class:`~airflow_provider_connectif.sensors.connectif.ConnectifExportSensor` does. A retry, a
    killed worker or a lost answer make no second export (with Airflow 3.3 and later); a task that is cleared after
    it succeeded asks anew. Every argument is templated.

    :param export_type: ``contacts``, ``activities`` or ``data-explorer``.
    :param segment_id: only contacts in this segment (contacts and activities).
    :param from_date: beginning. Activities: a date-time with a zone, such as
        ``"{{ data_interval_start.isoformat() }}"``. Data Explorer: a date, such as ``"{{ ds }}"``, in the account's
        time zone.
    :param to_date: end, like ``from_date``, at most 31 days later; for Data Explorer the day itself is included.
    :param activity_types: such as ``["purchase", "login"]``; None for all (activities).
    :param report_id: the Data Explorer report.
    :param delimiter: ``,`` or ``;``.
    :param date_format: ``ISO``, ``L``, ``LL`` or ``LLL`` (contacts and activities).
    :param version: of the columns, such as ``v5``; None for the vendor's default, ``v1`` (contacts and activities).
    :param connectif_conn_id: the id of the Airflow connection.
    """

    template_fields: Sequence[str] = (*CREATING_ARGUMENTS, "connectif_conn_id")
    operator_extra_links = (ConnectifReportLink(),)
    ui_color = "#e4f0fb"

    def __init__(
        self,
        *,
        export_type: str,
        segment_id: str | None = None,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        activity_types: Sequence[str] | None = None,
        report_id: str | None = None,
        delimiter: str = ",",
        date_format: str = "ISO",
        version: str | None = None,
        connectif_conn_id: str = "connectif_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.export_type = export_type
        self.segment_id = segment_id
        self.from_date = from_date
        self.to_date = to_date
        self.activity_types = activity_types
        self.report_id = report_id
        self.delimiter = delimiter
        self.date_format = date_format
        self.version = version
        self.connectif_conn_id = connectif_conn_id
        check(check_request, creating_arguments(self), is_unknown=is_unknown)

    def execute(self, context: Context) -> str:
        """Ask for the export, or find the one that an earlier try has asked for."""
        from airflow_provider_connectif.api.creation import create_once, mark_done
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.errors import airflow_errors
        from airflow_provider_connectif.tasks.record import generation_of, record_of

        record, generation = record_of(context), generation_of(context)
        with airflow_errors():
            request = ExportRequest.of(**creating_arguments(self))
            with ConnectifHook(self.connectif_conn_id).get_conn() as client:
                export_id = create_once(client, request, record, generation=generation)
            mark_done(record, generation)
        show_report(self, self.report_id)
        return export_id
