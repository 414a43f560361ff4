# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits until exports are finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.export_request import nothing_is_unknown
from airflow_provider_connectif.tasks.arguments import (
    FILTER_ARGUMENTS,
    check,
    check_exactly_one,
    check_match,
    is_unknown,
)
from airflow_provider_connectif.tasks.waiting import (
    default_deferrable,
    looking_patience,
    result_of,
    timed_out,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_connectif.api.polling.wait import Watch


class ConnectifExportSensor(BaseSensorOperator):
    """Waits until exports are finished, and returns the id, or the list of ids, in the order given.

    Give ``export_id``, or describe an export that somebody else makes, in the Connectif application for instance:
    then the newest one that fits is waited for. An export that failed fails the task at once. ``timeout`` is counted
    from the first try's start of waiting, through deferrals, reschedules and retries, the same in every mode. Every
    argument is templated.

    :param export_id: one id, or a list of ids.
    :param export_type: match: its type, such as ``data-explorer``.
    :param created_after: match: only exports made after this moment, with a zone.
    :param origin: match: ``app`` for exports made in the application, ``api`` for those made through the API.
    :param report_id: match: the Data Explorer report.
    :param segment_id: match: the segment.
    :param deferrable: wait in the triggerer, without a worker slot; None for Airflow's
        ``[operators] default_deferrable``.
    :param connectif_conn_id: the id of the Airflow connection.
    """

    template_fields: Sequence[str] = ("export_id", *FILTER_ARGUMENTS, "connectif_conn_id")
    ui_color = "#e4f0fb"

    def __init__(
        self,
        *,
        export_id: str | Sequence[str] | None = None,
        export_type: str | None = None,
        created_after: str | datetime | None = None,
        origin: str | None = None,
        report_id: str | None = None,
        segment_id: str | None = None,
        deferrable: bool | None = None,
        connectif_conn_id: str = "connectif_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.export_id = export_id
        self.export_type = export_type
        self.created_after = created_after
        self.origin = origin
        self.report_id = report_id
        self.segment_id = segment_id
        self.deferrable = default_deferrable(deferrable)
        self.connectif_conn_id = connectif_conn_id
        self._watch: Watch | None = None
        check(self._check_arguments, is_unknown)

    def execute(self, context: Context) -> Any:
        """Wait, here or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        try:
            found = self.poke(context)
        except AirflowSkipException:
            raise
        # As BaseSensorOperator does it for a poke of its own.
        except Exception as problem:
            clear = isinstance(problem, (AirflowSensorTimeout, AirflowFailException))
            if self.never_fail or (self.soft_fail and clear):
                raise AirflowSkipException(f"Skipped in place of failing: {problem}") from None
            if clear or not self.silent_fail:
                raise
            self.log.error("The first look failed: %s", problem)
            found = PokeReturnValue(False)
        if found:
            return found.xcom_value
        self._defer(context)
        return None

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once.

        :raises AirflowSensorTimeout: where the time is over.
        :raises AirflowFailException: where an export failed or does not exist, or the API says a clear no.
        """
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.errors import airflow_errors
        from airflow_provider_connectif.tasks.state_store import get_wait_deadline

        deadline = get_wait_deadline(context, self.timeout)
        with airflow_errors():
            if self._watch is None:
                self._watch = self._make_watch(begun=bool(context.get("task_reschedule_count")))
            watch = self._watch
            hook = ConnectifHook(self.connectif_conn_id)
            with hook.open_client(patience=looking_patience()) as client:
                over = watch.look(client)
        if over:
            return PokeReturnValue(True, self._value_of(watch.result))
        if time.time() >= deadline:
            raise timed_out(watch.describe(), self.timeout)
        return PokeReturnValue(False)

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """Go on after the triggerer has waited."""
        try:
            return self._complete(context, event)
        except AirflowException as problem:
            # Airflow 3.0 forgets it after a deferral.
            if self.never_fail:
                raise AirflowSkipException(f"Skipped in place of failing: {problem}") from None
            raise

    def _complete(self, context: Context, event: Mapping[str, Any] | None) -> Any:
        from airflow_provider_connectif.tasks.errors import airflow_errors

        with airflow_errors():
            self._watch = watch = self._make_watch(begun=True)
        try:
            found = result_of(event, self.timeout)
        except AirflowSensorTimeout:
            # As in the other modes: an export that finished just before the end is a success.
            if self.poke(context):
                return self._value_of(watch.result)
            raise
        return self._value_of(found)

    def _defer(self, context: Context) -> None:
        from airflow_provider_connectif.tasks.state_store import get_wait_deadline
        from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger

        watch = self._watch or self._make_watch()
        # Without defer(timeout=…): that fails the task without asking this class.
        self.defer(
            trigger=ConnectifExportTrigger(
                self.connectif_conn_id,
                export_ids=watch.export_ids if watch.match is None else None,
                match=watch.match.as_arguments() if watch.match is not None else None,
                poke_interval=self.poke_interval,
                deadline=get_wait_deadline(context, self.timeout),
            ),
            method_name="execute_complete",
        )

    def _make_watch(self, *, begun: bool = False) -> Watch:
        """Make the watch of the arguments as they are rendered, checked anew.

        :param begun: whether an earlier process has looked already.
        :raises InvalidArgument: where they turn out to be wrong.
        """
        from airflow_provider_connectif.api.filters import ExportFilter
        from airflow_provider_connectif.api.polling.wait import Watch

        self._check_arguments(nothing_is_unknown)
        if self.export_id is None:
            return Watch(match=ExportFilter.from_arguments(self._match_arguments()), log=self.log, begun=begun)
        return Watch(self._ids(), log=self.log, begun=begun)

    def _ids(self) -> list[str]:
        return [self.export_id] if isinstance(self.export_id, str) else list(self.export_id or ())

    def _match_arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in FILTER_ARGUMENTS}

    def _value_of(self, finished: list[str]) -> Any:
        """Give one id for one id or a match; else the list as it was given, repeated ids included."""
        if self.export_id is None or isinstance(self.export_id, str):
            return finished[0]
        return self._ids()

    def _check_arguments(self, unknown: Callable[[object], bool]) -> None:
        match = self._match_arguments()
        given = [name for name, value in match.items() if value is not None]
        check_exactly_one({"export_id": self.export_id, "a match": given or None})
        if self.export_id is not None and not unknown(self.export_id):
            self._check_ids(unknown)
        check_match(match, unknown)

    def _check_ids(self, unknown: Callable[[object], bool]) -> None:
        right = "write the id of an export, or a list of ids."
        if isinstance(self.export_id, (bytes, Mapping)) or not isinstance(self.export_id, Iterable):
            raise InvalidArgument("export_id", f"{self.export_id!r} is no id; {right}")
        ids = self._ids()
        if not ids:
            raise InvalidArgument("export_id", "is an empty list: there is nothing to wait for.")
        for export_id in ids:
            if not unknown(export_id) and (not isinstance(export_id, str) or not export_id.strip()):
                raise InvalidArgument("export_id", f"{export_id!r} is no id; {right}")
