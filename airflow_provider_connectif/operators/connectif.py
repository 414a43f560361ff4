# SPDX-License-Identifier: Apache-2.0
"""The operators that create exports and list exports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_connectif.api.argument_checks import check_one_of
from airflow_provider_connectif.api.export_request import (
    CreatableType,
    DateFormat,
    Delimiter,
    ExportRequest,
    check_request,
)
from airflow_provider_connectif.links.connectif import ConnectifReportLink, set_report_link
from airflow_provider_connectif.tasks.arguments import (
    FILTER_ARGUMENTS,
    REQUEST_ARGUMENTS,
    LatestPer,
    Origin,
    Status,
    argument_errors,
    check_filter,
    get_arguments,
    get_request_arguments,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

_FILTER_ARGUMENTS = (*FILTER_ARGUMENTS, "status", "finished_after")


class ConnectifCreateExportOperator(BaseOperator):
    """Create an export in Connectif, once per task instance, and return its id.

    This operator does not wait until the export is finished; use
    :class:`~airflow_provider_connectif.sensors.connectif.ConnectifExportSensor` for that. With Airflow 3.3 and later,
    retries, killed workers and lost responses do not create another export. A task that is cleared after it succeeded
    does. All arguments are templated.

    :param export_type: ``contacts``, ``activities`` or ``data-explorer``
    :param segment_id: only contacts in this segment (contacts and activities)
    :param from_date: the start: for activities a date-time with a time zone, such as
        ``"{{ data_interval_start.isoformat() }}"``; for Data Explorer a date in the account's time zone, such as
        ``"{{ data_interval_start.in_timezone('Europe/Madrid').to_date_string() }}"``. In a partitioned run, use
        ``partition_date`` instead of ``data_interval_start``.
    :param to_date: the end, in the same form, at most 31 days later; exclusive for activities, inclusive for Data
        Explorer
    :param activity_types: only these types, such as ``["purchase", "login"]``; None exports all types (activities)
    :param report_id: the Data Explorer report
    :param delimiter: ``,`` or ``;``
    :param date_format: ``ISO``, ``L``, ``LL`` or ``LLL`` (contacts and activities)
    :param version: the version of the columns, such as ``v5``; None uses Connectif's default, ``v1`` (contacts and
        activities)
    :param connectif_conn_id: the id of the Airflow connection
    """

    template_fields: Sequence[str] = (*REQUEST_ARGUMENTS, "connectif_conn_id")
    operator_extra_links = (ConnectifReportLink(),)
    ui_color = "#e4f0fb"

    def __init__(
        self,
        *,
        export_type: CreatableType | str | XComArg,
        segment_id: str | XComArg | None = None,
        from_date: str | date | XComArg | None = None,
        to_date: str | date | XComArg | None = None,
        activity_types: Sequence[str | XComArg] | str | XComArg | None = None,
        report_id: str | XComArg | None = None,
        delimiter: Delimiter | str | XComArg = ",",
        date_format: DateFormat | str | XComArg = "ISO",
        version: str | XComArg | None = None,
        connectif_conn_id: str | XComArg = "connectif_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.export_type = export_type
        self.segment_id = segment_id
        self.from_date = from_date
        self.to_date = to_date
        self.activity_types = activity_types
        self.report_id: Any = report_id
        self.delimiter = delimiter
        self.date_format = date_format
        self.version = version
        self.connectif_conn_id: Any = connectif_conn_id
        with argument_errors(self):
            check_request(get_request_arguments(self, rendered=False))

    def execute(self, context: Context) -> str:
        """Create the export, or find the one that an earlier attempt created."""
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.creation import create_export, mark_succeeded
        from airflow_provider_connectif.tasks.errors import airflow_errors

        with airflow_errors(self):
            request = ExportRequest.of(**get_request_arguments(self))
            with ConnectifHook(self.connectif_conn_id).get_conn() as client:
                export_id = create_export(context, client, request)
            mark_succeeded(context)
        set_report_link(self, self.report_id)
        return export_id


class ConnectifListExportsOperator(BaseOperator):
    """Return the ids of the account's matching exports, for ``.expand(export_id=…)``.

    The exports may have been created through the API or in the application. All pages of the list are read, one after
    the other. If no export matches, the list is empty, and Airflow skips the tasks that are mapped over it. Date-times
    are ISO 8601 strings with a time zone, such as ``"{{ data_interval_start.isoformat() }}"``, or aware datetimes. All
    arguments are templated.

    :param export_type: only exports of this type, such as ``data-explorer``
    :param status: only exports with this status; None returns exports with any status
    :param origin: only exports created in the application (``app``) or through the API (``api``)
    :param report_id: only exports of this Data Explorer report
    :param segment_id: only exports of this segment
    :param created_after: only exports created after this date-time
    :param finished_after: only exports that finished after this date-time
    :param latest_per: return only the newest matching export for each ``report_id``, ``export_type`` or ``file_name``
        (the file's whole name, without the extension, dates and identifier that Connectif appends), and all exports
        that have none; None returns all matching exports
    :param connectif_conn_id: the id of the Airflow connection
    :return: the ids, in the order in which the exports were created
    """

    template_fields: Sequence[str] = (*_FILTER_ARGUMENTS, "latest_per", "connectif_conn_id")
    ui_color = "#e4f0fb"

    def __init__(
        self,
        *,
        export_type: str | XComArg | None = None,
        status: Status | str | XComArg | None = "finished",
        origin: Origin | str | XComArg | None = None,
        report_id: str | XComArg | None = None,
        segment_id: str | XComArg | None = None,
        created_after: str | datetime | XComArg | None = None,
        finished_after: str | datetime | XComArg | None = None,
        latest_per: LatestPer | str | XComArg | None = None,
        connectif_conn_id: str | XComArg = "connectif_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.export_type = export_type
        self.status = status
        self.origin = origin
        self.report_id: Any = report_id
        self.segment_id = segment_id
        self.created_after = created_after
        self.finished_after = finished_after
        self.latest_per: Any = latest_per
        self.connectif_conn_id: Any = connectif_conn_id
        with argument_errors(self):
            self._check_arguments(rendered=False)

    def execute(self, context: Context) -> list[str]:
        """Read the list, and return the matching exports' ids."""
        from airflow_provider_connectif.api.filters import ExportFilter, select
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.errors import airflow_errors

        with airflow_errors(self):
            self._check_arguments(rendered=True)
            export_filter = ExportFilter.from_arguments(get_arguments(self, _FILTER_ARGUMENTS, rendered=True))
            with ConnectifHook(self.connectif_conn_id).get_conn() as client:
                exports = select(client.list_exports(), export_filter, latest_per=self.latest_per)
        self.log.info("Found %d matching export(s).", len(exports))
        return [export.id for export in exports]

    def _check_arguments(self, *, rendered: bool) -> None:
        from airflow_provider_connectif.api.filters import LATEST_PER

        arguments = get_arguments(self, (*_FILTER_ARGUMENTS, "latest_per"), rendered=rendered)
        latest_per = arguments.pop("latest_per")
        check_filter(arguments)
        if latest_per is not None:
            check_one_of("latest_per", latest_per, LATEST_PER)
