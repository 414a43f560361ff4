# SPDX-License-Identifier: Apache-2.0
"""Waiting for exports: what to poll, how to handle the result, what to log, and when to stop.

A sensor in any mode, a trigger, the transfer operator and the command line share this; they differ in who polls, and
when.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.errors import (
    ConnectifError,
    ExportFailed,
    NotFound,
    Refused,
    UnexpectedResponse,
    WaitTimeout,
)
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.poll import (
    SETUP_ERRORS,
    IdPoll,
    IdReader,
    ListPoll,
    NewestReader,
    run_poll,
)
from airflow_provider_connectif.api.polling.stalls import StallDetector
from airflow_provider_connectif.api.refusals import Refusals

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

#: Seconds between two polls, whatever interval is asked for.
MIN_INTERVAL = 0.2

#: After so many consecutive polls in which the connection could not be used, the wait ends.
MAX_SETUP_FAILURES = 10

_MAX_IDS_DESCRIBED = 10

# The poll as a whole, among the things that the API may refuse and that are logged.
_POLL = "poll"


class ExportWait:
    """A wait for exports by id, or for the newest export that matches a filter.

    :param export_ids: the ids
    :param export_filter: the filter, instead of ids
    :param timeout: seconds, for the error message
    :param deadline: the time at which the wait ends, in seconds since the epoch
    :param resumed: whether an earlier process has polled before. Only the very first poll of a wait raises every error
        that a wrong connection may cause. Later polls raise what the API or the connection repeats.
    :param log: where progress is logged, and once that it does not move; nothing is logged twice in a row
    :param clock: returns seconds since the epoch, with which the deadline is compared once
    :param monotonic: returns seconds, monotonic
    """

    def __init__(
        self,
        export_ids: Sequence[str] = (),
        export_filter: ExportFilter | None = None,
        *,
        timeout: float = math.inf,
        deadline: float = math.inf,
        resumed: bool = False,
        log: Any = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.export_ids = list(dict.fromkeys(export_ids))
        self.export_filter = export_filter
        self.timeout = timeout
        self.deadline = deadline
        self._tolerant = resumed
        self._log = log or logging.getLogger(__name__)
        self._monotonic = monotonic
        # A change of the wall clock must not change the rest of the wait.
        self._ends_at = monotonic() + (deadline - clock())
        #: Whether the API denied in the last poll that an export exists; this is not believed until it is repeated.
        self.refused = False
        self._pending = set(self.export_ids)
        self._refusals = Refusals(clock=monotonic)
        self._stalls = StallDetector(monotonic)
        self._setup_failures = 0
        self._newest_id: str | None = None
        self._last_messages: dict[str, str] = {}
        self._last_errors: dict[str, str] = {}
        self._result: list[str] | None = None

    @property
    def result(self) -> list[str]:
        """The ids of the finished exports, in the order given; available when the wait is over."""
        if self._result is None:
            raise RuntimeError("The wait is not over.")
        return self._result

    @property
    def pending(self) -> list[str]:
        """The ids of the exports that have not been seen finished yet."""
        return [export_id for export_id in self.export_ids if export_id in self._pending]

    def new_id_reader(self) -> IdReader:
        """Return a reader for a poll, if the wait is for ids."""
        return IdReader(self.pending)

    def new_newest_reader(self) -> NewestReader:
        """Return a reader for a poll, if the wait is for an export that matches a filter."""
        if self.export_filter is None:
            raise RuntimeError("The wait has no filter.")
        return NewestReader(self.export_filter, self._newest_id)

    def run(
        self, client: ConnectifClient, intervals: Iterable[float], *, sleep: Callable[[float], None] = time.sleep
    ) -> list[str]:
        """Poll until the exports are finished.

        :param client: the API
        :param intervals: seconds between two polls, as many as are needed
        :param sleep: takes seconds
        :return: the ids of the finished exports
        :raises ConnectifError: see :meth:`poll`
        """
        pauses = iter(intervals)
        while not self.poll(client):
            pause = max(next(pauses), MIN_INTERVAL)
            sleep(max(0.0, min(pause, self._ends_at - self._monotonic())))
        return self.result

    def poll(self, client: ConnectifClient) -> bool:
        """Poll once.

        :param client: the API
        :return: whether the wait is over
        :raises WaitTimeout: if it is not, and the deadline has passed
        :raises ConnectifError: see :meth:`handle_exports`
        """
        if self.export_filter is None:
            ids = self.new_id_reader()
            run_poll(IdPoll([ids]), client)
            is_over = self.handle_exports(ids)
        else:
            newest = self.new_newest_reader()
            run_poll(ListPoll([newest]), client)
            is_over = self.handle_newest(newest)
        if not is_over and self._monotonic() >= self._ends_at:
            raise WaitTimeout(self.describe(), self.timeout)
        return is_over

    def handle_exports(self, reader: IdReader) -> bool:
        """Take in the exports that a poll has found, and log its errors.

        :return: whether the wait is over
        :raises ExportFailed: if an export has failed
        :raises ConnectifError: the poll's error, if the API or the connection has repeated it long enough, or if it is
            an error of the very first poll that a wrong connection may cause
        """
        self.refused = False
        errors = []
        for export_id, found in reader.found.items():
            if isinstance(found, ConnectifError):
                errors.append((export_id, found))
            elif export_id in self._pending:
                self._tolerant = True
                self._forget_errors(export_id)
                if self._is_finished(found):
                    self._pending.discard(export_id)
        if reader.error is not None:
            errors.append((_POLL, reader.error))
        self._handle_errors(errors)
        if not self._pending:
            self._result = list(self.export_ids)
        return not self._pending

    def handle_newest(self, reader: NewestReader) -> bool:
        """Take in the newest export that a poll has found, and log its error.

        :return: whether the wait is over
        :raises ConnectifError: see :meth:`handle_exports`
        """
        self._handle_errors([(_POLL, reader.error)] if reader.error is not None else [])
        if not reader.is_result:
            return False
        self._tolerant = True
        export = reader.newest
        if export is None:
            self._log_change("filter", f"No export with {self.export_filter} yet.")
            return False
        self._newest_id = export.id
        self._log_change("filter", f"Export {export.id} is the newest with {self.export_filter}.")
        if not self._is_finished(export):
            return False
        self._result = [export.id]
        return True

    def _handle_errors(self, errors: Sequence[tuple[str, ConnectifError]]) -> None:
        """Log errors that do not end the wait, each once, and raise one that does.

        :param errors: each with the id of the export that it is about, or "poll"
        """
        if not any(isinstance(error, SETUP_ERRORS) for _, error in errors):
            self._setup_failures = 0
        if not any(subject == _POLL for subject, _ in errors):
            self._forget_errors(_POLL)
        for subject, error in errors:
            if self._ends_wait(subject, error):
                raise error
            if self._last_errors.get(subject) != str(error):
                self._last_errors[subject] = str(error)
                self._log.warning("%s Still waiting.", error)

    def _ends_wait(self, subject: str, error: ConnectifError) -> bool:
        if isinstance(error, NotFound):
            self.refused = True
            return self._refusals.is_definite(subject)
        # The first response is HTML more probably because of a wrong Host than because of a gateway.
        if not self._tolerant and (error.final or isinstance(error, UnexpectedResponse)):
            return True
        if isinstance(error, SETUP_ERRORS):
            self._setup_failures += 1
            return self._setup_failures >= MAX_SETUP_FAILURES
        return isinstance(error, Refused) and self._refusals.is_definite(subject)

    def _forget_errors(self, subject: str) -> None:
        self._refusals.see(subject)
        self._last_errors.pop(subject, None)

    def describe(self) -> str:
        """Describe what is being waited for, and its progress."""
        if self.export_filter is not None:
            return f"an export with {self.export_filter}" + "".join(
                f" ({text})" for text in self._last_messages.values()
            )
        pending = self.pending
        texts = [
            f"{export_id} ({self._last_messages.get(export_id, 'not seen')})"
            for export_id in pending[:_MAX_IDS_DESCRIBED]
        ]
        if len(pending) > _MAX_IDS_DESCRIBED:
            texts.append(f"{len(pending) - _MAX_IDS_DESCRIBED} more")
        return ", ".join(texts)

    def _is_finished(self, export: Export) -> bool:
        if export.failed:
            raise ExportFailed(export.id, export.status)
        if export.status_is_known:
            self._log_change(export.id, f"Export {export.id}: {export.describe_progress()}.")
        else:
            self._log_change(
                f"{export.id} status",
                f"Export {export.id} has an unknown status, {export.status!r}; it is treated as not finished.",
            )
        if not export.finished:
            self._log_stall(export)
        return export.finished

    def _log_stall(self, export: Export) -> None:
        seconds = self._stalls.seconds_stalled(export)
        if seconds is not None:
            self._log.warning(
                "The progress of export %s has not changed for %d minutes: %s. It may be stalled at Connectif. Still "
                "waiting.",
                export.id,
                seconds // 60,
                export.describe_progress(),
            )

    def _log_change(self, subject: str, message: str) -> None:
        if self._last_messages.get(subject) != message:
            self._last_messages[subject] = message
            self._log.info("%s", message)
