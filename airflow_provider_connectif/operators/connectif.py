# SPDX-License-Identifier: Apache-2.0
"""The operators that ask Connectif: for an export, and for the list of exports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_connectif.api.argument_checks import check_one_of
from airflow_provider_connectif.api.export_request import ExportRequest, check_request
from airflow_provider_connectif.links.connectif import ConnectifReportLink, set_report_link
from airflow_provider_connectif.tasks.arguments import (
    FILTER_ARGUMENTS,
    REQUEST_ARGUMENTS,
    arguments_of,
    check,
    check_filter,
    request_arguments,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_FILTER_ARGUMENTS = (*FILTER_ARGUMENTS, "status", "finished_after")


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

    template_fields: Sequence[str] = (*REQUEST_ARGUMENTS, "connectif_conn_id")
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
        check(check_request, request_arguments(self, rendered=False))

    def execute(self, context: Context) -> str:
        """Ask for the export, or find the one that an earlier try has asked for."""
        from airflow_provider_connectif.api.creation import create_once, mark_done
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.errors import airflow_errors
        from airflow_provider_connectif.tasks.state_store import get_creation_record, get_generation

        record, generation = get_creation_record(context), get_generation(context)
        with airflow_errors():
            request = ExportRequest.of(**request_arguments(self))
            with ConnectifHook(self.connectif_conn_id).get_conn() as client:
                export_id = create_once(client, request, record, generation=generation)
            mark_done(record, generation)
        set_report_link(self, self.report_id)
        return export_id


class ConnectifListExportsOperator(BaseOperator):
    """Gives the ids of the account's exports that fit, whoever made them: what ``.expand(export_id=…)`` takes.

    All pages of the list are read, one after the other. Where nothing fits, the list is empty, and Airflow skips what
    is mapped over it. A moment is an ISO 8601 date-time with a zone, such as
    ``"{{ data_interval_start.isoformat() }}"``, or an aware datetime. Every argument is templated.

    :param export_type: only this type, such as ``data-explorer``.
    :param status: only this status; None for any.
    :param origin: ``app`` for exports made in the application, ``api`` for those made through the API.
    :param report_id: only exports of this Data Explorer report.
    :param segment_id: only exports of this segment.
    :param created_after: only exports made after this moment.
    :param finished_after: only exports that finished after this moment.
    :param latest_per: of the exports that fit, only the newest of each ``report_id``, ``export_type`` or
        ``file_name``: the whole name of the file, without the extension, dates and identifier that Connectif appends.
        An export that has none is kept. None for every export.
    :param connectif_conn_id: the id of the Airflow connection.
    :return: the ids, in the order in which the exports were made.
    """

    template_fields: Sequence[str] = (*_FILTER_ARGUMENTS, "latest_per", "connectif_conn_id")
    ui_color = "#e4f0fb"

    def __init__(
        self,
        *,
        export_type: str | None = None,
        status: str | None = "finished",
        origin: str | None = None,
        report_id: str | None = None,
        segment_id: str | None = None,
        created_after: str | datetime | None = None,
        finished_after: str | datetime | None = None,
        latest_per: str | None = None,
        connectif_conn_id: str = "connectif_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.export_type = export_type
        self.status = status
        self.origin = origin
        self.report_id = report_id
        self.segment_id = segment_id
        self.created_after = created_after
        self.finished_after = finished_after
        self.latest_per = latest_per
        self.connectif_conn_id = connectif_conn_id
        check(self._check_arguments, rendered=False)

    def execute(self, context: Context) -> list[str]:
        """Read the list, and choose."""
        from airflow_provider_connectif.api.filters import ExportFilter, select
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.errors import airflow_errors

        with airflow_errors():
            self._check_arguments(rendered=True)
            wanted = ExportFilter.from_arguments(arguments_of(self, _FILTER_ARGUMENTS, rendered=True))
            hook = ConnectifHook(self.connectif_conn_id)
            with hook.get_conn():
                chosen = select(hook.list_exports(), wanted, latest_per=self.latest_per)
        self.log.info("Found %d matching export(s).", len(chosen))
        return [export.id for export in chosen]

    def _check_arguments(self, *, rendered: bool) -> None:
        from airflow_provider_connectif.api.filters import LATEST_PER

        arguments = arguments_of(self, (*_FILTER_ARGUMENTS, "latest_per"), rendered=rendered)
        latest_per = arguments.pop("latest_per")
        check_filter(arguments)
        if latest_per is not None:
            check_one_of("latest_per", latest_per, LATEST_PER)
