# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits until exports are finished."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_connectif.api.argument_checks import UNKNOWN, check_id
from airflow_provider_connectif.api.errors import InvalidArgument, WaitTimeout
from airflow_provider_connectif.tasks.arguments import (
    FILTER_ARGUMENTS,
    Origin,
    argument_errors,
    check_exactly_one,
    check_filter,
    get_arguments,
)
from airflow_provider_connectif.tasks.waiting import default_deferrable, finished_exports, poll_retry_policy

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_connectif.api.polling.wait import ExportWait


# Seconds between two requests while the API denies that an export exists, if a rescheduled task waits for it.
_REFUSED_POKE_INTERVAL = 5.0


class ConnectifExportSensor(BaseSensorOperator):
    """Waits until exports are finished, and returns the id, or the list of ids, in the order given.

    Pass either ``export_id``, or a description of an export that is created elsewhere, for instance in the Connectif
    application: then the sensor waits for the newest export that matches. The task fails immediately if an export has
    failed. ``timeout`` is counted from the time at which the first attempt starts to wait, through deferrals,
    reschedules and retries, in every mode. Every argument is templated.

    :param export_id: one id, or a list of ids
    :param export_type: match exports of this type, such as ``data-explorer``
    :param created_after: match exports created after this date-time, which has a time zone
    :param origin: match exports created in the application (``app``) or through the API (``api``)
    :param report_id: match exports of this Data Explorer report
    :param segment_id: match exports of this segment
    :param deferrable: whether to wait in the triggerer, without a worker slot; None for Airflow's
        ``[operators] default_deferrable``
    :param connectif_conn_id: the id of the Airflow connection
    """

    template_fields: Sequence[str] = ("export_id", *FILTER_ARGUMENTS, "connectif_conn_id")
    ui_color = "#e4f0fb"
    _clock = staticmethod(time.time)
    _monotonic = staticmethod(time.monotonic)
    _sleep = staticmethod(time.sleep)

    def __init__(
        self,
        *,
        export_id: str | Sequence[str | XComArg] | XComArg | None = None,
        export_type: str | XComArg | None = None,
        created_after: str | datetime | XComArg | None = None,
        origin: Origin | str | XComArg | None = None,
        report_id: str | XComArg | None = None,
        segment_id: str | XComArg | None = None,
        deferrable: bool | None = None,
        connectif_conn_id: str | XComArg = "connectif_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.export_id: Any = export_id
        self.export_type = export_type
        self.created_after = created_after
        self.origin = origin
        self.report_id: Any = report_id
        self.segment_id = segment_id
        self.deferrable = default_deferrable(deferrable)
        self.connectif_conn_id: Any = connectif_conn_id
        self._export_wait: ExportWait | None = None
        with argument_errors(self):
            self._check_arguments(rendered=False)

    def execute(self, context: Context) -> Any:
        """Wait in the worker or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        try:
            result = self.poke(context)
        except AirflowSkipException:
            raise
        # As BaseSensorOperator does when it pokes.
        except Exception as error:
            is_final = isinstance(error, (AirflowSensorTimeout, AirflowFailException))
            if self.never_fail or (self.soft_fail and is_final):
                raise AirflowSkipException(f"Skipped instead of failed: {error}") from None
            if is_final or not self.silent_fail:
                raise
            self.log.error("The first poke failed: %s", error)
            result = PokeReturnValue(False)
        if result:
            return result.xcom_value
        self._defer(context)
        return None

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once.

        :raises AirflowSensorTimeout: if the exports are not finished, and the deadline has passed
        :raises AirflowFailException: if an export failed or does not exist, or the API refuses the request
        """
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.errors import airflow_errors

        with airflow_errors(self):
            if self._export_wait is None:
                self._export_wait = self._new_wait(context, resumed=bool(context.get("task_reschedule_count")))
            with ConnectifHook(self.connectif_conn_id).open_client(retry_policy=poll_retry_policy()) as client:
                while not self._export_wait.poll(client):
                    # The next poke of a rescheduled task would not know since when the API has been refusing.
                    if not (self.reschedule and self._export_wait.refused):
                        return PokeReturnValue(False)
                    self._sleep(_REFUSED_POKE_INTERVAL)
        return PokeReturnValue(True, self._xcom_value(self._export_wait.result))

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """Resume after the trigger has fired."""
        try:
            return self._complete(context, event)
        except AirflowException as error:
            # Airflow 3.0 ignores never_fail after a deferral.
            if self.never_fail:
                raise AirflowSkipException(f"Skipped instead of failed: {error}") from None
            raise

    def _complete(self, context: Context, event: Mapping[str, Any] | None) -> Any:
        from airflow_provider_connectif.tasks.errors import airflow_errors

        with airflow_errors(self):
            self._export_wait = self._new_wait(context, resumed=True)
            try:
                finished = finished_exports(event, self.timeout)
            except WaitTimeout:
                # As in the other modes, an export that finished just before the deadline is a success.
                result = self.poke(context)
                if not result:
                    raise
                return result.xcom_value
        return self._xcom_value(finished)

    def _defer(self, context: Context) -> None:
        from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger

        export_wait = self._export_wait or self._new_wait(context)
        export_filter = export_wait.export_filter
        # No defer(timeout=…): Airflow would fail the task without calling this class.
        self.defer(
            trigger=ConnectifExportTrigger(
                self.connectif_conn_id,
                export_ids=export_wait.export_ids if export_filter is None else None,
                match=export_filter.as_arguments() if export_filter is not None else None,
                poke_interval=self.poke_interval,
                deadline=export_wait.deadline,
            ),
            method_name="execute_complete",
        )

    def _new_wait(self, context: Context, *, resumed: bool = False) -> ExportWait:
        """Return the wait for the rendered arguments, which are checked again.

        :param resumed: whether an earlier process has polled before
        :raises InvalidArgument: if an argument is wrong
        """
        from airflow_provider_connectif.api.filters import ExportFilter
        from airflow_provider_connectif.api.polling.wait import ExportWait
        from airflow_provider_connectif.tasks.state_store import get_wait_deadline

        self._check_arguments(rendered=True)
        arguments = get_arguments(self, FILTER_ARGUMENTS, rendered=True)
        return ExportWait(
            self._ids(),
            ExportFilter.from_arguments(arguments) if self.export_id is None else None,
            timeout=self.timeout,
            deadline=get_wait_deadline(context, self.timeout, clock=self._clock),
            resumed=resumed,
            log=self.log,
            clock=self._clock,
            monotonic=self._monotonic,
        )

    def _ids(self) -> list[str]:
        return [self.export_id] if isinstance(self.export_id, str) else list(self.export_id or ())

    def _xcom_value(self, finished: list[str]) -> Any:
        """Return one id if one id or a description was given; otherwise the list as given, with repeated ids."""
        if self.export_id is None or isinstance(self.export_id, str):
            return finished[0]
        return self._ids()

    def _check_arguments(self, *, rendered: bool) -> None:
        arguments = get_arguments(self, ("export_id", *FILTER_ARGUMENTS), rendered=rendered)
        export_id = arguments.pop("export_id")
        given = [name for name, value in arguments.items() if value is not None]
        check_exactly_one({"export_id": export_id, "a filter": given or None})
        if export_id is not None and export_id is not UNKNOWN:
            _check_ids(export_id)
        check_filter(arguments)


def _check_ids(export_id: object) -> None:
    source = "pass the id of an export, or a list of ids"
    if isinstance(export_id, (str, bytes, Mapping)) or not isinstance(export_id, Iterable):
        check_id("export_id", export_id, source=source)
        return
    ids = list(export_id)
    if not ids:
        raise InvalidArgument("export_id", "the list is empty; pass at least one id.")
    for each in ids:
        check_id("export_id", each, source=source)
