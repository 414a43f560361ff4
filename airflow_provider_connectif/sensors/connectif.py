# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits until exports are finished."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from airflow_provider_connectif.api.watch import Watch
from airflow_provider_connectif.api.watching import Match, moment_of
from airflow_provider_connectif.tasks.arguments import check, exactly_one, is_unknown
from airflow_provider_connectif.tasks.waiting import (
    default_deferrable,
    looking_patience,
    result_of,
    timed_out,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

MATCH_ARGUMENTS = ("export_type", "created_after", "origin", "report_id", "segment_id")


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

    template_fields: Sequence[str] = ("export_id", *MATCH_ARGUMENTS, "connectif_conn_id")
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
        check(self._check_arguments)

    def execute(self, context: Context) -> Any:
        """Wait, here or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        try:
            found = self.poke(context)
        except (AirflowSensorTimeout, AirflowFailException) as problem:
            raise self._softened(problem) from None
        if found:
            return found.xcom_value
        watch = self._the_watch(context)
        self._defer(context, watch)
        return None

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once.

        :raises AirflowSensorTimeout: where the time is over.
        :raises AirflowFailException: where an export failed or does not exist, or the API says a clear no.
        """
        from airflow_provider_connectif.hooks.connectif import ConnectifHook
        from airflow_provider_connectif.tasks.errors import airflow_errors
        from airflow_provider_connectif.tasks.record import deadline_of

        deadline = deadline_of(context, self.timeout)
        with airflow_errors():
            watch = self._the_watch(context)
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
            return self._value_of(result_of(event, self.timeout))
        except AirflowSensorTimeout:
            # As in the other modes: an export that finished just before the end is a success.
            found = self.poke(context)
            if found:
                return found.xcom_value
            raise

    def _defer(self, context: Context, watch: Watch) -> None:
        from airflow_provider_connectif.tasks.record import deadline_of
        from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger

        # Without defer(timeout=…): that fails the task without asking this class.
        self.defer(
            trigger=ConnectifExportTrigger(
                self.connectif_conn_id,
                export_ids=watch.export_ids if self.export_id is not None else None,
                match=watch.match.as_arguments() if watch.match is not None else None,
                poke_interval=self.poke_interval,
                deadline=deadline_of(context, self.timeout),
            ),
            method_name="execute_complete",
        )

    def _the_watch(self, context: Context) -> Watch:
        if self._watch is None:
            begun = self.reschedule and bool(context.get("task_reschedule_count", 0))
            self._watch = Watch(self._ids(), self._match(), log=self.log, begun=begun)
        return self._watch

    def _ids(self) -> list[str]:
        if self.export_id is None:
            return []
        given = [self.export_id] if isinstance(self.export_id, str) else list(self.export_id)
        for export_id in given:
            if not isinstance(export_id, str) or not export_id.strip():
                raise InvalidArgument("export_id", f"{export_id!r} is no id of an export.")
        return given

    def _match(self) -> Match | None:
        if self.export_id is not None:
            return None
        return Match.of({name: getattr(self, name) for name in MATCH_ARGUMENTS})

    def _value_of(self, export_ids: list[str]) -> Any:
        if self.export_id is None or isinstance(self.export_id, str):
            return export_ids[0]
        return [export_id for export_id in self.export_id if export_id in set(export_ids)]

    def _softened(self, problem: AirflowException) -> AirflowException:
        """As BaseSensorOperator does it for a poke of its own."""
        if self.soft_fail or self.never_fail:
            return AirflowSkipException(f"Skipped in place of failing: {problem}")
        return problem

    def _check_arguments(self) -> None:
        match = {name: getattr(self, name) for name in MATCH_ARGUMENTS}
        given = [name for name, value in match.items() if value is not None]
        exactly_one({"export_id": self.export_id, "a match": given or None})
        if isinstance(self.export_id, (list, tuple)) and not self.export_id:
            raise InvalidArgument("export_id", "is an empty list: there is nothing to wait for.")
        if not is_unknown(self.created_after):
            moment_of("created_after", self.created_after)
