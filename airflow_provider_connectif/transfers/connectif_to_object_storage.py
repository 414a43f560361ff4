# SPDX-License-Identifier: Apache-2.0
"""The operator that brings an export's files into object storage."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator, conf

from airflow_provider_connectif.api.argument_checks import UNKNOWN, check_one_of
from airflow_provider_connectif.api.errors import ExportFailed, InvalidArgument, NotFound, WaitTimeout
from airflow_provider_connectif.api.export_request import ExportRequest, check_request
from airflow_provider_connectif.links.connectif import ConnectifReportLink, set_report_link
from airflow_provider_connectif.tasks.arguments import (
    REQUEST_ARGUMENTS,
    arguments_of,
    check,
    check_exactly_one,
    request_arguments,
)
from airflow_provider_connectif.tasks.destination import check_destination
from airflow_provider_connectif.tasks.lineage import add_to_outlet_events, operator_lineage
from airflow_provider_connectif.tasks.progress import ProgressLog
from airflow_provider_connectif.tasks.transfer import (
    FILE_FORMATS,
    IF_EXISTS,
    StoreOptions,
    find_stored_export,
    manifest_writer,
    store_export,
)
from airflow_provider_connectif.tasks.waiting import default_deferrable, finished_exports, poll_retry_policy

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.models import Export

_CREATING_DEFAULTS = {"delimiter": ",", "date_format": "ISO"}


class ConnectifExportToObjectStorageOperator(BaseOperator):
    """Brings an export's files into a folder of any store that Airflow's ``ObjectStoragePath`` knows.

    Give ``export_id``; or else the arguments that an export is created with, and the whole job is this one task: it
    creates the export (once, whatever dies), waits for it and stores its files. An object appears when it is whole and
    checked, and ``_connectif_manifest.json`` when all are there. A task that runs again finds the manifest and
    downloads nothing twice. Every argument that takes a string is templated. The events of assets in ``outlets`` say
    in their ``extra`` what was stored.

    :param destination: the URI of a folder. It may name fields of the export in single braces, such as
        ``{export_id}``, ``{report_id}``, ``{file_name}`` or ``{from_date:%Y-%m}``, dates in the DAG's time zone.
    :param storage_conn_id: the id of the store's Airflow connection.
    :param file_format: ``csv``; ``csv.gz``; or ``archive``, the vendor's ZIP byte for byte.
    :param export_id: the export to store. It is waited for, should it not be finished.
    :param export_type: as for
        :class:`~airflow_provider_connectif.operators.connectif.ConnectifCreateExportOperator`, like the next eight.
    :param segment_id: only contacts in this segment.
    :param from_date: beginning.
    :param to_date: end.
    :param activity_types: such as ``["purchase"]``.
    :param report_id: the Data Explorer report.
    :param delimiter: ``,`` or ``;``.
    :param date_format: ``ISO``, ``L``, ``LL`` or ``LLL``.
    :param version: of the columns, such as ``v5``.
    :param if_exists: what to do where the folder holds another export: ``replace`` it; ``skip``, leave it and return
        its manifest's result; ``error``, fail.
    :param deferrable: wait in the triggerer, without a worker slot; None for Airflow's
        ``[operators] default_deferrable``.
    :param poke_interval: seconds between two looks, or a timedelta.
    :param timeout: seconds to wait, or a timedelta, from the first try's start of waiting; None for Airflow's
        ``[sensors] default_timeout``.
    :param max_uncompressed_bytes: fail where the files would take more than this; None for no bound.
    :param connectif_conn_id: the id of the Airflow connection.
    :return: ``export_id``, ``destination``, ``files`` (each with ``path``, ``bytes`` and ``sha256``), ``manifest``.
    """

    template_fields: Sequence[str] = (
        "destination",
        "storage_conn_id",
        "file_format",
        "export_id",
        *REQUEST_ARGUMENTS,
        "if_exists",
        "connectif_conn_id",
    )
    operator_extra_links = (ConnectifReportLink(),)
    ui_color = "#e4f0fb"
    _clock = staticmethod(time.time)
    _sleep = staticmethod(time.sleep)

    def __init__(
        self,
        *,
        destination: str,
        storage_conn_id: str | None = None,
        file_format: str = "csv",
        export_id: str | None = None,
        export_type: str | None = None,
        segment_id: str | None = None,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        activity_types: Sequence[str] | None = None,
        report_id: str | None = None,
        delimiter: str = ",",
        date_format: str = "ISO",
        version: str | None = None,
        if_exists: str = "replace",
        deferrable: bool | None = None,
        poke_interval: float | timedelta = 60.0,
        timeout: float | timedelta | None = None,
        max_uncompressed_bytes: int | None = None,
        connectif_conn_id: str = "connectif_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.storage_conn_id = storage_conn_id
        self.file_format = file_format
        self.export_id = export_id
        self.export_type = export_type
        self.segment_id = segment_id
        self.from_date = from_date
        self.to_date = to_date
        self.activity_types = activity_types
        self.report_id = report_id
        self.delimiter = delimiter
        self.date_format = date_format
        self.version = version
        self.if_exists = if_exists
        self.deferrable = default_deferrable(deferrable)
        self.poke_interval = check(_seconds, "poke_interval", poke_interval)
        if timeout is None:
            timeout = conf.getfloat("sensors", "default_timeout", fallback=7 * 24 * 3600)
        self.timeout = check(_seconds, "timeout", timeout)
        self.max_uncompressed_bytes = max_uncompressed_bytes
        self.connectif_conn_id = connectif_conn_id
        self._stored: dict[str, Any] | None = None
        check(self._check_arguments, rendered=False)

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Create where there is something to create, wait where there is something to wait for, and store."""
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.errors import airflow_errors

        with airflow_errors():
            self._check_arguments(rendered=True)
            if self.if_exists == "skip" and (result := self._stored_already(context)) is not None:
                return result
            with ConnectifHook(self.connectif_conn_id).get_conn() as client:
                export_id = self._export_to_store(context, client)
                with self._fate_of_own_export(context):
                    export = client.get_export(export_id)
                    if not export.finished:
                        self._wait(context, export)
                        export = client.get_export(export_id)
                    return self._store(context, client, export)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None, export_id: str | None = None
    ) -> dict[str, Any]:
        """Go on after the triggerer has waited.

        :param context: the task's context.
        :param event: the trigger's.
        :param export_id: what it has waited for.
        """
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.errors import airflow_errors

        with (
            airflow_errors(),
            ConnectifHook(self.connectif_conn_id).get_conn() as client,
            self._fate_of_own_export(context),
        ):
            timeout: WaitTimeout | None = None
            try:
                export_id = finished_exports(event, self.timeout)[0]
            except WaitTimeout as error:
                timeout = error
                # `airflow dags test` passes only the event.
                export_id = export_id or (event or {})["export_ids"][0]
            export = client.get_export(str(export_id))
            if export.failed:
                raise ExportFailed(export.id, export.status)
            # One that finished just before the end is a success, as where the task itself waits.
            if timeout is not None and not export.finished:
                raise timeout
            return self._store(context, client, export)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage, where its provider is installed, of the folder that was written.

        :param task_instance: this task's, which has succeeded.
        """
        return operator_lineage(self._stored)

    def _stored_already(self, context: Context) -> dict[str, Any] | None:
        result = find_stored_export(self._options, writer=manifest_writer(context), log=self.log)
        if result is not None:
            self._mark_done(context)
            self._tell(context, result)
        return result

    def _export_to_store(self, context: Context, client: ConnectifClient) -> str:
        """Give the id of the export: the author's, or that of the one that this task has created, or now creates."""
        from airflow_provider_connectif.api.creation import create_once
        from airflow_provider_connectif.tasks.state_store import get_creation_record, get_generation

        if self.export_id is not None:
            return self.export_id
        request = ExportRequest.of(**request_arguments(self))
        return create_once(client, request, get_creation_record(context), generation=get_generation(context))

    def _wait(self, context: Context, export: Export) -> None:
        """Wait here until it is finished; or else defer, which ends this process's part."""
        from airflow_provider_connectif.tasks.state_store import get_wait_deadline

        if export.failed:
            raise ExportFailed(export.id, export.status)
        deadline = get_wait_deadline(context, self.timeout, clock=self._clock)
        if self.deferrable:
            from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger

            self.log.info("Export %s: %s. Waiting for it in the triggerer.", export.id, export.describe_progress())
            # Without defer(timeout=…): that fails the task without asking this class.
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
        self._wait_here(export, deadline)

    def _wait_here(self, export: Export, deadline: float) -> None:
        from airflow_provider_connectif.api.polling.wait import ExportWait
        from airflow_provider_connectif.hooks.connectif import ConnectifHook

        export_wait = ExportWait(
            [export.id], timeout=self.timeout, deadline=deadline, resumed=True, log=self.log, clock=self._clock
        )
        with ConnectifHook(self.connectif_conn_id).open_client(patience=poll_retry_policy()) as client:
            export_wait.run(client, itertools.repeat(self.poke_interval), sleep=self._sleep)

    @contextmanager
    def _fate_of_own_export(self, context: Context) -> Iterator[None]:
        """Make an ordinary failure of it where an export of this task's own has failed or is gone.

        The next try, if the author allows one, asks for a new one.
        """
        try:
            yield
        except (ExportFailed, NotFound) as problem:
            if self.export_id is not None:
                raise
            self._forget(context)
            raise AirflowException(str(problem)) from None

    def _forget(self, context: Context) -> None:
        from airflow_provider_connectif.tasks.state_store import get_record

        get_record(context).drop()

    def _mark_done(self, context: Context) -> None:
        from airflow_provider_connectif.api.creation import mark_done
        from airflow_provider_connectif.tasks.state_store import get_generation, get_record

        if self.export_id is None:
            mark_done(get_record(context), get_generation(context))

    def _store(self, context: Context, client: ConnectifClient, export: Export) -> dict[str, Any]:
        set_report_link(self, export.report_id)
        result = store_export(
            client,
            export,
            self._options,
            writer=manifest_writer(context),
            on_progress=ProgressLog(self.log.info),
            log=self.log,
            zone=getattr(context.get("dag"), "timezone", None) or timezone.utc,
        )
        self._mark_done(context)
        self._tell(context, result, export)
        return result

    @property
    def _options(self) -> StoreOptions:
        return StoreOptions(
            destination=self.destination,
            storage_conn_id=self.storage_conn_id,
            file_format=self.file_format,
            if_exists=self.if_exists,
            max_uncompressed_bytes=self.max_uncompressed_bytes,
        )

    def _tell(self, context: Context, result: dict[str, Any], export: Export | None = None) -> None:
        self._stored = result
        add_to_outlet_events(self, context, result, export)

    def _check_arguments(self, *, rendered: bool) -> None:
        arguments = arguments_of(self, ("export_id", "file_format", "if_exists"), rendered=rendered)
        export_id = arguments["export_id"]
        check_destination(self.destination)
        check_exactly_one({"export_id": self.export_id, "export_type": self.export_type})
        check_one_of("file_format", arguments["file_format"], FILE_FORMATS)
        check_one_of("if_exists", arguments["if_exists"], IF_EXISTS)
        bound = self.max_uncompressed_bytes
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int) or bound <= 0):
            raise InvalidArgument("max_uncompressed_bytes", f"{bound!r} is no number of bytes; write one, or None.")
        if export_id is None:
            check_request(request_arguments(self, rendered=rendered))
            return
        if export_id is not UNKNOWN and (not isinstance(export_id, str) or not export_id.strip()):
            raise InvalidArgument(
                "export_id", f"{export_id!r} is not the id of an export; for many, use .expand(export_id=…)."
            )
        for name, value in request_arguments(self).items():
            if value != _CREATING_DEFAULTS.get(name):
                raise InvalidArgument(name, "belongs to creating an export, and export_id names one that exists.")


def _seconds(name: str, value: float | timedelta) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
        raise InvalidArgument(name, f"{value!r} is no number of seconds, nor a timedelta; none may be negative.")
    return float(seconds)
