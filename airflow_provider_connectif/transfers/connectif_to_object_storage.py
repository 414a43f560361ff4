# SPDX-License-Identifier: Apache-2.0
"""The operator that stores an export's files in object storage."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_connectif.api.argument_checks import check_id
from airflow_provider_connectif.api.errors import ExportFailed, InvalidArgument, WaitTimeout
from airflow_provider_connectif.api.export_request import (
    CreatableType,
    DateFormat,
    Delimiter,
    ExportRequest,
    check_request,
)
from airflow_provider_connectif.links.connectif import ConnectifReportLink, set_report_link
from airflow_provider_connectif.tasks.arguments import (
    REQUEST_ARGUMENTS,
    argument_errors,
    check_exactly_one,
    get_arguments,
    get_request_arguments,
    to_seconds,
)
from airflow_provider_connectif.tasks.column_types import check_timestamps
from airflow_provider_connectif.tasks.destination import (
    check_destination,
    check_fields_of_request,
    path_to_uri,
)
from airflow_provider_connectif.tasks.lineage import add_to_outlet_events, operator_lineage
from airflow_provider_connectif.tasks.progress import ProgressLog
from airflow_provider_connectif.tasks.schema_changes import ColumnCheck
from airflow_provider_connectif.tasks.stores import check_store
from airflow_provider_connectif.tasks.transfer import (
    FileFormat,
    IfExists,
    OnSchemaChange,
    StoreOptions,
    find_stored_export,
    store_export,
)
from airflow_provider_connectif.tasks.waiting import default_deferrable, finished_exports, poll_retry_policy
from airflow_provider_connectif.tasks.writers import announcement_check, manifest_writer

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath, XComArg

    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.models import Export

_REQUEST_DEFAULTS = {"delimiter": ",", "date_format": "ISO"}


class ConnectifExportToObjectStorageOperator(BaseOperator):
    """Store an export's files in a folder of any store that Airflow's ``ObjectStoragePath`` supports.

    With ``export_id``, the task waits until this export is finished, and stores it. With the arguments for creating an
    export instead, it also creates the export, once per task instance. Each file becomes visible only when it is
    complete and verified, and ``_connectif_manifest.json`` when all of them are. A task that runs again finds the
    manifest, and downloads nothing. All arguments that accept a string are templated. The events of assets in
    ``outlets`` have what was stored in their ``extra``.

    :param destination: the URI of a folder. It may contain fields of the export in single braces, such as
        ``{export_id}``, ``{report_id}``, ``{file_name}`` or ``{from_date:%Y-%m}``, with dates in the DAG's time zone.
    :param storage_conn_id: the id of the store's Airflow connection; None uses the credentials of the environment
    :param file_format: ``csv``, ``csv.gz``, ``parquet``, or ``archive`` for Connectif's ZIP file, unchanged.
        ``parquet`` needs the extra ``parquet`` and makes each CSV file a Parquet file, in which every column is text
        unless ``column_types`` declares it.
    :param column_types: only for ``parquet``: the types of columns, such as
        ``{"total": "decimal(18,2)", "createdAt": "timestamp"}``; also ``int64``, ``double``, ``date`` and ``bool``. An
        empty cell in such a column is null. The task fails if a cell does not fit its type, or if no file has a
        declared column.
    :param export_id: the export to store
    :param export_type: the type of the export to create. This and the next eight arguments are those of
        :class:`~airflow_provider_connectif.operators.connectif.ConnectifCreateExportOperator`.
    :param segment_id: only contacts in this segment
    :param from_date: the start
    :param to_date: the end
    :param activity_types: only these types, such as ``["purchase"]``
    :param report_id: the Data Explorer report
    :param delimiter: ``,`` or ``;``
    :param date_format: ``ISO``, ``L``, ``LL`` or ``LLL``
    :param version: the version of the columns, such as ``v5``
    :param if_exists: what to do if the folder holds another export: ``replace`` it, ``skip`` (keep it, and return its
        files), or fail with an ``error``
    :param on_schema_change: what to do if the columns are not those of the last export of the same type, report and
        version that this task, under any map index, stored in another run: ``warn`` in the log, ``fail`` before
        anything is visible, or ``ignore`` it. It has no effect with ``archive``.
    :param deferrable: wait in the triggerer, without a worker slot; None uses Airflow's
        ``[operators] default_deferrable``
    :param poke_interval: seconds between two polls, or a timedelta
    :param timeout: seconds to wait, or a timedelta, counted from when the first attempt starts to wait; None uses
        Airflow's ``[sensors] default_timeout``
    :param skip_event_if_unchanged: create no asset events if the files have the same content as those of the export
        that they replace
    :param max_uncompressed_bytes: fail if the files are larger than this in total; None sets no limit
    :param connectif_conn_id: the id of the Airflow connection to Connectif
    :return: ``export_id``, ``destination``, ``files``, ``manifest``, ``unchanged`` (whether the files have the same
        content as those of the export that they replace) and ``schema_changes``, a list with ``part``, ``added``,
        ``removed``, ``renamed`` and ``moved`` for each file whose columns changed. Each file has ``path``, ``bytes``,
        ``sha256`` and, except for ``archive``, ``rows`` (without the header), ``columns`` (their names, in order) and
        ``part``, which identifies the file within the export: empty for the main file
    """

    template_fields: Sequence[str] = (
        "destination",
        "storage_conn_id",
        "file_format",
        "column_types",
        "export_id",
        *REQUEST_ARGUMENTS,
        "if_exists",
        "on_schema_change",
        "connectif_conn_id",
    )
    operator_extra_links = (ConnectifReportLink(),)
    ui_color = "#e4f0fb"
    _clock = staticmethod(time.time)
    _monotonic = staticmethod(time.monotonic)
    _sleep = staticmethod(time.sleep)

    def __init__(
        self,
        *,
        destination: str | os.PathLike[str] | ObjectStoragePath | XComArg,
        storage_conn_id: str | XComArg | None = None,
        file_format: FileFormat | str | XComArg = "csv",
        column_types: Mapping[str, str | XComArg] | str | XComArg | None = None,
        export_id: str | XComArg | None = None,
        export_type: CreatableType | str | XComArg | None = None,
        segment_id: str | XComArg | None = None,
        from_date: str | date | XComArg | None = None,
        to_date: str | date | XComArg | None = None,
        activity_types: Sequence[str | XComArg] | str | XComArg | None = None,
        report_id: str | XComArg | None = None,
        delimiter: Delimiter | str | XComArg = ",",
        date_format: DateFormat | str | XComArg = "ISO",
        version: str | XComArg | None = None,
        if_exists: IfExists | str | XComArg = "replace",
        on_schema_change: OnSchemaChange | str | XComArg = "warn",
        deferrable: bool | None = None,
        poke_interval: float | timedelta = 60.0,
        timeout: float | timedelta | None = None,
        max_uncompressed_bytes: int | None = None,
        skip_event_if_unchanged: bool = False,
        connectif_conn_id: str | XComArg = "connectif_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = path_to_uri(destination)
        self.storage_conn_id = storage_conn_id
        self.file_format = file_format
        self.column_types = column_types
        self.export_id: Any = export_id
        self.export_type = export_type
        self.segment_id = segment_id
        self.from_date = from_date
        self.to_date = to_date
        self.activity_types = activity_types
        self.report_id: Any = report_id
        self.delimiter = delimiter
        self.date_format = date_format
        self.version = version
        self.if_exists = if_exists
        self.on_schema_change: Any = on_schema_change
        self.deferrable = default_deferrable(deferrable)
        if timeout is None:
            timeout = conf.getfloat("sensors", "default_timeout", fallback=7 * 24 * 3600)
        self.max_uncompressed_bytes = max_uncompressed_bytes
        self.skip_event_if_unchanged = skip_event_if_unchanged
        self.connectif_conn_id: Any = connectif_conn_id
        self._result: dict[str, Any] | None = None
        # For lineage.
        self._export: Export | None = None
        self._api_host: str | None = None
        with argument_errors(self):
            self.poke_interval = to_seconds("poke_interval", poke_interval)
            self.timeout = to_seconds("timeout", timeout)
            self._check_arguments(rendered=False)

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Create the export if needed, wait until it is finished, and store it."""
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.creation import create_export
        from airflow_provider_connectif.tasks.errors import airflow_errors

        with airflow_errors(self):
            self._check_arguments(rendered=True)
            self._options().check_installed()
            request = ExportRequest.of(**get_request_arguments(self)) if self.export_id is None else None
            may_be_stored = True if request is None else self._check_store()
            if may_be_stored and self.if_exists == "skip":
                columns = self._column_check(context)
                stored = find_stored_export(
                    self._options(),
                    writer=manifest_writer(context),
                    log=self.log,
                    export_id=self.export_id,
                    is_announced=announcement_check(context, self.log),
                    check_columns=columns,
                )
                if stored is not None:
                    return self._finish(context, stored, columns)
            with ConnectifHook(self.connectif_conn_id).get_conn() as client:
                export_id = self.export_id if request is None else create_export(context, client, request)
                with self._new_export_on_retry(context):
                    export = client.get_existing_export(export_id)
                    if not export.finished:
                        self._wait(context, export)
                        export = client.get_existing_export(export_id, seen=True)
                    return self._store(context, client, export, look_first=may_be_stored)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None, export_id: str | None = None
    ) -> dict[str, Any]:
        """Store the export after the triggerer has waited for it.

        :param context: the task's context
        :param event: the trigger's event
        :param export_id: the id of the export
        """
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.errors import airflow_errors

        with (
            airflow_errors(self),
            ConnectifHook(self.connectif_conn_id).get_conn() as client,
            self._new_export_on_retry(context),
        ):
            timeout: WaitTimeout | None = None
            try:
                export_id = finished_exports(event, self.timeout)[0]
            except WaitTimeout as error:
                timeout = error
                # `airflow dags test` passes only the event.
                export_id = export_id or (event or {})["export_ids"][0]
            export = client.get_existing_export(str(export_id), seen=True)
            if export.failed:
                raise ExportFailed(export.id, export.status)
            # An export that finished just before the timeout is a success, as it is if the task itself waits.
            if timeout is not None and not export.finished:
                raise timeout
            return self._store(context, client, export)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the export and the folder as input and output for OpenLineage, if Airflow's provider for it exists.

        :param task_instance: the task instance, which has succeeded
        """
        return operator_lineage(self._result, self._export, self._api_host)

    def _wait(self, context: Context, export: Export) -> None:
        """Wait until the export is finished, or defer, which ends this process."""
        from airflow_provider_connectif.api.polling.wait import ExportWait
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.state_store import get_wait_deadline

        if export.failed:
            raise ExportFailed(export.id, export.status)
        if self.export_id is not None:
            self._check_store()
        deadline = get_wait_deadline(context, self.timeout, clock=self._clock)
        if self.deferrable:
            from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger

            self.log.info("Export %s: %s. Waiting for it in the triggerer.", export.id, export.describe_progress())
            # Without defer(timeout=…), which would fail the task without resuming it.
            self.defer(
                trigger=ConnectifExportTrigger(
                    self.connectif_conn_id,
                    export_ids=[export.id],
                    poke_interval=self.poke_interval,
                    deadline=deadline,
                ),
                method_name="execute_complete",
                kwargs={"export_id": export.id},
            )
        wait = ExportWait(
            [export.id],
            timeout=self.timeout,
            deadline=deadline,
            resumed=True,
            log=self.log,
            clock=self._clock,
            monotonic=self._monotonic,
        )
        with ConnectifHook(self.connectif_conn_id).open_client(retry_policy=poll_retry_policy()) as client:
            wait.run(client, itertools.repeat(self.poke_interval), sleep=self._sleep)

    def _new_export_on_retry(self, context: Context) -> AbstractContextManager[None]:
        from airflow_provider_connectif.tasks.creation import new_export_on_retry

        return nullcontext() if self.export_id is not None else new_export_on_retry(context)

    def _store(
        self, context: Context, client: ConnectifClient, export: Export, *, look_first: bool = True
    ) -> dict[str, Any]:
        set_report_link(self, export.report_id)
        self._export, self._api_host = export, client.host
        columns = self._column_check(context)
        result = store_export(
            client,
            export,
            self._options(),
            writer=manifest_writer(context),
            on_progress=ProgressLog(self.log.info),
            log=self.log,
            dag=context.get("dag"),
            look_first=look_first,
            is_announced=announcement_check(context, self.log),
            check_columns=columns,
        )
        return self._finish(context, result, columns, export)

    def _column_check(self, context: Context) -> ColumnCheck:
        return ColumnCheck(context, self.on_schema_change, self.log)

    def _finish(
        self, context: Context, result: dict[str, Any], columns: ColumnCheck, export: Export | None = None
    ) -> dict[str, Any]:
        from airflow_provider_connectif.tasks.creation import mark_succeeded

        columns.remember()
        if self.export_id is None:
            mark_succeeded(context)
        if self.skip_event_if_unchanged and result["unchanged"]:
            self.log.info("The content of the files has not changed; no asset events are created.")
            # Airflow creates an event for each asset that is in the outlets when the task has succeeded.
            self.outlets = []
        add_to_outlet_events(self, context, result, export)
        self._result = result
        return result

    def _check_store(self) -> bool:
        options = self._options()
        return check_store(options.destination, options.storage_conn_id)

    def _options(self, *, rendered: bool = True) -> StoreOptions:
        names = [field.name for field in dataclasses.fields(StoreOptions) if field.name != "destination"]
        # The destination's own check supports templates.
        return StoreOptions(path_to_uri(self.destination), **get_arguments(self, names, rendered=rendered))

    def _check_arguments(self, *, rendered: bool) -> None:
        options = self._options(rendered=rendered)
        options.check()
        request = get_request_arguments(self, rendered=rendered)
        export_id = get_arguments(self, ["export_id"], rendered=rendered)["export_id"]
        check_exactly_one({"export_id": export_id, "export_type": request["export_type"]})
        if export_id is None:
            check_request(request)
            check_timestamps(options.column_types, request["date_format"])
            check_fields_of_request(check_destination(options.destination), request)
            return
        check_id("export_id", export_id, source="pass the id of one export")
        for name, value in request.items():
            if value != _REQUEST_DEFAULTS.get(name):
                raise InvalidArgument(name, "is only for creating an export, and cannot be combined with export_id.")
